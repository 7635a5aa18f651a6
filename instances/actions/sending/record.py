"""Records what has become of messages: sent, failed, or waiting for another try; of many instances in one transaction.

A transaction costs as much as ten messages, and with many instances most have one message each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from hooks.sql import bulk_insert
from instances import chat_ids, fast_lookup, message_numbers
from instances.actions import events
from instances.actions.chats import chats
from instances.models import (
    WAITING_SQL,
    Ack,
    Chat,
    Instance,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    SendingTry,
    SendState,
)

MAX_REASON = 1_000  # characters


@dataclass(frozen=True, slots=True)
class SentMessage:
    """The messenger has the message, or has deleted it. `acks` are those that it has already, in order.

    `messenger_chat_id` is what the messenger calls the chat, if it has said so.
    """

    outgoing: OutgoingMessage
    acks: Sequence[Ack] = ()
    messenger_id: str = ""
    messenger_chat_id: str = ""


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """The message is not tried again."""

    outgoing: OutgoingMessage
    reason: str


@dataclass(frozen=True, slots=True)
class RetriedMessage:
    """The message waits for another try, now if `next_try_at` is None; with `messenger_chat_id`, in that chat."""

    outgoing: OutgoingMessage
    reason: str = ""
    next_try_at: datetime | None = None
    messenger_chat_id: str = ""


Recorded = SentMessage | FailedMessage | RetriedMessage


@dataclass(frozen=True, slots=True)
class QueueWait:
    """Why nothing of a queue is sent; `until` None: it does not wait."""

    until: datetime | None = None
    reason: str = ""


@dataclass
class Leaving:
    """How many messages leave a queue, and how many of these are neither a Message nor failed."""

    length: int = 0
    removed: int = 0


@transaction.atomic
def record_results(
    results: Sequence[Recorded],
    *,
    tries: Sequence[SendingTry] = (),
    waits: Mapping[int, QueueWait] | None = None,
) -> int:
    """Record results, in this order, and the tries; returns how many messages have left their queues.

    Writes the messages that were sent with their hooks, marks deleted messages, and removes all of them from their
    queues. `waits` are by the instance's key. A message that is no longer in its queue (cleared, or recorded by another
    sender), or whose instance was deleted, is skipped.
    """
    sent = [result for result in results if isinstance(result, SentMessage)]
    moved = [result for result in results if isinstance(result, RetriedMessage) and result.messenger_chat_id]
    changed: list[SentMessage | RetriedMessage] = [*sent, *moved]
    instances = lock_instances({result.outgoing.instance_id for result in changed})
    left = remove_from_queue(result.outgoing for result in sent if result.outgoing.instance_id in instances)
    sent = [result for result in sent if result.outgoing.pk in left]
    leaving: defaultdict[int, Leaving] = defaultdict(Leaving)
    by_instance: defaultdict[int, list[SentMessage]] = defaultdict(list)
    for result in sent:
        of_queue = leaving[result.outgoing.instance_id]
        of_queue.length += 1
        if result.outgoing.deletes:
            of_queue.removed += 1
        else:
            by_instance[result.outgoing.instance_id].append(result)
    write_messages({instances[key]: by_instance[key] for key in sorted(by_instance)})
    add_chats(instances, moved)
    remember_chats(changed)
    # after the messages: a message can be queued directly before its deletion
    mark_deleted(result.outgoing for result in sent if result.outgoing.deletes)
    failed = fail_messages([result for result in results if isinstance(result, FailedMessage)])
    for key, number in failed.items():
        leaving[key].length += number
    retry_messages([result for result in results if isinstance(result, RetriedMessage)])
    bulk_insert.insert(tries)
    # Last, so that concurrent sendMessage calls wait only for the commit.
    update_queues(leaving, waits or {})
    return len(sent) + failed.total()


def lock_instances(keys: Iterable[int]) -> dict[int, Instance]:
    """Lock the rows of these instances, in the order of their keys, and return those that exist."""
    wanted = sorted(keys)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT {fast_lookup.COLUMNS} FROM "{fast_lookup.TABLE}" WHERE id = ANY(%s) ORDER BY id'
            " FOR NO KEY UPDATE",
            [wanted],
        )
        found = [fast_lookup.ROW.build(row) for row in cursor.fetchall()]
    return {instance.pk: instance for instance in found}


def remove_from_queue(messages: Iterable[OutgoingMessage]) -> set[int]:
    """Delete these rows; returns the keys of those that still existed, so that only one sender records each."""
    keys = [outgoing.pk for outgoing in messages]
    if not keys:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            f'DELETE FROM "{OutgoingMessage._meta.db_table}" WHERE id = ANY(%s) AND {WAITING_SQL} RETURNING id',
            [keys],
        )
        return {row[0] for row in cursor.fetchall()}


def write_messages(sent: Mapping[Instance, Sequence[SentMessage]]) -> None:
    """Write the messages of these locked instances, with their numbers, chats and hooks."""
    if not sent:
        return
    now = timezone.now()
    known, created = chats.chats_of_sent_messages(
        {instance: {each.outgoing.chat_id: None for each in of_one} for instance, of_one in sent.items()},
        at=now,
    )
    last_numbers = message_numbers.last_numbers(list(sent))
    messages = {
        instance: [
            build_message(instance, each, number, known[instance.pk, each.outgoing.chat_id], now)
            for number, each in enumerate(of_one, start=last_numbers[instance.pk] + 1)
        ]
        for instance, of_one in sent.items()
    }
    bulk_insert.insert([message for of_one in messages.values() for message in of_one])
    emitted: dict[Instance, list[events.Event]] = {}
    for instance, of_one in sent.items():
        of_instance = emitted[instance] = created.get(instance, [])
        for message, each in zip(messages[instance], of_one, strict=True):
            of_instance.append(events.of_message(instance, message, ack=Ack.SENT))  # further acks follow
            of_instance.extend(events.of_ack(instance, message, ack) for ack in each.acks)
    events.emit_for_many(emitted)


def add_chats(instances: Mapping[int, Instance], moved: Iterable[RetriedMessage]) -> None:
    """Create the chats of these messages, of locked instances, as far as they do not exist yet: they have moved."""
    wanted: dict[Instance, dict[str, None]] = {}
    for result in moved:
        if instance := instances.get(result.outgoing.instance_id):
            wanted.setdefault(instance, {})[result.outgoing.chat_id] = None
    if wanted:
        _, created = chats.chats_of_sent_messages(wanted, at=timezone.now())
        events.emit_for_many(created)


def remember_chats(results: Iterable[SentMessage | RetriedMessage]) -> None:
    """Store what the messenger calls these chats, if that is new. No statement if nothing is."""
    new: dict[tuple[int, str], str] = {}
    for result in results:
        outgoing, found = result.outgoing, chat_ids.storable_messenger_id(result.messenger_chat_id)
        own = chat_ids.bare_id(outgoing.chat_id)
        if found and found != (outgoing.messenger_ids.chat or own):
            new[outgoing.instance_id, outgoing.chat_id] = "" if found == own else found
    if not new:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{Chat._meta.db_table}" c SET messenger_chat_id = u.messenger_chat_id'
            " FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS u (instance_id, chat_id, messenger_chat_id)"
            " WHERE c.instance_id = u.instance_id AND c.chat_id = u.chat_id",
            [[key for key, _ in new], [chat for _, chat in new], list(new.values())],
        )


def build_message(instance: Instance, sent: SentMessage, number: int, chat: Chat, now: datetime) -> Message:
    outgoing = sent.outgoing
    return Message(
        instance=instance,
        number=number,
        message_id=outgoing.message_id,
        messenger_id=chat_ids.storable_messenger_id(sent.messenger_id),
        chat=chat,
        author=instance.own_chat_id,
        type=outgoing.type,
        body=outgoing.body,
        caption=outgoing.caption,
        from_me=True,
        by_api=True,
        quoted=outgoing.quoted,
        metadata=outgoing.metadata,
        media_id=outgoing.media_id,
        forwarded=outgoing.forwarded,
        ack=max(sent.acks, default=Ack.SENT),
        queue_number=outgoing.queue_number,
        queued_at=outgoing.created_at,
        maybe_twice=outgoing.maybe_twice,
        time=now,
        chat_last_time=chat.last_time,
        chat_unread=chat.unread,
    )


def mark_deleted(requests: Iterable[OutgoingMessage]) -> None:
    """Mark the messages that these requests for a deletion name."""
    by_instance: defaultdict[int, list[str]] = defaultdict(list)
    for outgoing in requests:
        by_instance[outgoing.instance_id].append(outgoing.deletes)
    for key, message_ids in by_instance.items():
        Message.objects.filter(instance=key, message_id__in=message_ids, deleted_at=None).update(
            deleted_at=timezone.now()
        )


def fail_messages(failed: Sequence[FailedMessage]) -> Counter[int]:
    """Mark messages as failed; returns how many of each instance have left their queue."""
    if not failed:
        return Counter()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {OutgoingMessage._meta.db_table} m SET state = %s, failed_at = clock_timestamp(),"
            " next_try_at = NULL, reason = u.reason, maybe_twice = u.maybe_twice"
            " FROM unnest(%s::bigint[], %s::text[], %s::bool[]) AS u (id, reason, maybe_twice)"
            f" WHERE m.id = u.id AND {WAITING_SQL} RETURNING m.instance_id",
            [
                SendState.FAILED,
                [each.outgoing.pk for each in failed],
                [stored_reason(each.reason) for each in failed],
                [each.outgoing.maybe_twice for each in failed],
            ],
        )
        return Counter(row[0] for row in cursor.fetchall())


def retry_messages(retried: Sequence[RetriedMessage]) -> None:
    """Put messages that were being sent back in their queues."""
    if not retried:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {OutgoingMessage._meta.db_table} m SET state = %s, next_try_at = u.next_try_at,"
            " reason = u.reason, maybe_twice = u.maybe_twice"
            " FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::bool[])"
            " AS u (id, next_try_at, reason, maybe_twice)"
            f" WHERE m.id = u.id AND {WAITING_SQL}",
            [
                SendState.QUEUED,
                [each.outgoing.pk for each in retried],
                [each.next_try_at for each in retried],
                [stored_reason(each.reason) for each in retried],
                [each.outgoing.maybe_twice for each in retried],
            ],
        )


def stored_reason(reason: str) -> str:
    return reason.replace("\x00", "")[:MAX_REASON]


def update_queues(leaving: Mapping[int, Leaving], waits: Mapping[int, QueueWait]) -> None:
    """Subtract what has left the queues, and set why they wait. Locks them in the order of their keys."""
    keys = sorted({*leaving, *waits})
    if not keys:
        return
    unchanged = Leaving()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH locked AS MATERIALIZED (
                SELECT q.instance_id, u.* FROM {OutgoingQueue._meta.db_table} q
                JOIN unnest(%s::bigint[], %s::int[], %s::int[], %s::bool[], %s::timestamptz[], %s::text[])
                    AS u (id, length, removed, waits, until, reason) ON q.instance_id = u.id
                ORDER BY q.instance_id FOR NO KEY UPDATE OF q
            )
            UPDATE {OutgoingQueue._meta.db_table} q SET
                length = q.length - locked.length, removed = q.removed + locked.removed,
                waits_until = CASE WHEN locked.waits THEN locked.until ELSE q.waits_until END,
                wait_reason = CASE WHEN locked.waits THEN locked.reason ELSE q.wait_reason END
            FROM locked WHERE q.instance_id = locked.instance_id
            """,
            [
                keys,
                [leaving.get(key, unchanged).length for key in keys],
                [leaving.get(key, unchanged).removed for key in keys],
                [key in waits for key in keys],
                [waits[key].until if key in waits else None for key in keys],
                [stored_reason(waits[key].reason) if key in waits else "" for key in keys],
            ],
        )
