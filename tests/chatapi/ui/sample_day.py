"""A day at alice's shops: an account in which every page has something to show, for tests of all pages.

`Day(url)` writes it into the current database; if the product runs on it, hooks are delivered to `url`. A
process without access to the database, such as one with a browser, runs `print_day` in `manage.py shell`.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, User
from chatapi.demo_account.contacts import add_contacts
from hooks.actions.endpoints import configure
from hooks.models import Hook, Kind, Outcome
from instances.actions.hook_shares import share_hook
from instances.actions.lifecycle import record_payment
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.models import AccountStatus, TryResult
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Capture
from tests.chatapi.permissions import ADDRESSES, World
from tests.factories import InstanceFactory, create_try, fail_message

RITA, SAM, ANNA = "15550100101", "15550100102", "4915550100"
TALK = (
    (RITA, "Rita", "Hi! Is the blue jacket still there in M?"),
    (RITA, "Rita", "And could you keep it until Saturday?"),
    (SAM, "Sam", "My parcel came without the charger"),
    (ANNA, "Anna", "Danke, alles gut angekommen!"),
)
ANSWERS = (
    (RITA, "It is, and it waits for you until Saturday evening."),
    (SAM, "We are sorry. A new one is on its way to you today."),
)
CAPTURED: tuple[dict[str, Any], ...] = (
    {"method": "GET", "query": "hub.mode=subscribe&hub.challenge=4711", "body": b""},
    {"method": "POST", "body": b'{"event":"order.paid","order":{"id":4711,"total":"59.90"}}'},
    {"method": "PUT", "path": "/503", "body": b"plain words"},
)


class Day(World):
    """The World of the permissions' table with more data. `url` responds with 200, `broken` does not."""

    def __init__(self, url: str = "http://127.0.0.1:9/hook", broken: str = "http://127.0.0.1:9/hook") -> None:
        super().__init__()
        self.name_people()
        shop, owner = self.instance, self.account.owner
        record_payment(shop, days=90, amount=29, note="Quarter")
        configure(shop.endpoint, url=url)
        flags = ("ackNotificationsOn", "chatUpdateOn", "statusNotificationsOn", "guaranteedHooks")
        change_settings(shop, changes=dict.fromkeys(flags, True))
        shop.refresh_from_db()
        add_contacts(shop)
        talk = [
            receive_message(shop, sender=phone, sender_name=name, body=words) for phone, name, words in TALK
        ]
        self.received = talk[0]
        for phone, words in ANSWERS:
            send_message(shop, chat_id=phone, body=words)
        self.chat = f"{RITA}@c.us"
        InstanceFactory(owner=self.account, name="Newsletter", account_status=AccountStatus.GOT_QR_CODE)
        InstanceFactory(owner=self.account, name="Old number", url=url, paid=False)
        self.night = InstanceFactory(owner=self.account, name="Night desk", url=broken, guaranteed=True)
        for place in range(4):
            receive_message(self.night, sender=SAM, sender_name="Sam", body=f"Anybody there? ({place + 1})")
        self.fill_queue()
        for request in CAPTURED:
            capture_actions.capture(self.bin.key, **request)
        capture_actions.capture(self.bin.key, method="POST", body=bytes(self.hook.body), headers=HOOK_HEADERS)
        self.capture = Capture.objects.filter(bin=self.bin).latest("number")
        self.own_bin = bin_actions.open_own_bin(self.account)
        for request in CAPTURED:
            capture_actions.capture(self.own_bin.key, **request)
        _, address = shares.share(self.bin, valid_for=timedelta(days=1), acting_user=owner)
        self.share_token = address.rstrip("/").rsplit("/", 1)[1]
        _, address = share_hook(
            self.hook, instance=self.instance, valid_for=timedelta(days=1), acting_user=owner
        )
        self.hook_token = address.rstrip("/").rsplit("/", 1)[1]

    def fill_queue(self) -> None:
        """Promotions sends one message every 30 s; one has failed after three tries, and one may be sent twice."""
        self.promotions = InstanceFactory(
            owner=self.account, name="Promotions", phone="15550100199", send_delay=30
        )
        for place in range(30):
            phone = (RITA, SAM, ANNA)[place % 3]
            send_message(self.promotions, chat_id=phone, body=f"{OFFERS[place % len(OFFERS)]} ({place + 1})")
        self.refused = send_message(
            self.promotions, chat_id=RITA, body="Your jacket is ready. Pick it up today!"
        )
        started = timezone.now() - timedelta(minutes=3)
        fail_message(
            self.refused,
            reason="(#131030) Recipient phone number not in allowed list",
            tries=3,
            maybe_twice=True,
            created_at=started,
        )
        for number, fields in enumerate(TRIES, start=1):
            create_try(self.refused, number, started_at=started + timedelta(seconds=number * 20), **fields)
        other = send_message(self.promotions, chat_id=SAM, body="Half price on chargers until Sunday")
        fail_message(other, reason="The recipient has blocked this number.", tries=1)

    def name_people(self) -> None:
        """Words instead of person17@example.org."""
        owner = self.account.owner
        User.objects.filter(pk=owner.pk).update(email="alice@example.org")
        Account.objects.filter(pk=self.account.pk).update(name="Alice's shops")
        self.instance.name = "Shop support"
        self.instance.save(update_fields=["name"])
        self.account.refresh_from_db()
        owner.refresh_from_db()

    def arguments(self, name: str) -> dict[str, Any]:
        """A chat with words in it, the share's own token, and what the staff desk's pages take."""
        if name.startswith("admin:"):
            known = {"app_label": "hooks", "account_id": self.account.pk, "public_id": self.issue.public_id}
            if name == "admin:customer_hook":
                known["public_id"] = self.hook.public_id
            elif name == "admin:customer_received_message":
                known |= {"number": self.instance.number, "message_id": self.received.message_id}
            elif name == "admin:customer_sent_message":
                known |= {"number": self.promotions.number, "message_id": self.refused.message_id}
            return {key: value for key, value in known.items() if key in ADDRESSES[name]}
        more: dict[str, Any] = {}
        if name == "instances:queue" or name.startswith("instances:message-") or name == "instances:message":
            more["number"] = self.promotions.number
        if name.startswith("shared:"):
            more["token"] = self.share_token
        if name == "shared-hook":
            more["token"] = self.hook_token
        if name == "instances:chat":
            more["chat_id"] = self.chat
        if name == "docs:receiver":
            more["key"] = "python"
        if "message_id" in ADDRESSES[name] and name != "instances:turn":
            more["message_id"] = self.refused.message_id
        return super().arguments(name) | more


