"""Receipts: the acks of the sandbox's contacts for messages sent to them.

A SandboxReceipt is the next ack of one contact for one message; the model says which of them have a row. An ack is
recorded and the following one planned in the same transaction, so sent, delivered and viewed keep their order even
if the process dies. A message to a group is delivered, or viewed, once all its members have given that ack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from hooks import database_clock
from hooks.wakeups import notify_after_commit
from instances import chat_ids
from instances.actions import events
from instances.actions.message_lookup import UnknownMessage, find_sent
from instances.actions.messages import record_acks
from instances.actions.sending.accept import OUTGOING_CHANNEL
from instances.channels.sandbox.behaviour import (
    NextAck,
    acks_when_sent,
    behaviours_of,
    contact_behaviours,
    next_ack,
)
from instances.models import Ack, Instance, Message, Participant, SandboxContact, SandboxReceipt

CHANNEL_WORK = "work"  # payload of OUTGOING_CHANNEL: something other than a message may be due
RECEIPTS_PER_PASS = 100  # of one instance, in one transaction
MAX_REPLANNED = (
    400  # messages of a contact's own chat, newest first, planned again when their behaviour changes
)
NOT_RECORDED_DELAY = timedelta(seconds=1)


class SentTo(NamedTuple):
    """A message that was sent, and to which contact or group."""

    instance: Instance
    message_id: str
    chat_id: str


def plan_receipts(sent: Sequence[SentTo]) -> list[Sequence[Ack]]:
    """Returns the acks that each message sent now gets immediately, in order, and plans the others.

    A second call for the same message replaces what the first one planned. One query for any number of messages to
    contacts, and three more if acks are planned; a message to a group takes two more.
    """
    now = database_clock.now()
    direct = {(one.instance.pk, one.chat_id) for one in sent if not chat_ids.is_group(one.chat_id)}
    known = behaviours_of(direct) if direct else {}
    acks: list[Sequence[Ack]] = []
    planned: list[tuple[SentTo, Mapping[str, NextAck]]] = []
    for one in sent:
        if chat_ids.is_group(one.chat_id):
            given, of_members = plan_group(one, now)
            planned.append((one, of_members))
        else:
            ack, following = acks_when_sent(known.get((one.instance.pk, one.chat_id)), now)
            given = acks_up_to(ack)
            if following is not None and following.due_at is not None:
                planned.append((one, {one.chat_id: following}))
        acks.append(given)
    if planned:
        replace_receipts(planned)
    return acks


def plan_group(one: SentTo, now: datetime) -> tuple[Sequence[Ack], Mapping[str, NextAck]]:
    """Returns the acks of a message to a group, and each member's next one.

    A group without members behaves like one contact without a row.
    """
    members = list(
        Participant.objects.filter(chat__instance=one.instance, chat__chat_id=one.chat_id)
        .exclude(member=one.instance.own_chat_id)
        .values_list("member", flat=True)
    )
    if not members:
        return [Ack.SENT, Ack.DELIVERED], {}
    known = contact_behaviours(one.instance, members)
    reached = {member: acks_when_sent(known.get(member), now) for member in members}
    planned = {member: following for member, (_, following) in reached.items() if following is not None}
    return acks_up_to(min(ack for ack, _ in reached.values())), planned


def acks_up_to(ack: Ack) -> list[Ack]:
    return [each for each in Ack if each <= ack]


@transaction.atomic
def replace_receipts(planned: Sequence[tuple[SentTo, Mapping[str, NextAck]]]) -> None:
    """Replace the receipts of each message by these, by the contact's chat id."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {SandboxReceipt._meta.db_table} receipt"
            " USING unnest(%s::bigint[], %s::text[]) AS sent (instance_id, message_id)"
            " WHERE receipt.instance_id = sent.instance_id AND receipt.message_id = sent.message_id",
            [[one.instance.pk for one, _ in planned], [one.message_id for one, _ in planned]],
        )
    SandboxReceipt.objects.bulk_create(
        SandboxReceipt(
            instance=one.instance,
            message_id=one.message_id,
            chat_id=member,
            ack=following.ack,
            due_at=following.due_at,
        )
        for one, of_members in planned
        for member, following in of_members.items()
    )


