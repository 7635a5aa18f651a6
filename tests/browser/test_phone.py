"""The sandbox phone in a browser, with a real receiver: a chat from both sides, on a desktop and at 360 px."""

import re

from playwright.sync_api import Page, expect

from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest


def test_a_chat_from_both_sides(demo_page: Page, product: Product) -> None:
    page, rest = demo_page, Rest(product)
    with Receiver() as receiver:
        rest.call(
            "PATCH", rest.home, json={"settings": {"webhookUrl": receiver.url, "ackNotificationsOn": True}}
        )
        page.goto(f"/testing/phone/?instance={rest.instance['id']}&chat=4915112345678@c.us")
        own, contact = page.locator("#own-phone"), page.locator("#contact-phone")

        contact.get_by_label(re.compile("^Write on")).fill("Is the blue one still there?")
        contact.get_by_label(re.compile("^Write on")).press("Enter")
        expect(own.locator(".bubble-content > .bubble-text")).to_have_text("Is the blue one still there?")
        expect(contact.get_by_label(re.compile("^Write on"))).to_have_value("")
        expect(page.locator("#action-result")).to_contain_text("Delivered")
        [request] = [each for each in receiver.wait_for(1) if "messages" in each.json()]
        assert request.json()["messages"][0]["body"] == "Is the blue one still there?"

        page.get_by_role("button", name="Go offline").click()
        expect(contact).to_contain_text("Offline")
        rest.call("POST", f"{rest.api_url}sendMessage?token={rest.instance['token']}",
                  json={"phone": "4915112345678", "body": "It is!"})  # fmt: skip
        reply = own.locator(".bubble-row").filter(has_text="It is!")
        expect(reply.locator("[data-tick]")).to_have_text("sent")
        expect(contact.get_by_text("It is!")).to_be_hidden()
        page.get_by_role("button", name="Go online").click()
        expect(contact.get_by_text("It is!")).to_be_visible()
        expect(reply.locator("[data-tick]")).to_have_text("delivered")
        contact.get_by_role("button", name="Read chat", exact=True).click()
        expect(reply.locator("[data-tick]")).to_have_text("viewed")
        acks = [each.json()["ack"][0]["status"] for each in receiver.wait_for(5) if "ack" in each.json()]
        assert acks == ["sent", "delivered", "viewed"]

        reply.get_by_role("button", name=re.compile("^Quote")).click()
        own.get_by_label("Write on the instance's phone").fill("by hand")
        own.get_by_role("button", name="Send from the instance's phone").click()
        expect(contact.locator(".bubble-row").last).to_contain_text("by hand")
        expect(contact.locator(".bubble-row").last.locator(".bubble-quote")).to_have_text("It is!")

        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        expect(contact).to_be_hidden()
        page.get_by_role("link", name=re.compile("4915112345678")).click()
        expect(contact).to_be_visible()
        expect(own).to_be_hidden()