OFFERS = (
    "Our summer sale starts today",
    "New: jackets in three colours",
    "Free delivery this week",
    "Thank you for your order",
)
TRIES: tuple[dict[str, Any], ...] = (
    {
        "result": TryResult.RETRY,
        "status": 503,
        "response_body": b'{"error":{"message":"Service temporarily unavailable","code":131016}}',
        "response_size": 69,
        "reason": "Service temporarily unavailable",
    },
    {
        "result": TryResult.RETRY,
        "outcome": Outcome.TIMEOUT,
        "status": None,
        "error": "response",
        "response_headers": [],
        "response_body": b"",
        "response_size": 0,
        "first_byte_ms": None,
        "total_ms": 10_000.2,
    },
    {
        "result": TryResult.REFUSED,
        "status": 400,
        "response_body": b'{"error":{"message":"(#131030) Recipient phone number not in allowed list","code":131030}}',
        "response_size": 89,
        "reason": "(#131030) Recipient phone number not in allowed list",
    },
)
HOOK_HEADERS = (
    ("Content-Type", "application/json"),
    ("webhook-attempt", "1/20"),
    ("User-Agent", "ChatAPI/1.0"),
)


def print_day(url: str, broken: str, names: list[str]) -> None:
    """For `manage.py shell`: creates the day and prints, as JSON on the last line, sessions and addresses by name."""
    with transaction.atomic():  # a worker that is awake must not deliver what World cancels
        day = Day(url, broken)
    delivered = Hook.objects.filter(endpoint_id=day.night.pk, kind=Kind.MESSAGE).first()
    extra = {
        "hook that fails": reverse("log:hook", kwargs={"public_id": delivered.public_id})
        if delivered
        else "/log/",
        "own bin": reverse("testing:bin-page", kwargs={"key": day.own_bin.key}),
    }
    print(json.dumps({"sessions": day.sessions, "addresses": {name: day.address(name) for name in names} | extra,
                      "number": day.instance.number, "night": day.night.number}))  # fmt: skip
