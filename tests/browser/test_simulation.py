"""Webhook Simulation in a browser: Ctrl+Enter sends, an error shows its position, a run continues to its end."""

import re

from playwright.sync_api import Page, expect

from tests.product import Product
from tests.receiver import Receiver


def test_a_hook_is_sent_by_the_keyboard_and_a_run_sends_itself_to_its_end(
    demo_page: Page, product: Product
) -> None:
    page = demo_page
    with Receiver() as receiver:
        page.goto("/testing/simulation/")
        before = page.locator(
            "#recent .hook-row"
        ).count()  # other tests simulate with the demo's instance too
        page.get_by_label("Destination").fill(receiver.url)
        expect(page.locator("#origin")).to_contain_text("For this test only")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".verdict-text")).to_have_text("Delivered")
        expect(page.locator(".box-bad")).to_have_count(0)
        assert len(receiver.requests) == 1

        page.get_by_text("More kinds").click()
        page.get_by_label("Image").check()
        expect(page).to_have_url(re.compile("what=image"))
        page.get_by_text("Group, quote, forwarded").click()
        page.get_by_label("Chat", exact=True).select_option("yes")
        expect(page.get_by_label("Group name")).to_have_value("Neighbours")
        expect(page.locator("#id_body")).to_have_value(re.compile('"chatId": "17680561234-1479621234@g.us"'))

        good = page.locator("#id_body").input_value()
        page.locator("#id_body").fill('{\n  "messages": [}')
        expect(page.locator("#json-error")).to_contain_text("Line 2, column 16: expecting value.")
        page.get_by_role("button", name="Show error").hover()
        page.mouse.down()
        expect(page.locator("#id_body")).to_be_focused()  # otherwise a new check replaces the button
        page.mouse.up()
        assert page.evaluate("id_body.value[id_body.selectionStart]") == "}"
        page.locator("#id_body").fill(good)
        expect(page.locator("#json-error")).to_contain_text("Valid JSON")

        page.get_by_label("Repeated").check()
        page.get_by_label("Number of hooks").fill("5")
        page.get_by_label("Pause").fill("0")
        page.locator("#id_url").press("Control+Enter")
        expect(page.locator("#run")).to_contain_text("5 of 5 sent")
        expect(page.locator(".run-verdict").get_by_text("Delivered")).to_have_count(5)
        expect(page.locator("#recent .hook-row")).to_have_count(min(before + 6, 20))
        assert [request.json()["messages"][0]["type"] for request in receiver.requests[1:]] == ["image"] * 5
