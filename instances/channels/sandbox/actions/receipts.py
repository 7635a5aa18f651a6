"""What the sandbox's contacts do with a message that was sent to them: get it, read it, or neither.

A receipt is the next tick of one contact on one message (models.SandboxReceipt says which have a row). Making a tick
plans the following one in the same transaction, so sent, delivered and viewed keep their order whatever happens to
the process. A message to a group is delivered, or viewed, when it is so by all of its members.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from instances import chat_ids
from instances.actions import events
from instances.actions.message_lookup import UnknownMessage
from instances.actions.messages import record_acks
from instances.actions.sending.accept import OUTGOING_CHANNEL
from instances.models import Ack, Instance, Message, Participant, SandboxContact, SandboxReceipt

WORK = "work"  # payload of OUTGOING_CHANNEL: something else than a message may be due
RECEIPTS_A_PASS = 100  # of one instance, in one transaction
MESSAGES_RECONSIDERED = 400  # the newest ones that a contact looks at again after a change of mind
NOT_WRITTEN_YET = timedelta(seconds=1)


class Next(NamedTuple):
    """The tick that a contact makes next, and when; None: not as things are."""

    ack: Ack
    due_at: datetime | None


def after(contact: SandboxContact | None, ack: Ack, now: datetime) -> Next | None:
    """What a contact who has made this tick does next; None after the last. Nobody's row is the default's mind."""
    if ack == Ack.VIEWED:
        return None
    mind = contact or SandboxContact()
    following = Ack(ack + 1)
    seconds = mind.deliver_after if following == Ack.DELIVERED else mind.read_after
    waits = seconds is None or not mind.online or (following == Ack.DELIVERED and not mind.is_reachable)
    return Next(following, None if waits else now + timedelta(seconds=seconds or 0))


def at_once(contact: SandboxContact | None, now: datetime) -> tuple[Ack, Next | None]:
    """How far a message gets with a contact in the moment in which it is sent, and what comes next."""
    ack = Ack.SENT
    while (step := after(contact, ack, now)) and step.due_at is not None and step.due_at <= now:
        ack = step.ack
    return ack, step


def contact_behaviours(instance: Instance, people: Iterable[str]) -> dict[str, SandboxContact]:
    """Those of these chat ids who are not like everybody."""
    found = SandboxContact.objects.filter(instance=instance, chat_id__in=list(people))
    return {contact.chat_id: contact for contact in found}


def contact_behaviour(instance: Instance, chat_id: str) -> SandboxContact | None:
    """This contact, if they are not like everybody. Each message asks, and most hear no: in SQL for 60 µs, not 250."""
    table = SandboxContact._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE instance_id = %s AND chat_id = %s", [instance.pk, chat_id]
        )
        row = cursor.fetchone()
    return SandboxContact.objects.filter(pk=row[0]).first() if row else None


def plan_receipts(instance: Instance, *, message_id: str, chat_id: str) -> Sequence[Ack]:
    """A message has just been sent to this chat: the ticks that it has at once, in order. The others are planned.

    Called again for the same message, it plans anew.
    """
    now = timezone.now()
    if not chat_ids.is_group(chat_id):
        contact = contact_behaviour(instance, chat_id)
        ack, step = at_once(contact, now)
        if step is not None and step.due_at is not None:
            plan(instance, message_id, {chat_id: step})
        return [each for each in Ack if each <= ack]
    members = [
        member
        for member in Participant.objects.filter(chat__instance=instance, chat__chat_id=chat_id).values_list(
            "member", flat=True
        )
        if member != instance.own_chat_id
    ]
    if not members:  # a group that nobody has told us about: like a single person
        return [Ack.SENT, Ack.DELIVERED]
    known = contact_behaviours(instance, members)
    reached = {member: at_once(known.get(member), now) for member in members}
    plan(instance, message_id, {member: step for member, (_, step) in reached.items() if step is not None})
    slowest = min(ack for ack, _ in reached.values())
    return [each for each in Ack if each <= slowest]


@transaction.atomic
def plan(instance: Instance, message_id: str, steps: Mapping[str, Next]) -> None:
    """Writes what these contacts do next with this message, in place of what was planned."""
    SandboxReceipt.objects.filter(instance=instance, message_id=message_id).delete()
    SandboxReceipt.objects.bulk_create(
        SandboxReceipt(
            instance=instance, message_id=message_id, chat_id=member, ack=step.ack, due_at=step.due_at
        )
        for member, step in steps.items()
    )


@transaction.atomic
def make_due_receipts(instance: Instance, now: datetime) -> int:
    """Makes the ticks of this instance that are due, at most RECEIPTS_A_PASS; returns how many were looked at."""
    events.lock(instance)
    due = list(
        SandboxReceipt.objects.filter(instance=instance, due_at__lte=now).order_by("due_at", "pk")[
            :RECEIPTS_A_PASS
        ]
    )
    messages = {
        message.message_id: message
        for message in Message.objects.select_related("chat").filter(
            instance=instance, from_me=True, message_id__in={receipt.message_id for receipt in due}
        )
    }
    known = contact_behaviours(instance, {receipt.chat_id for receipt in due})
    ticks = []
    for receipt in due:
        message = messages.get(receipt.message_id)
        if message is not None:
            ticks += step_on(receipt, message, known.get(receipt.chat_id), Ack(receipt.ack), now)
        elif instance.outgoing.filter(message_id=receipt.message_id).exists():
            receipt.due_at = now + NOT_WRITTEN_YET  # sent, and the sender is about to write it down
            receipt.save(update_fields=["due_at"])
        else:
            receipt.delete()  # cleared from the queue after all
    record_acks(instance, ticks)
    return len(due)


def step_on(
    receipt: SandboxReceipt, message: Message, contact: SandboxContact | None, ack: Ack, now: datetime
) -> list[tuple[Message, Ack]]:
    """The contact has come as far as `ack`: plans what they do next, and returns the tick that the message gets."""
    step = after(contact, ack, now)
    in_group = chat_ids.is_group(message.chat.chat_id)
    if step is None or (step.due_at is None and not in_group):
        receipt.delete()
    else:
        receipt.ack, receipt.due_at = step.ack, step.due_at
        receipt.save(update_fields=["ack", "due_at"])
    if not in_group:
        return [(message, ack)]
    return [(message, each) for each in reached_by_all(message)]


def reached_by_all(message: Message) -> list[Ack]:
    """The ticks of a group's message: what every member has done, going by those who still have something to do.

    Who has left the group is waited for no longer.
    """
    slowest = (
        SandboxReceipt.objects.filter(
            instance=message.instance_id,
            message_id=message.message_id,
            chat_id__in=Participant.objects.filter(chat=message.chat_id).values("member"),
        )
        .order_by("ack")
        .values_list("ack", flat=True)
        .first()
    )
    if slowest is None:
        return [Ack.DELIVERED, Ack.VIEWED]
    return [Ack.DELIVERED] if slowest == Ack.VIEWED else []


@transaction.atomic
def tick_by_hand(instance: Instance, *, message_id: str, ack: Ack, contact: str = "") -> tuple[Message, bool]:
    """Contacts get or read a message because somebody says so, whatever their mind is; was it news?

    In a group `contact` (a chat id) is the one who does, "" all of them. Raises UnknownMessage, also when that one
    is not in the group.
    """
    events.lock(instance)
    now = timezone.now()
    message = (
        Message.objects.select_related("chat")
        .filter(instance=instance, message_id=message_id, from_me=True)
        .first()
    )
    if message is None:
        raise UnknownMessage("The instance has sent no message with this id.")
    message.instance, before = instance, message.ack
    if not chat_ids.is_group(message.chat.chat_id):
        if contact and contact != message.chat.chat_id:
            raise UnknownMessage("The message was sent to somebody else.")
        record_acks(instance, [(message, ack)])
        mind = SandboxContact.objects.filter(instance=instance, chat_id=message.chat.chat_id).first()
        reconsider(instance, [message], mind, now)
        wake()
        return message, message.ack != before
    waiting = SandboxReceipt.objects.filter(instance=instance, message_id=message_id, ack__lte=ack)
    if contact:
        if not message.chat.participants.filter(member=contact).exists():
            raise UnknownMessage("The message was sent to a group that this contact is not in.")
        waiting = waiting.filter(chat_id=contact)
    known = contact_behaviours(instance, waiting.values_list("chat_id", flat=True))
    ticks = [
        tick
        for receipt in waiting
        for tick in step_on(receipt, message, known.get(receipt.chat_id), ack, now)
    ]
    record_acks(instance, ticks if contact else [(message, ack)])
    wake()
    return message, bool(ticks) or message.ack != before


def reconsider(
    instance: Instance, messages: Iterable[Message], contact: SandboxContact | None, now: datetime
) -> None:
    """Plans anew what a person does with these messages of their own chat; groups' are left alone."""
    rows: defaultdict[str, list[SandboxReceipt]] = defaultdict(list)
    for message in messages:
        if chat_ids.is_group(message.chat.chat_id):
            continue
        rows[message.message_id] = []
        missed = contact and contact.missed_until and message.time <= contact.missed_until
        step = after(contact, Ack(message.ack or Ack.SENT), now)
        if step and step.due_at is not None and not (missed and step.ack == Ack.DELIVERED):
            rows[message.message_id].append(
                SandboxReceipt(
                    instance=instance,
                    message_id=message.message_id,
                    chat_id=message.chat.chat_id,
                    ack=step.ack,
                    due_at=step.due_at,
                )
            )
    SandboxReceipt.objects.filter(instance=instance, message_id__in=list(rows)).delete()
    SandboxReceipt.objects.bulk_create(row for each in rows.values() for row in each)


