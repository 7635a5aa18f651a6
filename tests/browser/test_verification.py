"""Webhook Verification in a browser, against the real product: start, a real message, the list, a capture, stop."""

import json
import re
import urllib.request

from playwright.sync_api import Page, expect

from tests.product import Product
from tests.receiver import Receiver


def call(product: Product, method: str, path: str, data: object) -> dict:
    request = urllib.request.Request(
        f"{product.url}{path}", json.dumps(data).encode(), method=method,
        headers={"Authorization": f"Bearer {product.demo['uid']}", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def write(product: Product, body: str, sender: str = "17680561234") -> None:
    """A contact of the sandbox writes to the demo instance."""
    number = product.demo["instances"][0]["id"]
    message = {"from": sender, "name": "Alice", "type": "chat", "body": body}
    call(product, "POST", f"/api/v1/instances/{number}/sandbox/messages/", message)


def set_address(product: Product, url: str | None) -> None:
    [instance] = product.demo["instances"]
    address = f"{instance['apiUrl'].replace('localhost', '127.0.0.1')}webhook?token={instance['token']}"
    data = json.dumps({"webhookUrl": url or ""}).encode()
    request = urllib.request.Request(address, data, headers={"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def test_hooks_go_to_the_bin_while_it_runs_and_to_the_own_server_afterwards(
    demo_page: Page, product: Product
) -> None:
    page = demo_page
    with Receiver() as receiver:
        set_address(product, receiver.url)
        page.goto("/testing/verification/")
        expect(page.get_by_text("Hooks go to a bin instead of your URL until you stop")).to_be_visible()
        expect(page.locator("#verification")).to_contain_text(receiver.url)

        page.get_by_role("button", name="Start verification").click()
        expect(page.get_by_role("heading", name="Verification is running")).to_be_visible()
        expect(page.get_by_role("timer")).to_have_text(re.compile(r"^(30:00|29:\d\d)$"))
        write(product, "into the bin")

        row = page.locator(".capture-row").filter(has_text="into the bin")
        expect(row).to_contain_text("Message received")
        expect(page.locator(".live").first).to_have_text("Live")
        expect(row).to_have_attribute("aria-current", "true")  # the newest request opens by itself
        expect(row).not_to_have_class(re.compile("unread"))
        pane = page.get_by_role("region", name="Chosen request")
        expect(pane.get_by_role("heading", level=2)).to_have_text(
            "Message received from Alice (17680561234@c.us), attempt 1 of 1, signature valid."
        )
        expect(pane).to_contain_text("received by this account")
        pane.get_by_role("tab", name="Body").click()
        expect(pane.locator("#pane-body")).to_contain_text('"body": "into the bin"')
        pane.get_by_role("tab", name="Headers").click()
        expect(pane.locator("#pane-headers")).to_contain_text("webhook-signature")
        assert receiver.requests == []

        page.get_by_role("button", name="Stop verification").click()
        expect(page.get_by_role("status").filter(has_text="Verification stopped")).to_contain_text(
            receiver.url
        )
        write(product, "to the own server")
        [received] = receiver.wait_for(1)
        assert received.json()["messages"][0]["body"] == "to the own server"
        set_address(product, None)


def test_no_row_is_moved_under_the_cursor_and_none_is_lost(demo_page: Page, product: Product) -> None:
    page = demo_page
    page.goto("/testing/verification/")
    address = page.locator("#verification .node").nth(1).get_by_role("button").get_attribute("data-copy")
    assert address

    def send(*bodies: str) -> None:
        for body in bodies:
            request = urllib.request.Request(address.replace("localhost", "127.0.0.1"), body.encode())
            urllib.request.urlopen(request, timeout=60).close()

    summaries = page.locator("#captures .capture-summary")
    send("zero")
    expect(summaries.first).to_have_text("zero")
    page.locator("#captures .capture-row").first.hover()
    send("one", "two", "three")
    held = page.get_by_role("button", name="3 new, show")
    expect(held).to_be_visible()
    expect(summaries.first).to_have_text("zero")
    held.click()
    expect(summaries).to_contain_text(["three", "two", "one", "zero"])
    page.mouse.move(2, 2)
    send("four")
    expect(summaries.first).to_have_text("four")


def test_a_broken_connection_is_said_and_what_came_meanwhile_is_shown_afterwards(
    demo_page: Page, product: Product
) -> None:
    page = demo_page
    page.goto("/testing/verification/")
    address = page.locator("#verification .node").nth(1).get_by_role("button").get_attribute("data-copy")
    assert address
    page.mouse.move(2, 2)
    page.route("**/news/**", lambda route: route.fulfill(status=503, body="busy"))
    expect(page.locator(".live:visible")).to_have_text("Reconnecting…")
    urllib.request.urlopen(address.replace("localhost", "127.0.0.1"), b"meanwhile", timeout=60).close()
    page.unroute("**/news/**")
    expect(page.locator(".live:visible")).to_have_text("Live")
    expect(page.locator("#captures .capture-summary").first).to_have_text("meanwhile")
