"""A newcomer's first hour in a browser, against the real product: from the sign-up to the log."""

import re
import secrets

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook

from tests.receiver import Receiver


@pytest.fixture
def newcomer(page: Page) -> Page:
    """A new user on the form of the first instance."""
    page.goto("/accounts/signup/")
    password = secrets.token_urlsafe(12)
    page.locator("input[name=email]").fill(f"alice-{secrets.token_hex(4)}@example.org")
    page.locator("input[name=password1]").fill(password)
    page.locator("input[name=password2]").fill(password)
    page.locator("form button[type=submit]").last.click()
    page.wait_for_url("**/instances/new/")
    return page


def make_instance(page: Page, url: str) -> str:
    """A linked instance named Shop whose hooks go to `url`; returns its number."""
    page.get_by_label("Name").fill("Shop")
    page.get_by_role("button", name="Create instance").click()
    page.wait_for_url(re.compile(r"/instances/\d+/setup/$"))
    page.get_by_role("button", name="Scan with the sandbox phone").click()
    page.get_by_label("Webhook URL", exact=True).fill(url)
    page.get_by_role("button", name="Save URL").click()
    page.get_by_role("link", name="Open instance").click()
    page.wait_for_url(re.compile(r"/instances/\d+/$"))
    expect(page.locator("#status")).to_contain_text("Connected")
    return page.url.rstrip("/").rsplit("/", 1)[1]


def switch_on(page: Page, flag: str) -> None:
    page.get_by_role("switch", name=re.compile(f"^{flag}")).check()
    page.locator("#flags").get_by_role("button", name="Save").click()
    expect(page.locator("#flags")).to_contain_text("Saved.")


def test_from_the_sign_up_to_the_log(newcomer: Page) -> None:
    page = newcomer
    with Receiver() as receiver:
        number = make_instance(page, receiver.url)
        secret = page.locator("#signing-secret").input_value()

        page.get_by_role("link", name="Simulate a hook").first.click()
        expect(page.get_by_label("Destination")).to_have_value(receiver.url)
        page.get_by_label("Text", exact=True).fill("Is the blue one still there?")
        page.get_by_role("button", name="Send hook", exact=True).click()
        verdict = page.locator("#verdict")
        expect(verdict).to_contain_text("Delivered: 127.0.0.1 responded with 200.")
        [request] = receiver.wait_for(1)
        assert request.json()["instanceId"] == number
        assert request.json()["messages"][0]["body"] == "Is the blue one still there?"
        Webhook(secret).verify(request.body.decode(), request.headers)
        expect(page.locator("#recent .hook-row")).to_have_count(1)

        receiver.answers = [(500, {}, b"KeyError: 'messages'")]
        page.get_by_label("Read", exact=False).check()
        expect(page.get_by_label("Queue number")).to_have_value("1")
        page.get_by_role("button", name="Send hook", exact=True).click()
        expect(verdict).to_contain_text("Responded with 500, not 200")
        expect(verdict.locator(".box-bad")).to_contain_text("Endpoint")
        expect(verdict).to_contain_text("KeyError: 'messages'")
        assert receiver.wait_for(2)[1].json()["ack"][0]["status"] == "viewed"

        verdict.get_by_role("link", name="Open in delivery log").click()
        expect(page.locator(".hook-sentence")).to_contain_text(
            "Failed after attempt 1 of 1 (responded with 500)."
        )
        page.get_by_role("link", name="Delivery log of Shop").click()
        rows = page.locator("#rows .hook-row").filter(has_text="simulated")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("Failed")
        expect(rows.nth(1)).to_contain_text("Delivered")


def test_form_and_json_keep_in_step_and_a_fault_is_told_with_its_place(newcomer: Page) -> None:
    page = newcomer
    with Receiver() as receiver:
        make_instance(page, receiver.url)
        page.goto("/testing/simulation/")
        text = page.get_by_label(re.compile("JSON body"))
        page.get_by_label("Sender", exact=True).fill("4912345678901")
        expect(text).to_have_value(re.compile('"chatId": "4912345678901@c.us"'))
        text.fill(text.input_value().replace("Anna Example", "Bob"))
        expect(page.get_by_label("Sender name", exact=True)).to_have_value("Bob")
        text.fill('{\n  "messages": [}\n')
        expect(page.locator("#json-error")).to_contain_text("Line 2, column 16: expecting value.")
        page.get_by_role("button", name="Send hook", exact=True).click()
        expect(page.locator("#verdict")).to_contain_text("Not sent")
        assert receiver.requests == []


def test_a_message_gets_its_ticks_and_its_hooks_are_tried_until_200(newcomer: Page) -> None:
    page = newcomer
    with Receiver() as receiver:
        number = make_instance(page, receiver.url)
        switch_on(page, "guaranteedHooks")
        page.goto(f"/log/?instance={number}")
        later = {"Retry-After": "600"}  # so that no attempt comes by itself in between
        receiver.answers = [(500, later, b""), (500, later, b""), (200, {}, b"")]

        sending = page.context.new_page()
        sending.goto(f"/testing/sending/?instance={number}")
        sending.get_by_role("button", name="Send message", exact=True).click()
        expect(sending.locator("#send-card")).to_contain_text("Accepted")
        expect(sending.locator(".tick-delivered")).to_be_visible()
        sending.close()

        page.get_by_role("link", name=re.compile("new, show")).click()
        row = page.locator("#rows .hook-row").filter(has_text="Message")
        expect(row).to_contain_text("/20")
        row.get_by_role("link").click()
        for made in (1, 2):
            receiver.wait_for(made)
            expect(page.locator(".hook-sentence")).to_contain_text(
                f"Attempt {made} of 20 failed (responded with 500)"
            )
            page.get_by_role("button", name="Try now").click()
        expect(page.locator(".hook-sentence")).to_contain_text("Delivered, attempt 3 of 20")
        timeline = page.locator(".timeline-list").first
        expect(timeline).to_contain_text("Attempt 1: Responded with 500, not 200")
        expect(timeline).to_contain_text("Attempt 3: Delivered")
        numbers = [request.headers["webhook-attempt"] for request in receiver.wait_for(3)]
        assert numbers == ["1/20", "2/20", "3/20"]
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_wider_than_the_window(newcomer: Page, width: int) -> None:
    page = newcomer
    number = make_instance(page, "http://127.0.0.1:9/" + "a-rather-long-path/" * 12)
    page.goto("/testing/simulation/")
    page.get_by_role("button", name="Send hook", exact=True).click()
    expect(page.locator("#verdict")).to_contain_text("Not reached")
    page.get_by_role("link", name="Open in delivery log").click()
    hook = page.url
    page.set_viewport_size({"width": width, "height": 800})
    for address in (
        "/instances/", "/instances/new/", f"/instances/{number}/", f"/instances/{number}/setup/",
        f"/instances/{number}/settings/", f"/instances/{number}/history/", f"/instances/{number}/messages/",
        "/testing/simulation/", "/testing/sending/", "/log/",
        hook,
    ):  # fmt: skip
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
