"""Records what has become of messages that were sent: what channels do in this process, then all results together."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Min

from hooks import database_clock
from instances.actions.channel_links import lose_link
from instances.actions.sending.record import (
    FailedMessage,
    QueueWait,
    Recorded,
    RetriedMessage,
    record_results,
)
from instances.channels.requests import Sent
from instances.models import Instance, SendingTry
from instances.sending.back_off import TRIED_FOR, seconds_to_next_try
from instances.sending.tries import Ended, sent_message

log = logging.getLogger(__name__)

NOT_RECORDED_SECONDS = 30.0  # after which a message whose result cannot be stored is tried again
LONG_TRIED = 9  # tries, which take 8 minutes: from then on, the age of the first one matters


@dataclass
class Batch:
    """Results that are recorded together, and why queues wait, by the instance's key."""

    results: list[Ended]
    waits: dict[int, QueueWait] = field(default_factory=dict)

    def instances(self) -> list[int]:
        return list(dict.fromkeys([*(ended.outgoing.instance_id for ended in self.results), *self.waits]))

    def take(self, instances: Collection[int]) -> Batch:
        """Remove and return what belongs to these instances."""
        taken = [ended for ended in self.results if ended.outgoing.instance_id in instances]
        self.results = [ended for ended in self.results if ended.outgoing.instance_id not in instances]
        return Batch(taken, {key: self.waits.pop(key) for key in list(self.waits) if key in instances})

    def add(self, other: Batch) -> None:
        self.results += other.results
        self.waits |= other.waits


def is_locked(error: OperationalError) -> bool:
    """Returns whether a statement has waited for another session's lock for longer than lock_timeout."""
    return isinstance(error.__cause__, psycopg.errors.LockNotAvailable)


def record(results: Sequence[Ended], waits: Mapping[int, QueueWait]) -> int:
    """Have channels carry out what they do in this process, then record all results. No transaction is open.

    Returns how many messages have left their queues. After an error it may be called again with the same results.
    """
    carry_out(results)
    end_long_tried(results)
    left = 0
    try:
        left = write(results, waits)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # one instance's failure must not stop the others
        log.exception("Recording results of messages failed; recording them for each instance alone")
        left = record_one_by_one(results, waits)
    for ended in results:
        if ended.unlinked:
            unlink(ended)
    return left


def write(results: Sequence[Ended], waits: Mapping[int, QueueWait]) -> int:
    return record_results(
        [ended.recorded for ended in results if ended.recorded is not None],
        tries=[ended.sending_try for ended in results if ended.sending_try is not None],
        waits=waits,
    )


def record_one_by_one(results: Sequence[Ended], waits: Mapping[int, QueueWait]) -> int:
    left = 0
    for key in dict.fromkeys([*(ended.outgoing.instance_id for ended in results), *waits]):
        of_one = [ended for ended in results if ended.outgoing.instance_id == key]
        try:
            left += write(of_one, {key: waits[key]} if key in waits else {})
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("Results of the instance with key %s are lost; its messages are sent again", key)
            due = database_clock.now() + timedelta(seconds=NOT_RECORDED_SECONDS)
            for ended in of_one:
                ended.recorded = RetriedMessage(ended.outgoing, "this server could not store the result", due)
                ended.sending_try = None
            with contextlib.suppress(DatabaseError):
                write(of_one, {})
    return left


def carry_out(results: Sequence[Ended]) -> None:
    """Have channels send the messages of this process. A message that fails holds the ones after it in its chat."""
    held: set[tuple[int, str]] = set()
    todo = [ended for ended in results if ended.recorded is None]
    done = carry_out_together(todo)
    for ended in todo:
        chat = (ended.outgoing.instance_id, ended.outgoing.chat_id)
        if ended.outgoing.pk in done:
            ended.recorded = done[ended.outgoing.pk]
        elif chat in held:
            ended.recorded = RetriedMessage(ended.outgoing)
        else:
            ended.recorded = carry_out_one(ended)
        if isinstance(ended.recorded, RetriedMessage):
            held.add(chat)


def carry_out_together(todo: Sequence[Ended]) -> dict[int, Recorded]:
    """Returns results by the message's key; none of a channel that fails."""
    done: dict[int, Recorded] = {}
    for channel in {id(ended.queue.channel): ended.queue.channel for ended in todo}.values():
        of_channel = [ended for ended in todo if ended.queue.channel is channel]
        try:
            found = channel.carry_out([(ended.queue.instance, ended.outgoing) for ended in of_channel])
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # noqa: BLE001 - found again, and logged, by carry_out_one
            continue
        done |= {
            ended.outgoing.pk: recorded_of(ended, result)
            for ended, result in zip(of_channel, found, strict=True)
        }
    return done


def carry_out_one(ended: Ended) -> Recorded:
    try:
        [result] = ended.queue.channel.carry_out([(ended.queue.instance, ended.outgoing)])
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # one instance's failure must not stop the others
        log.exception("Message %s failed; it is sent again", ended.outgoing.message_id)
        ended.is_fault = True
        due = database_clock.now() + timedelta(seconds=seconds_to_next_try(ended.outgoing.tries))
        return RetriedMessage(ended.outgoing, str(error), due)
    return recorded_of(ended, result)


def recorded_of(ended: Ended, result: object) -> Recorded:
    if isinstance(result, Sent):
        return sent_message(ended.outgoing, result, ended.messenger_id)
    return FailedMessage(ended.outgoing, str(getattr(result, "reason", "")))


def end_long_tried(results: Sequence[Ended]) -> None:
    """Let messages fail that have been tried for a day. No query for those with few tries."""
    old = database_clock.now() - TRIED_FOR
    for ended in results:
        outgoing = ended.outgoing
        if (
            isinstance(ended.recorded, RetriedMessage)
            and outgoing.tries > LONG_TRIED
            and outgoing.created_at < old
        ):
            tries = SendingTry.objects.filter(instance=outgoing.instance_id, message_id=outgoing.message_id)
            first = tries.filter(queue_number=outgoing.queue_number).aggregate(at=Min("started_at"))["at"]
            if first is not None and first < old:
                ended.recorded = FailedMessage(outgoing, ended.recorded.reason)


def unlink(ended: Ended) -> None:
    """The messenger does not accept the credentials: the instance is not linked any more, and its messages wait."""
    instance = Instance.objects.filter(pk=ended.outgoing.instance_id).first()
    if instance is None or instance.status_changed_at != ended.linked_at:
        return  # deleted, unlinked already, or linked again since
    with contextlib.suppress(Instance.DoesNotExist):
        log.warning("Instance %s is not linked any more: %s", instance.number, ended.unlinked)
        lose_link(instance, reason=ended.unlinked)
