"""A user who has never seen the product, from the sign-up to a verified webhook by what the pages say alone: once
without a mouse, once on a phone of 360 px.
"""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.receiver import Receiver

MOST_TABS = 60


def tab_to(page: Page, wanted: Locator) -> Locator:
    """Presses Tab until the wanted one has the focus; it must be within reach, and the focus must be seen."""
    expect(wanted).to_be_visible()
    page.wait_for_load_state()
    for _ in range(MOST_TABS):
        if wanted.evaluate("(one) => one === document.activeElement"):
            assert wanted.evaluate("(one) => one.matches(':focus-visible')")
            return wanted
        page.keyboard.press("Tab")
    raise AssertionError(f"{MOST_TABS} times Tab did not reach {wanted}")


def press(page: Page, wanted: Locator, key: str = "Enter") -> None:
    tab_to(page, wanted)
    page.keyboard.press(key)


def write(page: Page, wanted: Locator, text: str) -> None:
    tab_to(page, wanted)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def test_by_keyboard_alone_from_the_sign_up_to_a_verified_webhook(page: Page) -> None:
    button = lambda name: page.get_by_role("button", name=name)  # noqa: E731
    link = lambda name: page.get_by_role("link", name=name)  # noqa: E731
    password = secrets.token_urlsafe(12)
    page.goto("/")
    press(page, link("Create account").first)
    page.wait_for_url("**/accounts/signup/")
    write(page, page.locator("input[name=email]"), f"kim-{secrets.token_hex(4)}@example.org")
    write(page, page.locator("input[name=password1]"), password)
    write(page, page.locator("input[name=password2]"), password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/instances/new/")

    write(page, page.get_by_label("Name"), "Shop")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/instances/\d+/setup/$"))
    press(page, button("Scan with the sandbox phone"))
    with Receiver() as receiver:
        expect(page.get_by_label("Webhook URL", exact=True)).to_be_focused()
        page.keyboard.type(receiver.url)
        page.keyboard.press("Enter")
        press(page, button("Send test message"))
        receiver.wait_for(1)
        expect(page.locator("#address-test")).to_contain_text("200")
        press(page, link("Open instance"))
        page.wait_for_url(re.compile(r"/instances/\d+/$"))

        # the menu leads to the verification; its banner goes along from page to page
        press(page, page.get_by_role("link", name="Webhook Verification").first)
        press(page, button("Start verification"))
        expect(page.get_by_role("heading", name="Verification is running")).to_be_visible()
        press(page, button("Send sandbox message").first)
        row = page.locator("#captures li, #captures tr, .capture-row").first
        expect(row).to_contain_text(re.compile("message", re.IGNORECASE))
        assert len(receiver.requests) == 1  # the bin has it, not the own address
        press(page, button("Stop verification"))
        expect(page.get_by_role("heading", name="Verification is not running")).to_be_visible()


@pytest.mark.parametrize("width", [360])
def test_on_a_phone_with_real_deliveries(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    password = secrets.token_urlsafe(12)
    page.goto("/accounts/signup/")
    page.locator("input[name=email]").fill(f"kim-{secrets.token_hex(4)}@example.org")
    page.locator("input[name=password1]").fill(password)
    page.locator("input[name=password2]").fill(password)
    page.locator("form button[type=submit]").last.click()
    page.get_by_label("Name").fill("Shop")
    page.get_by_role("button", name="Create instance").click()
    page.get_by_role("button", name="Scan with the sandbox phone").click()
    with Receiver() as receiver:
        page.get_by_label("Webhook URL", exact=True).fill(receiver.url)
        page.get_by_role("button", name="Save URL").click()
        page.get_by_role("link", name="Open instance").click()
        page.wait_for_url(re.compile(r"/instances/\d+/$"))

        page.get_by_role("button", name="Open the menu").click()
        menu = page.get_by_role("dialog", name="Menu")
        menu.get_by_role("link", name="Webhook Simulation").click()
        strip = page.get_by_role("region", name="First steps with Shop")
        expect(strip).to_contain_text("2 of 5 done. Next: Simulate a hook")
        page.get_by_role("button", name="Send hook", exact=True).click()
        expect(page.locator("#verdict")).to_contain_text("Delivered")
        receiver.wait_for(1)

        page.get_by_role("button", name="Open the menu").click()
        menu.get_by_role("link", name="Sending Messages").click()
        expect(strip).to_contain_text("3 of 5 done. Next: Send a message")
        page.get_by_role("button", name="Send message", exact=True).click()
        expect(page.locator(".tick-delivered").first).to_be_visible()

        page.get_by_role("button", name="Open the menu").click()
        menu.get_by_role("link", name="Delivery log").click()
        expect(page.locator("#rows .hook-row").filter(has_text="simulated").first).to_contain_text(
            "Delivered"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        strip.get_by_role("button", name="Dismiss").click()
        expect(strip).to_have_count(0)
