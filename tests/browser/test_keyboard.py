"""After a button that shows a result the focus is on the result, not at the start of the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.product import Product


@pytest.fixture
def number(demo_page: Page, product: Product) -> str:
    return str(product.demo["instances"][0]["id"])


def test_focus_goes_to_the_result_of_a_simulation_and_of_a_send(demo_page: Page, number: str) -> None:
    page = demo_page
    page.goto(f"/testing/simulation/?instance={number}")
    page.get_by_label("Destination").fill("http://127.0.0.1:9/")
    page.get_by_role("button", name="Send hook", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Result", exact=True)).to_be_focused()

    page.get_by_label(re.compile("JSON body")).fill("{")
    page.get_by_role("button", name="Send hook", exact=True).press("Enter")
    expect(page.get_by_text("Not sent", exact=True)).to_be_focused()

    page.goto(f"/testing/sending/?instance={number}")
    page.get_by_role("button", name="Send message", exact=True).press("Enter")
    expect(page.get_by_text("Accepted", exact=True)).to_be_focused()

    page.get_by_label("Recipient", exact=True).fill("12")
    page.get_by_role("button", name="Send message", exact=True).press("Enter")
    expect(page.get_by_label("Recipient", exact=True)).to_be_focused()


def test_focus_and_the_chooser_follow_the_scan(demo_page: Page, number: str) -> None:
    page = demo_page
    page.goto(f"/instances/{number}/")
    title = page.get_by_role("heading", name="Status", exact=True)
    chooser = page.locator(".chooser-button")

    page.get_by_role("button", name="Log out").first.press("Enter")
    page.get_by_role("alertdialog").get_by_role("button", name="Log out").press("Enter")
    expect(title).to_be_focused()
    expect(chooser).to_have_accessible_name(re.compile("Waiting for the scan"))

    page.get_by_role("button", name="Scan with the sandbox phone").press("Enter")
    expect(title).to_be_focused()
    expect(chooser).to_have_accessible_name(re.compile("Authenticated"))
