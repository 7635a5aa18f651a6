"""The sandbox channel: a built-in messenger whose contacts are rows (SandboxContact). Nothing leaves this machine.

With SANDBOX_OVER_HTTP each message makes a request to the sandbox messenger first, as with a real one.

It supports everything. Every phone number exists, is online and receives immediately, unless its SandboxContact says
otherwise. What contacts do is in actions/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db.models import Min, QuerySet

from accounts.models import User
from hooks.http import Response
from instances import chat_ids
from instances.actions.session import log_out, reboot, renew_code, retry, take_over
from instances.channels.base import Button
from instances.channels.receiving import Network
from instances.channels.requests import (
    Limits,
    Link,
    Local,
    MessageToSend,
    Prepared,
    Refused,
    Request,
    Result,
    Sent,
)
from instances.channels.sandbox import over_http
from instances.channels.sandbox.actions import invite_links, receipts
from instances.channels.sandbox.group_ids import free_group_id
from instances.channels.templates import Template
from instances.commands import Command, CreateGroup, JoinGroup, LeaveGroup, MessengerGroup
from instances.models import (
    Instance,
    OutgoingMessage,
    SandboxContact,
    SandboxReceipt,
)
from instances.tool_links import tool_url

INSTANCES_PER_PASS = 100
# The one that every new WhatsApp Business account has. The sandbox shows a template as the text that it becomes.
HELLO_WORLD = Template(
    "hello_world", "en_US", category="UTILITY", components=({"type": "BODY", "text": "Hello World"},)
)
BUTTON_ACTIONS: Mapping[Button, Callable[..., Instance]] = {
    Button.LOGOUT: log_out,
    Button.EXPIRY: renew_code,
    Button.TAKEOVER: take_over,
    Button.RETRY: retry,
    Button.REBOOT: reboot,
}


class SandboxChannel:
    """Implements channels.base.Channel."""

    cannot: Mapping[str, str] = {}

    limits = Limits()
    decides_on_groups = False

    def link(self, instance: Instance) -> Link:
        """Returns the number and chat id, with a token if there is a messenger that needs one. No query."""
        if settings.SANDBOX_OVER_HTTP:
            return over_http.link(instance)
        return Link(instance.number, instance.own_chat_id)

    def is_idempotent(self, link: Link) -> bool:
        return True

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        """Returns Local, or with SANDBOX_OVER_HTTP a request to the sandbox messenger."""
        return over_http.prepare(message, link, uploaded) if settings.SANDBOX_OVER_HTTP else Local()

    def read(self, request: Request, response: Response) -> Result:
        """Returns what a response of the sandbox messenger means."""
        return over_http.read(request, response)

    def carry_out(self, taken: Sequence[tuple[Instance, OutgoingMessage]]) -> list[Sent | Refused]:
        """Returns the acks that contacts send immediately; `work` records the later ones when they are due."""
        sent = [
            receipts.SentTo(instance, outgoing.message_id, outgoing.chat_id)
            for instance, outgoing in taken
            if not outgoing.deletes
        ]
        acks = iter(receipts.plan_receipts(sent) if sent else ())
        return [Sent(() if outgoing.deletes else tuple(next(acks))) for _, outgoing in taken]

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """Every command succeeds; a new group gets an id like a messenger's."""
        match command:
            case JoinGroup(invite_code):
                return invite_links.join_by_invite_code(instance, invite_code)
            case LeaveGroup(group_id):
                invite_links.leave_groups_of_others(instance, group_id)
            case CreateGroup():
                return MessengerGroup(free_group_id(instance, creator=instance.phone))
        return None

    def has_account(self, instance: Instance, phone: str) -> bool:
        """Returns True unless a contact with this number was set to have no account."""
        chat_id = chat_ids.of_phone(phone)
        return not SandboxContact.objects.filter(
            instance=instance, chat_id=chat_id, has_account=False
        ).exists()

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """Records the effect of the button immediately."""
        BUTTON_ACTIONS[button](instance, acting_user=acting_user)

    async def templates(self, link: Link, network: Network) -> Sequence[Template]:
        """Returns one template, so that bots can be tested."""
        return [HELLO_WORLD]

    def qr_text(self, instance: Instance) -> str:
        """Returns the URL of the instance's sandbox phone, a page that signed-in users can open."""
        return f"{settings.SITE_URL}{tool_url('phone', instance.number)}"

    def work(self, now: datetime) -> int:
        """Record the acks that are due: a pass of each of the INSTANCES_PER_PASS instances that have waited longest."""
        waiting = receipts_of_connected(now).filter(due_at__lte=now).values("instance")
        longest = waiting.annotate(first=Min("due_at")).order_by("first")
        keys = longest.values_list("instance", flat=True)[:INSTANCES_PER_PASS]
        processed = 0
        for instance in Instance.objects.filter(pk__in=list(keys)):
            try:
                processed += receipts.record_due_receipts(instance, now=now)
            except Instance.DoesNotExist:
                continue  # deleted in the meantime
        return processed

    def next_work(self, now: datetime) -> datetime | None:
        """Returns when the next ack is due."""
        first: datetime | None = receipts_of_connected(now).aggregate(first=Min("due_at"))["first"]
        return first


def receipts_of_connected(now: datetime) -> QuerySet[SandboxReceipt]:
    """Returns the receipts with a due time, of instances whose phone is connected."""
    return SandboxReceipt.objects.filter(due_at__isnull=False, instance__in=Instance.objects.connected(now))
