"""Dialogs, pop-ups and menus: one component with padding; confirmations by keyboard, without window.confirm."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import walk
from tests.product import Product

# The smallest distance in px between the border of a box and the text or the controls in it.
PADDING = """(box) => {
  const outer = box.getBoundingClientRect();
  const range = document.createRange();
  const inner = Array.from(box.querySelectorAll("*"))
    .filter((one) => one.checkVisibility())
    .flatMap((one) => Array.from(one.childNodes))
    .filter((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())
    .map((node) => (range.selectNodeContents(node), range.getBoundingClientRect()))
    .filter((rect) => rect.width > 1);
  const distances = ({ left, right, top }) => [left - outer.left, outer.right - right, top - outer.top];
  return Math.min(...inner.flatMap(distances));
}"""

IN_WINDOW = (
    "(one) => one.getBoundingClientRect().left >= 0 && one.getBoundingClientRect().right <= innerWidth"
)


@pytest.fixture
def number(demo_page: Page, product: Product) -> str:
    return str(product.demo["instances"][0]["id"])


@pytest.fixture
def bin_page(demo_page: Page) -> Iterator[Page]:
    """The user's own bin with one request, which is open; empty again afterwards, for other tests."""
    demo_page.goto("/testing/bins/mine/")
    address = demo_page.locator(".bin-address code").inner_text()
    demo_page.request.post(address, data="hello")
    demo_page.locator(".capture-row").first.click()
    expect(demo_page.get_by_role("tab", name="Body")).to_be_visible()
    yield demo_page
    demo_page.goto("/testing/bins/mine/")
    demo_page.get_by_label("More actions").click()
    demo_page.get_by_role("button", name="Delete all").click()
    expect(demo_page.locator(".capture-row")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_menus_and_dialogs_of_a_bin_have_padding(bin_page: Page, width: int) -> None:
    page = bin_page
    page.set_viewport_size({"width": width, "height": 800})
    seen = 0
    for menu in page.locator("details.popup").all():
        if not menu.is_visible():
            continue
        menu.locator("summary").click()
        card = menu.locator(".popup-card")
        assert card.evaluate(PADDING) >= 8
        page.wait_for_function(IN_WINDOW, arg=card.element_handle())
        page.keyboard.press("Escape")
        expect(card).to_be_hidden()
        seen += 1
    assert seen >= 2
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    assert keys.evaluate(PADDING) >= 12
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    replay = page.get_by_role("dialog", name=re.compile("Replay no"))
    expect(replay).to_be_visible()
    assert replay.evaluate(PADDING) >= 12


# The top of what is in the bar, and the page's right edge, in px.
BAR = """() => {
  const boxes = Array.from(document.querySelectorAll(".bin-actions > *"), (one) => one.getBoundingClientRect());
  const field = document.querySelector(".bin-filter").getBoundingClientRect();
  return { tops: boxes.map((box) => box.top), field: field.top, width: field.width,
    right: Math.max(...boxes.map((box) => box.right)), page: document.documentElement.scrollWidth };
}"""


@pytest.mark.parametrize("width", [360, 820, 1280])
def test_the_actions_of_a_bin_are_one_row(bin_page: Page, width: int) -> None:
    page = bin_page
    page.set_viewport_size({"width": width, "height": 720})
    page.goto("/testing/bins/mine/")
    words = page.locator("#bin-response")
    # the longest there is
    words.evaluate("(one) => { one.textContent = '500 100 more times, then 200, after 30 s'; }")
    bar = page.evaluate(BAR)
    assert len(bar["tops"]) == 3
    assert len(set(bar["tops"])) == 1
    assert (bar["field"] == bar["tops"][0]) == (width > 768)  # the filter is in the same row
    assert bar["width"] >= 260
    assert max(bar["right"], bar["page"]) <= width


def test_the_menu_of_a_bin_works_by_keyboard_and_gets_the_focus_back(bin_page: Page) -> None:
    page = bin_page
    page.goto("/testing/bins/mine/")
    more = page.get_by_label("More actions")
    menu = page.locator(".bin-actions .popup-menu")
    more.focus()
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    focused = []
    for _ in range(6):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("document.activeElement.innerText").split("\n")[0].strip())
    assert focused == [
        "Export all as NDJSON", "Export all as CSV", "Export all as HAR", "Forward all", "Delete all",
        "Keyboard shortcuts",
    ]  # fmt: skip
    for name, steps in (("Forward all", 4), ("Keyboard shortcuts", 6)):
        if not menu.is_visible():
            page.keyboard.press("Enter")
        more.focus()
        for _ in range(steps):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name=re.compile(name.split()[0]))
        expect(dialog).to_be_visible()
        expect(menu).to_be_hidden()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(more).to_be_focused()


def test_a_click_beside_a_dialog_closes_it_and_one_on_its_padding_does_not(bin_page: Page) -> None:
    bin_page.keyboard.press("?")
    keys = bin_page.get_by_role("dialog", name="Keyboard shortcuts")
    box = keys.bounding_box()
    assert box
    bin_page.mouse.click(box["x"] + 4, box["y"] + 4)
    expect(keys).to_be_visible()
    bin_page.mouse.click(box["x"] - 20, box["y"] + 20)
    expect(keys).to_be_hidden()


def test_an_htmx_button_asks_in_a_dialog_of_ours(demo_page: Page, number: str) -> None:
    """Also while the card that has the button is polled and replaced every second."""
    page = demo_page
    page.on("dialog", lambda native: pytest.fail(f"window.confirm: {native.message}"))
    page.goto(f"/instances/{number}/")
    button = page.get_by_role("button", name="Log out").first
    button.focus()
    page.keyboard.press("Enter")
    question = page.get_by_role("alertdialog")
    expect(question).to_be_visible()
    expect(question.get_by_role("heading")).to_have_text(re.compile(r"\?$"))
    expect(question.get_by_role("button", name="Go back")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(page.get_by_role("button", name="Log out").first).to_be_visible()

    page.get_by_role("button", name="Log out").first.press("Enter")
    page.wait_for_timeout(2500)  # two polls
    page.keyboard.press("Tab")
    expect(question.get_by_role("button", name="Log out")).to_be_focused()
    page.keyboard.press("Enter")
    expect(question).to_be_hidden()
    page.get_by_role("button", name="Scan with the sandbox phone").press("Enter")
    expect(page.get_by_role("button", name="Log out").first).to_be_visible()


def test_a_form_asks_in_a_dialog_of_ours(demo_page: Page, product: Product) -> None:
    page = demo_page
    page.on("dialog", lambda native: pytest.fail(f"window.confirm: {native.message}"))
    page.goto("/account/members/")
    page.get_by_label("E-mail").fill("vera@example.org")
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Invite member").click()
    walk.confirm_password(page, product)
    cancel = page.get_by_role("button", name="Cancel invitation")
    cancel.first.press("Enter")
    question = page.get_by_role("alertdialog", name="Cancel the invitation for vera@example.org?")
    question.get_by_role("button", name="Go back").press("Enter")
    expect(question).to_be_hidden()
    expect(cancel.first).to_be_focused()
    expect(page.get_by_text("vera@example.org").first).to_be_visible()
    cancel.first.press("Enter")
    question.get_by_role("button", name="Cancel invitation").press("Enter")
    expect(cancel).to_have_count(0)
