"""The world of the table in test_permissions.py: alice's account with one of everything, and six visitors.

A new address takes one line in the table. Where it takes an argument that no other one takes, `arguments` here gets
a line as well, and where it needs a query, `address`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts.actions import members
from accounts.actions.keys import issue_key
from accounts.models import KEY_PREFIX_LENGTH, Member, User
from hooks import outbox
from hooks.actions import redelivery
from hooks.actions.hooks import cancel
from hooks.models import Hook, Kind, State
from instances.actions.alerts import set_url
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.models import Instance
from testing_tools.simulation import actions as simulation_actions
from testing_tools.simulation.models import Plan
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from tests import session_client  # noqa: F401 - changes the test client, in processes without pytest too
from tests.factories import InstanceFactory, UserFactory, create_issue, fail_message, member_of

VISITORS = ("anonymous", "stranger", "viewer", "manager", "owner", "staff")
# Pages that are about the chosen instance, which the address names.
CHOSEN = ("testing:", "log:", "issues:", "statistics:")


def addresses(
    resolver: Any = None, namespace: str = "", taken: frozenset[str] = frozenset()
) -> dict[str, set[str]]:
    """Every named address as reverse() takes it, with the arguments of its first form."""
    found: dict[str, set[str]] = {}
    for pattern in (resolver or get_resolver()).url_patterns:
        arguments = taken | set(pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLResolver):
            inner = namespace + (f"{pattern.namespace}:" if pattern.namespace else "")
            found = addresses(pattern, inner, frozenset(arguments)) | found
        elif isinstance(pattern, URLPattern) and pattern.name:
            found.setdefault(namespace + pattern.name, set(arguments))
    return found


ADDRESSES = addresses()


def session_of(person: User) -> str:
    """The cookie of a session in which they are signed in."""
    client = Client()
    client.force_login(person)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


class World:
    """alice's instance, hooks, job, bin with a capture, and members; who visits, and by which key."""

    def __init__(self) -> None:
        self.instance = InstanceFactory(name="Alice's", url="http://127.0.0.1:9/hook")
        self.account = self.instance.owner
        self.people = {
            "stranger": UserFactory(email="bob@example.org"),
            "viewer": member_of(self.account, "viewer", "vera@example.org"),
            "manager": member_of(self.account, "manager", "max@example.org"),
            "owner": self.account.owner,
            "staff": UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True),
        }
        for name in ("stranger", "viewer", "manager", "staff"):
            InstanceFactory(owner=self.people[name].account)
        self.member = Member.objects.get(user=self.people["viewer"])
        self.invitation, self.token = members.invite(
            self.account, email="dora@example.org", role="viewer", acting_user=self.account.owner
        )
        self.keys = {
            name: issue_key(person.account, acting_user=person)[1] for name, person in self.people.items()
        }
        self.sessions = {name: session_of(person) for name, person in self.people.items()}
        self.received = receive_message(self.instance, sender="17680561234", body="hello")
        self.failed = fail_message(send_message(self.instance, chat_id="17680561234", body="failed"))
        self.hook = Hook.objects.filter(endpoint_id=self.instance.pk, kind=Kind.MESSAGE).get()
        cancel(self.hook, acting_user=None)
        self.job = redelivery.plan(Instance.objects.filter(pk=self.instance.pk), wanted={}, acting_user=None)
        self.issue = create_issue(self.instance.endpoint)
        set_url(self.account, url="http://127.0.0.1:9/alerts", acting_user=None)
        with transaction.atomic():
            outbox.count_emitted(self.instance.pk)  # or the sum of `hooks check` would be wrong
        self.simulated = Hook.objects.create(
            endpoint_id=self.instance.pk,
            kind=Kind.MESSAGE,
            body=b"{}",
            simulated=True,
            to_url="http://127.0.0.1:9/hook",
            state=State.CANCELLED,
            finished_at=timezone.now(),
        )
        self.run = simulation_actions.create_run(
            self.instance,
            kind="message",
            plan=Plan.REPEAT,
            body=b"{}",
            to_url="http://127.0.0.1:9/hook",
            count=2,
            pause=0,
            acting_user=None,
        )
        self.bin = bin_actions.open_bin(self.instance)
        capture_actions.capture(self.bin.key, method="POST", body=b"{}")
        self.capture = Capture.objects.get(bin=self.bin)

    def arguments(self, name: str) -> dict[str, Any]:
        """What the address takes: alice's, whatever it is."""
        public_id: Any = self.hook.public_id
        if "redelivery" in name:
            public_id = self.job.public_id
        elif name.startswith("issues:"):
            public_id = self.issue.public_id
        elif name == "testing:simulation-again":
            public_id = self.simulated.public_id
        elif name.startswith("testing:simulation-run"):
            public_id = self.run.public_id
        elif name.startswith(("testing:verification", "testing:bin-", "shared:")):
            public_id = self.capture.public_id
        rest_id: Any = self.instance.number
        if name.startswith("instances-api:hook"):
            rest_id = f"hook_{self.hook.public_id.hex}"
        elif name.startswith("instances-api:issue"):
            rest_id = f"issue_{self.issue.public_id.hex}"
        elif name.startswith("instances-api:redelivery"):
            rest_id = f"redelivery_{self.job.public_id.hex}"
        elif name.startswith("instances-api:key"):
            rest_id = self.keys["owner"][:KEY_PREFIX_LENGTH]
        elif name == "instances-api:member":
            rest_id = self.member.pk
        known = {
            "number": self.instance.number,
            "endpoint_id": self.instance.pk,
            "public_id": public_id,
            "id": rest_id,
            "endpointId": self.instance.pk,  # the first
            "listenerId": f"{self.instance.pk}-{self.job.public_id.hex}",  # none is running
            "key": "0-0" if name.startswith("account_") else self.bin.key,
            "uidb36": "0",  # no user: keys count from 1
            "pk": self.invitation.pk if "invitation" in name else self.member.pk,
            "index": 0,
            "prefix": self.keys["owner"][:KEY_PREFIX_LENGTH],
            "captureId": self.capture.public_id,
            "share": 1,
            "shareId": 1,
            "runId": f"run_{self.run.public_id.hex}",
            "token": "a" * 43,
            "name": "status",
            "code": "a" * 22,
            "field": "token",
            "button": "log_out",
            "chat_id": "17680561234@c.us",
            "chatId": "17680561234@c.us",
            "phone": "17680561234",
            "channel": "sandbox",
            "secret": "a" * 32,
            "message_id": self.failed.message_id,
            "messageId": self.failed.message_id,
        }
        if name == "docs:receiver":
            known["key"] = "php"
        if name in ("instances:turn", "instances-api:message-turn", "admin:customer_received_message"):
            known["message_id"] = known["messageId"] = self.received.message_id
        if name == "contract-setting-by-query":
            known["name"] = "settings/ackNotificationsOn"
        return {key: known[key] for key in ADDRESSES[name] if key != "suffix"}

    def address(self, name: str) -> str:
        """Where the page is about a thing of alice's, that thing's."""
        if name == "contract":  # its expression cannot be turned round
            return f"/instance{self.instance.number}/status"
        path, query = reverse(name, kwargs=self.arguments(name)), []
        if name.startswith(CHOSEN):
            query.append(f"instance={self.instance.number}")
        if name in ("testing:bin-export", "log:export"):
            query.append("as=ndjson")
        if name == "accounts:invitation":
            query.append(f"token={self.token}")
        return f"{path}?{'&'.join(query)}"

    def client(self, visitor: str, *, by_key: bool = False) -> Client:
        """Their browser; with `by_key` a program that has the key of their own account."""
        if by_key:
            headers = {} if visitor == "anonymous" else {"Authorization": f"Bearer {self.keys[visitor]}"}
            return Client(headers=headers, raise_request_exception=False)
        client = Client(raise_request_exception=False)
        if visitor != "anonymous":
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[visitor]
        return client

    def answer(self, name: str, method: str, visitor: str) -> str:
        """The status that this visitor gets. What one changes, the next does not find."""
        by_key = name.startswith("instances-api:")
        client = self.client(visitor, by_key=by_key)
        form = "application/json" if by_key else "application/x-www-form-urlencoded"
        with transaction.atomic():
            answer = client.generic(
                method, self.address(name), data="{}" if by_key else "", content_type=form
            )
            transaction.set_rollback(True)
        return str(answer.status_code)
