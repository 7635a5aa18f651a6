"""The support desk in a browser: a customer calls, and a member of the group support finds, understands and resends."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import walk
from tests.product import Product
from tests.receiver import Receiver

CUSTOMER = """
import json
from django.contrib.auth.models import Group
from hooks.models import Hook
from instances.actions.messages import receive_message
from tests.chatapi.permissions import session_of
from tests.factories import AccountFactory, InstanceFactory, UserFactory

support = UserFactory(email="support@example.org", is_staff=True)
support.groups.set([Group.objects.get(name="support")])
owner = AccountFactory(email="caller@example.org", name="Corner shop")
shop = InstanceFactory(owner=owner, name="Orders", phone="4915755501234", url={url!r})
InstanceFactory(owner=owner, name="Newsletter", phone="4915755509999", url={url!r})
receive_message(shop, sender="17680561234", body="one blue jacket")
print(json.dumps({{"session": session_of(support), "number": shop.number, "account": owner.pk}}))
"""
# The task of every minute, now; the hook has failed when it has found it.
FIND_ISSUE = """
import time
from hooks.maintenance import issues
from hooks.models import Issue
until = time.monotonic() + 60
while not Issue.objects.filter(endpoint__instance__number={number}).exists() and time.monotonic() < until:
    issues.update()
    time.sleep(0.5)
"""
# What the staff user did, in the audit log.
ACTIONS = """
from accounts.models import AuditEntry
entries = AuditEntry.objects.filter(actor_text="support@example.org").exclude(action="account.signed_up").order_by("pk")
print(*entries.values_list("action", flat=True))
"""
WAIT_FOR_DELIVERY = """
import time
from hooks.models import Hook, State
hooks = Hook.objects.filter(endpoint__instance__number={number}, state=State.DELIVERED)
until = time.monotonic() + 60
while not hooks.exists() and time.monotonic() < until:
    time.sleep(0.2)
"""


def run(product: Product, code: str) -> str:
    done = product.manage("shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.timeout(300)
def test_a_customer_calls_and_the_hook_is_resent(page: Page, product: Product) -> None:
    with Receiver([(500, {}, b"KeyError: 'orders'")]) as endpoint:
        found = json.loads(run(product, CUSTOMER.format(url=endpoint.url)).splitlines()[-1])
        endpoint.wait_for(1)
        run(product, FIND_ISSUE.format(number=found["number"]))
        base = product.url.replace("127.0.0.1", "localhost")
        page.context.add_cookies([{"name": "sessionid", "value": found["session"], "url": base}])

        page.goto("/admin/")
        need = page.locator(".desk-need").filter(has_text="Corner shop")
        expect(need).to_contain_text("1 hook failed")
        expect(need).to_contain_text("500")

        page.keyboard.press("/")
        page.keyboard.type("0157 555 01234")  # as the customer says it, on the phone
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/admin/customers/{found['account']}/?instance={found['number']}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Corner shop")
        issue = page.locator(".issue")
        expect(issue).to_contain_text("responded with 500")
        expect(page.locator("#chosen")).to_contain_text("+4915755501234")
        expect(page.locator(".hook-row").first).to_contain_text("Failed")

        endpoint.answers = [(200, {}, b"")]
        issue.get_by_role("button", name=re.compile("Resend the 1 that failed")).click()
        expect(page.get_by_role("status").filter(has_text="will be resent")).to_contain_text(
            "1 hook of Orders"
        )
        [first, second] = endpoint.wait_for(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        run(product, WAIT_FOR_DELIVERY.format(number=found["number"]))
        page.reload()
        expect(page.locator(".hook-row").first).to_contain_text("Delivered")
        assert run(product, ACTIONS).splitlines()[-1].split() == [
            "look.customer", "redelivery.planned", "look.customer", "look.customer",
        ]  # fmt: skip

        page.locator(".hook-row a").first.click()  # what the customer sees, without what is private
        expect(page.get_by_role("heading", level=1)).to_have_text("Message hook")
        expect(page.locator(".verdict-text").first).to_have_text("Delivered")
        expect(page.get_by_role("heading", name="Earlier attempts")).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("one blue jacket")
        page.get_by_role("link", name="What your bot sent").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Received message")
        assert run(product, ACTIONS).splitlines()[-1].split()[-2:] == ["look.record", "look.record"]


def test_without_javascript_the_desk_still_finds(browser: object, product: Product, day: walk.Day) -> None:
    context = walk.visitor(browser, product, day, "staff", java_script_enabled=False)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.goto("/admin/")
        page.locator("input[name=q]").fill("alice@example.org")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Alice's shops")
    finally:
        context.close()
