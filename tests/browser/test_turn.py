"""The bot's turn in a browser: a message without a response is found by the filter, and the reply appears live."""

from __future__ import annotations

import re

import requests
from playwright.sync_api import Browser, expect

from tests.browser import walk
from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest

SENDER = "17680561999"  # whom no other test on the same product leaves without a response


def test_the_turn_shows_the_hook_and_then_the_reply_and_its_acks(browser: Browser, product: Product) -> None:
    rest = Rest(product)
    rest.quiet()
    with Receiver() as receiver:
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url})
        message = rest.hello("Where is my order?", sender=SENDER)
        [hook] = rest.log(message["id"])
    context = browser.new_context(base_url=product.url.replace("127.0.0.1", "localhost"))
    page = context.new_page()
    walk.sign_in(page, product)
    page.goto(f"/instances/{rest.instance['id']}/messages/")
    page.get_by_role("navigation", name="Messages").get_by_role("link", name="Received").click()
    page.get_by_role("link", name="Where is my order?").first.click()
    page.wait_for_url(re.compile(r"/received/false_"))
    turn = page.locator(".turn")
    expect(turn).to_contain_text("Delivered · 200 in")
    expect(turn).to_contain_text("Nothing sent by your bot")
    page.get_by_role("status").filter(has_text="Your bot has not responded yet.").wait_for()

    requests.post(
        f"{rest.api_url}sendMessage",
        params={"token": rest.instance["token"]},
        json={"phone": SENDER, "body": "It arrives tomorrow."},
        timeout=60,
    ).raise_for_status()
    expect(turn).to_contain_text("It arrives tomorrow.")  # the page is polled
    expect(turn).to_contain_text("In the same chat,")
    expect(turn.get_by_label("Acks")).to_contain_text("Delivered")
    page.get_by_role("status").filter(has_text="Your bot responded.").wait_for()

    page.get_by_role("link", name="Sent by your bot").click()
    page.wait_for_url(re.compile(r"/queue/true_"))
    page.go_back()
    page.get_by_role("link", name="Attempt 1").click()
    page.wait_for_url(re.compile(r"/log/.+#attempt-1"))
    expect(page.locator(".about").first).to_contain_text(hook["id"])
    page.get_by_role("link", name="What your bot sent").click()
    page.wait_for_url(re.compile(r"/received/false_"))
    page.get_by_role("link", name="Received messages").click()
    page.get_by_role("link", name="No response").click()
    expect(page.get_by_role("heading", name="Messages that your bot never responded to")).to_be_visible()
    expect(page.get_by_role("link", name="Where is my order?")).to_have_count(0)
    context.close()
