"""The built-in messenger: its people are rows (SandboxContact), what they do is instances.actions.receipts.

Every number exists, is online and gets everything at once, unless somebody has said otherwise of it. There is
nothing that it can't do, and nothing leaves this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db.models import Min, QuerySet

from accounts.models import User
from instances import chat_ids
from instances.actions.session import log_out, reboot, renew_code, retry, take_over
from instances.channels.base import Button
from instances.channels.sandbox.actions import invite_links, receipts
from instances.channels.sandbox.actions.receipts import make_due_receipts
from instances.channels.sandbox.group_ids import free_group_id
from instances.commands import Command, CreateGroup, JoinGroup, LeaveGroup, MessengerGroup
from instances.models import (
    Ack,
    Instance,
    OutgoingMessage,
    SandboxContact,
    SandboxReceipt,
)
from instances.tool_links import tool_url

INSTANCES_A_PASS = 100
OBEY: Mapping[Button, Callable[..., Instance]] = {
    Button.LOGOUT: log_out,
    Button.EXPIRY: renew_code,
    Button.TAKEOVER: take_over,
    Button.RETRY: retry,
    Button.REBOOT: reboot,
}


class SandboxChannel:
    """Nothing leaves this machine."""

    cannot: Mapping[str, str] = {}

    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        """As far as the contact lets it come at once; later ticks are planned, and `work` makes them."""
        if outgoing.deletes:
            return ()
        return receipts.plan_receipts(instance, message_id=outgoing.message_id, chat_id=outgoing.chat_id)

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """All commands succeed; a new group gets an id like the messenger's."""
        match command:
            case JoinGroup(invite_code):
                return invite_links.join(instance, invite_code)
            case LeaveGroup(group_id):
                invite_links.leave(instance, group_id)
            case CreateGroup():
                return MessengerGroup(free_group_id(instance, creator=instance.phone))
        return None

    def has_account(self, instance: Instance, phone: str) -> bool:
        """Everybody has, but for contacts of whom it was said that they have not."""
        who = chat_ids.of_phone(phone)
        return not SandboxContact.objects.filter(instance=instance, chat_id=who, has_account=False).exists()

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """The sandbox obeys at once."""
        OBEY[button](instance, acting_user=acting_user)

    def qr_text(self, instance: Instance) -> str:
        """The URL of the instance's sandbox phone, a page that signed-in users can open."""
        return f"{settings.SITE_URL}{tool_url('phone', instance.number)}"

    def work(self, now: datetime) -> int:
        """Makes the ticks that are due, some of each instance in turn."""
        those = due(now).filter(due_at__lte=now).values("instance").annotate(first=Min("due_at"))
        keys = those.order_by("first").values_list("instance", flat=True)[:INSTANCES_A_PASS]
        made = 0
        for instance in Instance.objects.filter(pk__in=list(keys)):
            try:
                made += make_due_receipts(instance, now)
            except Instance.DoesNotExist:
                continue  # deleted meanwhile
        return made

    def next_work(self, now: datetime) -> datetime | None:
        """When the next tick is due."""
        first: datetime | None = due(now).aggregate(first=Min("due_at"))["first"]
        return first


def due(now: datetime) -> QuerySet[SandboxReceipt]:
    """The ticks that will come by themselves: those of instances that their messenger can reach."""
    return SandboxReceipt.objects.filter(due_at__isnull=False, instance__in=Instance.objects.connected(now))
