"""The queue of an instance in a browser: it is live, one message is cancelled, and no row moves under the pointer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import walk
from tests.product import Product
from tests.product_shell import shell

# One message is sent every 30 s: after a quarter of an hour of other tests the queue would be empty.
REFILL = """
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.models import Instance, OutgoingMessage, SendState
promotions = Instance.objects.get(name="Promotions")
change_settings(promotions, changes={"sendDelay": 86_400})
for place in range(OutgoingMessage.objects.filter(instance=promotions, state=SendState.QUEUED).count(), 10):
    send_message(promotions, chat_id="15550100101", body=f"Free delivery this week ({place})")
"""


@pytest.fixture
def page(browser: Browser, product: Product, day: walk.Day) -> Iterator[Page]:
    """The queue of Promotions, which sends one message a day."""
    shell(product.environment, REFILL)
    context = walk.visitor(browser, product, day, "owner", viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.goto(day.addresses["instances:queue"])
    yield page
    context.close()


def polled(page: Page) -> None:
    """Waits until the page has been polled, and what it got was shown or not."""
    with page.expect_response(re.compile("seen=")):
        pass
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def test_the_queue_is_live_and_no_row_moves_under_the_pointer(page: Page, day: walk.Day) -> None:
    rows = page.locator(".queue-rows").first.locator(".queue-row")
    last = rows.last
    key = last.get_attribute("id")
    other = page.context.new_page()
    other.goto(day.addresses["instances:queue"])
    rows.nth(1).get_by_role("button").hover()
    other.locator(f"#{key}").get_by_role("button").click()
    other.get_by_role("dialog").or_(other.get_by_role("alertdialog")).get_by_role(
        "button", name=re.compile("Cancel message")
    ).click()
    expect(other.get_by_role("status").filter(has_text="The message was cancelled.")).to_be_visible()
    polled(page)
    polled(page)
    expect(page.locator(f"#{key}")).to_have_count(1)  # the pointer is on a button
    page.mouse.move(5, 5)
    expect(page.locator(f"#{key}")).to_have_count(0)


def test_the_question_names_the_message_and_stays_while_the_queue_changes(page: Page) -> None:
    key = page.locator(".queue-row").nth(2).get_attribute("id")
    row = page.locator(f"#{key}")  # whatever its place is then
    number = re.search(r"no\. (\d+)", row.inner_text())
    assert number
    row.get_by_role("button").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text(f"Cancel message no. {number[1]}")
    polled(page)
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Go back").click()
    expect(row).to_contain_text(f"no. {number[1]}")


def test_a_failed_message_is_resent_from_its_page(page: Page) -> None:
    page.get_by_role("link", name="Half price on chargers until Sunday").click()
    expect(page.get_by_role("heading", name=re.compile("Message no. 32"))).to_be_visible()
    page.get_by_role("button", name="Resend message").click()
    expect(page.get_by_role("status").filter(has_text="is in the queue again")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel message")).to_be_visible()