def apply_new_behaviour(instance: Instance, contact: SandboxContact) -> None:
    """A contact is another than they were: plans anew what they do with what they have not read yet.

    That is the newest MESSAGES_RECONSIDERED of their own chat and all that waits for them in groups. The caller
    holds the instance's lock.
    """
    now = timezone.now()
    unread = (
        Message.objects.select_related("chat")
        .filter(instance=instance, chat__chat_id=contact.chat_id, from_me=True, ack__lt=Ack.VIEWED)
        .order_by("-number")[:MESSAGES_RECONSIDERED]
    )
    reconsider(instance, reversed(unread), contact, now)
    waiting = SandboxReceipt.objects.filter(instance=instance, chat_id=contact.chat_id).exclude(
        message_id__in=[message.message_id for message in unread]
    )
    sent_at = dict(
        Message.objects.filter(instance=instance, message_id__in=waiting.values("message_id")).values_list(
            "message_id", "time"
        )
    )
    for receipt in waiting:
        step = after(contact, Ack(receipt.ack - 1), now)
        missed = contact.missed_until and sent_at.get(receipt.message_id, now) <= contact.missed_until
        receipt.due_at = None if missed and receipt.ack == Ack.DELIVERED else step.due_at if step else None
    SandboxReceipt.objects.bulk_update(waiting, ["due_at"])
    wake()


def wake() -> None:
    """The loop looks at what is due as soon as this transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [OUTGOING_CHANNEL, WORK])
