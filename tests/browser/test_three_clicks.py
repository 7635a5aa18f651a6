"""Three clicks after typing: from the sign-up page to the first verified hook, and from a failure on the first page to
the fixed and resent hooks.

The browser counts the clicks of the mouse, on all pages.
"""

from __future__ import annotations

import re
import secrets

from playwright.sync_api import Browser, BrowserContext, Page, expect
from standardwebhooks import Webhook

from tests.browser import walk
from tests.product import Product
from tests.receiver import Answer, Received, Receiver

COUNT = """addEventListener("click", (event) => {
  if (event.isTrusted && event.detail > 0) localStorage.clicks = Number(localStorage.clicks || 0) + 1;
}, true);"""
# An instance of the owner whose URL lacks the slash at the end.
FAIL = """
from instances.actions.lifecycle import create_instance, link_sandbox
from instances.actions.messages import receive_message
from instances.actions.settings import change_settings
from instances.models import Instance
owner = Instance.objects.get(number={number}).owner
instance = create_instance(owner, name="Depot", channel="sandbox", acting_user=None)
link_sandbox(instance, acting_user=None)
change_settings(instance, changes={{"webhookUrl": "{url}"}})
for number in range(3):
    receive_message(instance, sender="15550100102", sender_name="Rita", body=f"Order {{number}}")
"""
# What a task does every minute, once all three attempts are recorded: only hooks that have failed by then are resent.
FIND_ISSUES = """
import time
from hooks.maintenance.issues import update
from hooks.models import Hook, State
failed = Hook.objects.filter(endpoint__url="{url}", state=State.FAILED)
until = time.monotonic() + 60
while failed.count() < 3 and time.monotonic() < until:
    time.sleep(0.1)
update()
"""


def run(product: Product, code: str) -> None:
    done = product.manage("shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr


def clicks(page: Page) -> int:
    return int(page.evaluate("localStorage.clicks || 0"))


def test_from_the_sign_up_page_to_the_first_verified_hook(context: BrowserContext, page: Page) -> None:
    context.add_init_script(COUNT)
    page.goto("/accounts/signup/")
    password = secrets.token_urlsafe(12)
    page.locator("input[name=email]").fill(f"kim-{secrets.token_hex(4)}@example.org")
    page.locator("input[name=password1]").fill(password)
    page.locator("input[name=password2]").fill(password)
    page.get_by_role("button", name="Create account").click()
    with Receiver() as receiver:
        page.get_by_label("Name").fill("Shop")
        page.get_by_label("Webhook URL").fill(receiver.url)
        page.get_by_role("button", name="Create instance").click()
        page.get_by_role("button", name="Send test message").click()
        expect(page.locator("#address-test")).to_contain_text("Delivered: 127.0.0.1 responded with 200.")
        assert clicks(page) == 3
        [request] = receiver.wait_for(1)
    assert request.json()["messages"][0]["body"] == "This is a test of the webhook URL."

    # what is left: the link, from the same page
    page.get_by_role("link", name="Link a messenger").click()
    page.get_by_role("button", name="Scan with the sandbox phone").click()
    page.get_by_role("link", name="Open instance").click()
    page.wait_for_url(re.compile(r"/instances/\d+/$"))
    expect(page.locator("#status")).to_contain_text("Connected")
    Webhook(page.locator("#signing-secret").input_value()).verify(request.body.decode(), request.headers)


def test_from_a_failure_on_the_first_page_to_the_fixed_and_resent_hooks(
    browser: Browser, product: Product, day: walk.Day
) -> None:
    def respond(request: Received) -> Answer:
        return (200, {}, b"") if request.path == "/hook/" else (301, {"Location": "/hook/"}, b"")

    with Receiver(respond) as receiver:
        run(product, FAIL.format(number=day.number, url=receiver.url))
        receiver.wait_for(3)
        context = walk.visitor(browser, product, day, "owner", reduced_motion="reduce")
        context.add_init_script(COUNT)
        page = context.new_page()
        issue = page.locator("li.instance, .instance-row").filter(has_text="Depot").locator(".issue-link")
        while not issue.count():  # the product may look for issues at the same moment
            run(product, FIND_ISSUES.format(url=receiver.url))
            page.goto("/instances/")
        assert clicks(page) == 0
        issue.click()
        page.get_by_text("Use this URL").click()
        page.get_by_role("button", name="Change URL").click()
        expect(page.locator("main")).to_contain_text(f"The webhook URL is now {receiver.url}/.")
        assert clicks(page) == 3
        again = [request for request in receiver.wait_for(6) if request.path == "/hook/"]
        assert sorted(request.json()["messages"][0]["body"] for request in again) == [
            "Order 0",
            "Order 1",
            "Order 2",
        ]
        expect(page.locator(".hook-sentence")).to_contain_text("Delivered")
        context.close()
