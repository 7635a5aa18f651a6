"""The playground in a browser, with a bot behind a real receiver: message, hook, verdict and reply on one screen."""

import re

import requests
from playwright.sync_api import Page, expect

from tests.product import Product
from tests.receiver import Answer, Received, Receiver
from tests.rest import Rest


class Bot:
    """Replies to each message during the webhook request; `status` is what it responds with."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.status = 200

    def __call__(self, received: Received) -> Answer:
        for message in received.json().get("messages", []):
            if not message["fromMe"] and self.status == 200:
                url = f"{self.rest.api_url}sendMessage?token={self.rest.instance['token']}"
                said = {"chatId": message["chatId"], "body": f"You said {message['body']}"}
                assert requests.post(url, json=said, timeout=30).json()["sent"]
        return self.status, {}, b""


def test_message_hook_verdict_and_reply_on_one_screen(demo_page: Page, product: Product) -> None:
    page, rest = demo_page, Rest(product)
    bot = Bot(rest)
    page.set_viewport_size({"width": 1280, "height": 720})
    with Receiver(bot) as receiver:
        rest.call("PATCH", rest.home, json={"settings": {"webhookUrl": receiver.url}})
        page.goto(f"/testing/playground/?instance={rest.instance['id']}&chat=4915112345679@c.us")
        hook, reply = (page.get_by_role("region", name=name) for name in ("Hook", "Your bot's reply"))
        phone = page.locator("#contact-phone")
        expect(page.get_by_text("Nothing sent yet")).to_be_visible()

        write = phone.get_by_label(re.compile("^Write on"))
        write.fill("hello")
        write.press("Enter")
        expect(hook).to_contain_text("responded with 200")
        expect(reply).to_contain_text("You said hello")
        expect(reply).to_contain_text("Certain")
        expect(phone.locator(".bubble-row").last).to_contain_text("You said hello")
        expect(page.get_by_role("region", name="What your server gets")).to_contain_text('"body": "hello"')
        for part in (write, hook, reply.get_by_text("You said hello")):
            expect(part).to_be_in_viewport(ratio=1)

        bot.status = 500
        write.fill("and now?")
        write.press("Enter")
        expect(hook).to_contain_text("Responded with 500, not 200")
        expect(hook).to_contain_text("What to do:")
        expect(reply).not_to_contain_text("You said")
        expect(page.get_by_role("region", name="Earlier")).to_contain_text("hello")

    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    hook.get_by_role("link", name="Hook").click()
    expect(page).to_have_url(re.compile("/log/"))
