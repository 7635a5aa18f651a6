"""One instance in a browser: the save bar collects changes, and an open chat updates."""

import pytest
from playwright.sync_api import Page, expect

from tests.product import Product
from tests.rest import Rest


@pytest.fixture
def rest(product: Product) -> Rest:
    return Rest(product)


def test_the_bar_shows_the_difference_and_saves_it_by_keyboard(demo_page: Page, rest: Rest) -> None:
    page = demo_page
    page.goto(f"/instances/{rest.instance['id']}/")
    bar = page.locator("#flags [data-bar]")
    chats, videos = (page.get_by_role("switch", name=name) for name in ("chatUpdateOn", "videoUploadOn"))
    was = "on" if chats.is_checked() else "off"
    other = "off" if was == "on" else "on"
    expect(bar).to_be_hidden()

    videos.press("Space")
    chats.press("Space")
    expect(bar).to_contain_text(f"2 changes: chatUpdateOn {was} → {other}, videoUploadOn")
    bar.get_by_role("button", name="Discard changes").press("Enter")
    expect(bar).to_be_hidden()

    for old, new in ((was, other), (other, was)):
        chats.press("Space")
        expect(bar).to_contain_text(f"1 change: chatUpdateOn {old} → {new}")
        chats.press("Control+s")
        expect(page.locator("#flags")).to_contain_text("Saved.")
        expect(bar).to_be_hidden()
        expect(chats).to_be_focused()


def test_a_chat_loses_nothing_and_moves_nothing_under_the_reader(demo_page: Page, rest: Rest) -> None:
    page = demo_page
    for place in range(30):
        rest.hello(f"before {place}")
    page.goto(f"/instances/{rest.instance['id']}/messages/17680561234@c.us/")
    bubbles = page.locator("#bubbles .bubble-row")
    expect(bubbles.last).to_contain_text("before 29")
    rest.hello("while the reader is at the end")
    expect(bubbles.last).to_contain_text("while the reader is at the end")
    expect(bubbles.last).to_be_in_viewport()

    page.locator("#bubbles-scroll").evaluate("(box) => { box.scrollTop = -400; }")
    top = "document.getElementById('bubbles-scroll').scrollTop"
    before = page.evaluate(top)
    count = bubbles.count()
    for place in range(40):
        rest.hello(f"burst {place}")
    held = page.get_by_role("button", name="40 new, show")
    expect(held).to_be_visible()
    assert (page.evaluate(top), bubbles.count()) == (before, count)
    held.click()
    expect(bubbles).to_have_count(count + 40)
    texts = bubbles.locator(".bubble-text").all_inner_texts()
    assert texts[-40:] == [f"burst {place}" for place in range(40)]

    page.get_by_label("Reply").fill("Until six.")
    page.get_by_label("Reply").press("Enter")
    expect(page.get_by_label("Reply")).to_have_value("")
    expect(bubbles.last).to_contain_text("Until six.")
    expect(bubbles.last.locator(".tick")).to_have_text("delivered")
