"""The search by keyboard alone: Ctrl+K on any page, arrow keys, Enter; and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import walk
from tests.product import Product


@pytest.fixture
def number(demo_page: Page, product: Product) -> str:
    return str(product.demo["instances"][0]["id"])


def test_an_instance_a_page_and_a_setting_are_opened_by_keyboard(demo_page: Page, number: str) -> None:
    page = demo_page
    page.goto("/account/")
    ways = {
        number: re.compile(f"/instances/{number}/$"),
        "webhook sim": re.compile("/testing/simulation/"),
        "sendDelay": re.compile(f"/instances/{number}/settings/#set-sendDelay$"),
    }
    for words, url in ways.items():
        page.keyboard.press("Control+k")
        field = page.get_by_role("combobox", name="Search for")
        expect(field).to_be_focused()
        field.fill(words)
        expect(page.locator(f"[data-query='{words}']")).to_be_attached()
        page.keyboard.press("Enter")
        page.wait_for_url(url)


# The text and Enter in one task of the page: no result can be shown in between.
TYPE_AND_ENTER = """(field) => {
  field.value = "sendMessage";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
}"""


def test_enter_before_the_results_opens_the_first_one_of_the_text(demo_page: Page, number: str) -> None:
    page = demo_page
    page.goto("/account/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()

    page.get_by_role("combobox", name="Search for").evaluate(TYPE_AND_ENTER)

    page.wait_for_url("**/api/contract/#sendMessage")


def test_arrow_keys_select_and_the_field_keeps_the_focus(demo_page: Page) -> None:
    page = demo_page
    page.goto("/log/")
    opener = page.get_by_role("link", name="Search", exact=True)
    opener.focus()
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    selected = dialog.locator("[role=option][aria-selected=true]")
    expect(selected).to_have_count(1)
    field = page.get_by_role("combobox", name="Search for")
    first = selected.get_attribute("id")
    assert field.get_attribute("aria-activedescendant") == first

    page.keyboard.press("ArrowDown")
    assert selected.get_attribute("id") == field.get_attribute("aria-activedescendant") != first
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    last = dialog.get_by_role("option").last
    expect(last).to_have_attribute("aria-selected", "true")
    expect(last).to_be_in_viewport()
    expect(field).to_be_focused()

    field.fill("ack")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_dialog_is_not_opened_over_another_one(demo_page: Page, number: str) -> None:
    page = demo_page
    page.goto(f"/instances/{number}/")
    page.get_by_role("button", name="Log out").first.click()
    expect(page.get_by_role("alertdialog")).to_be_visible()

    page.keyboard.press("Control+k")

    expect(page.get_by_role("dialog", name="Search")).to_be_hidden()
    page.keyboard.press("Escape")


def test_a_key_event_without_a_key_is_ignored(demo_page: Page) -> None:
    """Browsers send one when they fill in a form."""
    page = demo_page
    page.goto("/account/")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.evaluate("document.body.dispatchEvent(new Event('keydown', { bubbles: true }))")
    page.keyboard.press("Control+k")

    expect(page.get_by_role("combobox", name="Search for")).to_be_focused()
    assert errors == []


def test_without_javascript_the_button_leads_to_the_page(
    browser: Browser, product: Product, day: walk.Day
) -> None:
    context = walk.visitor(browser, product, day, "owner", java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto("/account/")
        page.get_by_role("link", name="Search", exact=True).click()
        page.get_by_role("searchbox", name="Search for").fill(str(day.number))
        page.get_by_role("button", name="Search", exact=True).click()
        page.locator(".found-row").first.click()
        page.wait_for_url(f"**/instances/{day.number}/")
    finally:
        context.close()
