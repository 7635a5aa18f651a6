"""The day at alice's shops as the target, and the visitors who attack it."""

from __future__ import annotations

import json
from typing import Any

from django.utils import timezone

from accounts.actions import members
from accounts.actions.keys import issue_key
from accounts.models import Account, Member, User
from instances.models import Message
from tests.chatapi.permissions import ADDRESSES, CHOSEN, session_of
from tests.chatapi.ui.sample_day import Day
from tests.factories import InstanceFactory, UserFactory, member_of

# Words that only alice's members and the recipients of her links may read.
PRIVATE = ("blue jacket", "Shop support", "Night desk", "vera@example.org", "order.paid")
# Capability URLs (a bin, a shared bin, a file, an invitation) and pages without an object of an account.
PUBLIC = {
    "bin", "shared:bin", "shared:capture", "shared:body", "shared:part", "shared-hook", "media", "invitation",
    "docs:receiver",
    "account_confirm_email", "account_reset_password_from_key", "contract-by-query",
    "contract-setting-by-query",
    "accounts:invitation", "accounts:invitation-accept", "testing:chooser", "testing:bin-mine",
}  # fmt: skip
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# One value for every field that any form or REST call of the site reads, valid where a value can be.
EVERYTHING: dict[str, Any] = {
    "name": "Taken over", "url": "http://attacker.example/hook", "webhookUrl": "http://attacker.example/hook",
    "text": "written by a stranger", "body": "written by a stranger", "message": "written by a stranger",
    "note": "written by a stranger", "role": "manager", "email": "mallory@example.org", "status": "200",
    "headers": "X-Taken: over", "method": "POST", "as": "captured", "recipient": "17680561234", "kind": "text",
    "what": "message", "plan": "once", "count": "2", "pause": "0", "action": "disconnect", "switch": "connected",
    "phone": "17680561299", "from": "17680561234", "type": "chat", "members": "17680561234", "battery": "10",
    "order": "newest", "at": "0", "secret": "x", "lat": "1", "lng": "1", "valid_for": "1", "duration": "1",
    "participants": ["17680561234"], "connected": False, "guaranteedHooks": True, "deliverAfter": 1,
    "sendDelay": "7", "channel": "sandbox", "which": "failed", "since": "2020-01-01", "until": "2099-01-01",
    "delay": "0", "preset": "ok", "body_type": "text/plain", "confirm": "yes", "until_days": "1",
}  # fmt: skip


class Target(Day):
    """alice's day, and more visitors: a former member, a blocked one, and staff without groups."""

    def __init__(self) -> None:
        super().__init__()
        self.add("removed", member_of(self.account, "manager", "rob@example.org"))
        members.remove(
            Member.objects.get(user=self.people["removed"], account=self.account),
            acting_user=self.account.owner,
        )
        self.add("blocked", member_of(self.account, "manager", "bella@example.org"))
        Account.objects.filter(owner=self.people["blocked"]).update(blocked_at=timezone.now())
        self.add("clerk", UserFactory(email="clerk@example.org", is_staff=True))
        self.theirs = InstanceFactory(owner=self.people["stranger"].account, name="Mallory's")

    def add(self, name: str, person: User) -> None:
        self.people[name] = person
        self.sessions[name] = session_of(person)
        self.keys[name] = issue_key(person.account, acting_user=person)[1]

    def ask(self, name: str, verb: str, visitor: str, fields: dict[str, Any] | None = None) -> Any:
        """The response to a request with every field filled in."""
        by_key = name.startswith("instances-api:")
        client = self.client(visitor, by_key=by_key)
        sent = (
            EVERYTHING | {"instance": self.instance.number, "number": self.instance.number} | (fields or {})
        )
        if by_key:
            return client.generic(verb, self.address(name), json.dumps(sent), "application/json")
        if verb == "POST":
            return client.post(self.address(name), sent)
        return client.generic(verb, self.address(name))

    @property
    def messages(self) -> list[str]:
        """The ids of the messages in alice's instance."""
        return list(Message.objects.filter(instance=self.instance).values_list("message_id", flat=True))


def of_an_object() -> list[str]:
    """The names of all URLs that name an object of one account."""
    return sorted(
        name
        for name, arguments in ADDRESSES.items()
        if not name.startswith("admin:")
        and name not in PUBLIC
        and (arguments - {"suffix"} or name.startswith(CHOSEN))
    )