@transaction.atomic
def record_due_receipts(instance: Instance, *, now: datetime) -> int:
    """Record the acks that are due, at most RECEIPTS_PER_PASS; returns how many receipts were processed.

    Raises:
        Instance.DoesNotExist: the instance was deleted.
    """
    events.lock(instance)
    due = list(
        SandboxReceipt.objects.filter(instance=instance, due_at__lte=now).order_by("due_at", "pk")[
            :RECEIPTS_PER_PASS
        ]
    )
    messages = {
        message.message_id: message
        for message in Message.objects.select_related("chat").filter(
            instance=instance, from_me=True, message_id__in={receipt.message_id for receipt in due}
        )
    }
    known = contact_behaviours(instance, {receipt.chat_id for receipt in due})
    acks: list[tuple[Message, Ack]] = []
    for receipt in due:
        message = messages.get(receipt.message_id)
        if message is not None:
            acks += advance_receipt(receipt, message, known.get(receipt.chat_id), Ack(receipt.ack), now)
        elif instance.outgoing.waiting().filter(message_id=receipt.message_id).exists():
            # Sent, but the sender has not recorded the message yet.
            receipt.due_at = now + NOT_RECORDED_DELAY
            receipt.save(update_fields=["due_at"])
        else:  # The message was cleared from the queue.
            receipt.delete()
    record_acks(instance, acks)
    return len(due)


def advance_receipt(
    receipt: SandboxReceipt, message: Message, contact: SandboxContact | None, ack: Ack, now: datetime
) -> list[tuple[Message, Ack]]:
    """Plan the contact's ack after `ack`, and return the acks that the message now has."""
    following = next_ack(contact, ack, now)
    in_group = chat_ids.is_group(message.chat.chat_id)
    if following is None or (following.due_at is None and not in_group):
        receipt.delete()
    else:
        receipt.ack, receipt.due_at = following.ack, following.due_at
        receipt.save(update_fields=["ack", "due_at"])
    if not in_group:
        return [(message, ack)]
    return [(message, each) for each in acks_of_all_members(message)]


def acks_of_all_members(message: Message) -> list[Ack]:
    """Returns the acks after SENT that every member of the group has given.

    A member's receipt is their next ack. Members who have left the group do not count.
    """
    lowest = (
        SandboxReceipt.objects.filter(
            instance=message.instance_id,
            message_id=message.message_id,
            chat_id__in=Participant.objects.filter(chat=message.chat_id).values("member"),
        )
        .order_by("ack")
        .values_list("ack", flat=True)
        .first()
    )
    if lowest is None:
        return [Ack.DELIVERED, Ack.VIEWED]
    return [Ack.DELIVERED] if lowest == Ack.VIEWED else []


@transaction.atomic
def acknowledge_as_contact(
    instance: Instance, *, message_id: str, ack: Ack, contact: str = ""
) -> tuple[Message, bool]:
    """Record an ack on a user's request, whatever the contact's behaviour; returns the message and whether it changed.

    In a group, `contact` is the chat id of the member who gives the ack; "" means all members.

    Raises:
        UnknownMessage: no such message was sent, or not to this contact.
    """
    events.lock(instance)
    now = database_clock.now()
    message = find_sent(instance, message_id)
    before = message.ack
    if not chat_ids.is_group(message.chat.chat_id):
        if contact and contact != message.chat.chat_id:
            raise UnknownMessage("The message was sent to another contact.")
        record_acks(instance, [(message, ack)])
        behaviour = SandboxContact.objects.filter(instance=instance, chat_id=message.chat.chat_id).first()
        replan_receipts(instance, [message], behaviour, now)
        wake_sending_loop()
        return message, message.ack != before
    waiting = SandboxReceipt.objects.filter(instance=instance, message_id=message_id, ack__lte=ack)
    if contact:
        if not message.chat.participants.filter(member=contact).exists():
            raise UnknownMessage("The message was sent to a group that this contact is not in.")
        waiting = waiting.filter(chat_id=contact)
    known = contact_behaviours(instance, waiting.values_list("chat_id", flat=True))
    acks = [
        each
        for receipt in waiting
        for each in advance_receipt(receipt, message, known.get(receipt.chat_id), ack, now)
    ]
    record_acks(instance, acks if contact else [(message, ack)])
    wake_sending_loop()
    return message, bool(acks) or message.ack != before


@transaction.atomic
def read_as_contact(instance: Instance, *, message_ids: Iterable[str], contact: str = "") -> None:
    """Record that a contact has viewed these messages: all or none. Raises as acknowledge_as_contact does."""
    for message_id in message_ids:
        acknowledge_as_contact(instance, message_id=message_id, ack=Ack.VIEWED, contact=contact)


def replan_receipts(
    instance: Instance, messages: Iterable[Message], contact: SandboxContact | None, now: datetime
) -> None:
    """Plan again the next ack of a contact for these messages of their own chat. Ignores messages of groups."""
    planned: defaultdict[str, list[SandboxReceipt]] = defaultdict(list)
    for message in messages:
        if chat_ids.is_group(message.chat.chat_id):
            continue
        planned[message.message_id] = []
        is_missed = contact is not None and contact.has_missed(message.time)
        following = next_ack(contact, Ack(message.ack or Ack.SENT), now)
        if following and following.due_at is not None and not (is_missed and following.ack == Ack.DELIVERED):
            planned[message.message_id].append(
                SandboxReceipt(
                    instance=instance,
                    message_id=message.message_id,
                    chat_id=message.chat.chat_id,
                    ack=following.ack,
                    due_at=following.due_at,
                )
            )
    SandboxReceipt.objects.filter(instance=instance, message_id__in=list(planned)).delete()
    SandboxReceipt.objects.bulk_create(receipt for each in planned.values() for receipt in each)


def apply_new_behaviour(instance: Instance, contact: SandboxContact) -> None:
    """Plan again what a contact does with messages not yet delivered or read, after their behaviour has changed.

    Covers the newest MAX_REPLANNED messages of their own chat, and all their receipts in groups. The caller holds the
    instance's lock.
    """
    now = database_clock.now()
    unread = (
        Message.objects.select_related("chat")
        .filter(instance=instance, chat__chat_id=contact.chat_id, from_me=True, ack__lt=Ack.VIEWED)
        .order_by("-number")[:MAX_REPLANNED]
    )
    replan_receipts(instance, reversed(unread), contact, now)
    in_groups = SandboxReceipt.objects.filter(instance=instance, chat_id=contact.chat_id).exclude(
        message_id__in=[message.message_id for message in unread]
    )
    sent_at = dict(
        Message.objects.filter(instance=instance, message_id__in=in_groups.values("message_id")).values_list(
            "message_id", "time"
        )
    )
    for receipt in in_groups:
        following = next_ack(contact, Ack(receipt.ack - 1), now)
        is_missed = contact.has_missed(sent_at.get(receipt.message_id, now))
        is_delivery = receipt.ack == Ack.DELIVERED
        receipt.due_at = None if following is None or (is_missed and is_delivery) else following.due_at
    SandboxReceipt.objects.bulk_update(in_groups, ["due_at"])
    wake_sending_loop()


def wake_sending_loop() -> None:
    """Make the loop check for due receipts after this transaction's commit."""
    notify_after_commit(OUTGOING_CHANNEL, CHANNEL_WORK)
