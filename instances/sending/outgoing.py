"""The outgoing queues: what is due goes to the channel, in queue order, each instance at its own pace.

A queue is claimed by one UPDATE that moves its `next_send_at` past the channel's deadline, so of
several senders one wins, nothing is locked while the channel works, and what a dead sender held is
due again when the deadline is over. The UPDATE waits for the row rather than skip it: with 500
sendMessage calls a second on one instance it is nearly always locked, and would be skipped for ever.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import Min, QuerySet
from django.utils import timezone

from instances import fast_lookup
from instances.actions.sending.accept import record_sent
from instances.actions.sending.rejected import remove_rejected
from instances.channels import CHANNELS, channel_of
from instances.channels.base import DEADLINE, CannotDo
from instances.models import Ack, Instance, OutgoingMessage, OutgoingQueue
from instances.models.instances import CONNECTED_SQL, connected, connected_params
from instances.sending import channel_commands

log = logging.getLogger(__name__)

INSTANCES_A_PASS = 100
# Without sendDelay so many go in one transaction, or what a slow channel takes in half of its DEADLINE. A transaction
# costs as much as ten messages, and waits in line behind the calls that fill the same queue.
MESSAGES_A_CLAIM = 100


def waiting(now: datetime) -> QuerySet[OutgoingQueue]:
    """The queues that are not empty, of instances that may send; due or not."""
    return OutgoingQueue.objects.filter(connected(now, path="instance__"), length__gt=0)


def next_due(now: datetime | None = None) -> datetime | None:
    """When the next message is due, perhaps in the past; None while nothing waits."""
    due: datetime | None = waiting(now or timezone.now()).aggregate(due=Min("next_send_at"))["due"]
    return due


def send_due(now: datetime | None = None) -> int:
    """One pass over all queues; returns how many messages have gone. Call it again until it returns 0.

    `now` is the time by which messages are due. An instance that fails is left for the next pass; that
    the database is away is raised.
    """
    now = now or timezone.now()
    due = waiting(now).filter(next_send_at__lte=now).order_by("next_send_at", "pk")
    sent = 0
    for pk in due.values_list("pk", flat=True)[:INSTANCES_A_PASS]:
        try:
            sent += send_of(pk, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one instance's fault must not stop the others' queues
            log.exception("The queue of instance with key %s was not sent; next try in %s s", pk, DEADLINE)
    return sent


def send_of(pk: int, now: datetime) -> int:
    """Sends what is due of one instance: one message if it has a sendDelay, else a few."""
    instance = claim(pk, now)
    if instance is None:
        return 0
    channel = channel_of(instance)
    taken: list[tuple[OutgoingMessage, Sequence[Ack]]] = []
    refused: list[OutgoingMessage] = []
    until = time.monotonic() + DEADLINE / 2
    try:
        for outgoing in take(instance, 1 if instance.send_delay else MESSAGES_A_CLAIM):
            if time.monotonic() > until:
                break
            try:
                taken.append((outgoing, channel.deliver(instance, outgoing)))
            except CannotDo as error:
                log.warning("Message %s was given up: %s", outgoing.message_id, error)
                refused.append(outgoing)
    except Exception:
        # those before it have gone, and would go a second time if nobody wrote it down
        write_down(instance, taken, refused, next_send_at=now + timedelta(seconds=DEADLINE))
        raise
    return write_down(instance, taken, refused, next_send_at=now + timedelta(seconds=instance.send_delay))


def write_down(
    instance: Instance,
    taken: Sequence[tuple[OutgoingMessage, Sequence[Ack]]],
    refused: Sequence[OutgoingMessage],
    *,
    next_send_at: datetime,
) -> int:
    """What came of a claim; returns how many messages have left the queue by it."""
    gone = remove_rejected(instance, refused) if refused else 0
    return gone + len(record_sent(instance, taken, next_send_at=next_send_at))


def work(now: datetime | None = None) -> int:
    """One pass over the actions that wait, and what the channels do by themselves; returns how much was done.

    A channel that fails is left for the next pass; that the database is away is raised.
    """
    now = now or timezone.now()
    done = channel_commands.perform_due_commands(now)
    for name, channel in CHANNELS.items():
        try:
            done += channel.work(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one messenger's fault must not stop the others
            log.exception("The channel %s failed in its own work", name)
    return done


def next_work(now: datetime | None = None) -> datetime | None:
    """When `work` has something to do, perhaps in the past; None while nothing is known to be due."""
    now = now or timezone.now()
    return min((due for channel in CHANNELS.values() if (due := channel.next_work(now))), default=None)


def claim(pk: int, now: datetime) -> Instance | None:
    """The instance, for DEADLINE seconds this sender's alone; None if another was faster or it may not send."""
    return fast_lookup.fetch(
        f'UPDATE "{OutgoingQueue._meta.db_table}" queue SET next_send_at = %s FROM "{fast_lookup.TABLE}"'
        " WHERE queue.instance_id = %s AND queue.next_send_at <= %s AND queue.length > 0"
        f" AND id = queue.instance_id AND {CONNECTED_SQL}"
        f" RETURNING {fast_lookup.COLUMNS}",
        [now + timedelta(seconds=DEADLINE), pk, now, *connected_params(now)],
    )


def take(instance: Instance, most: int) -> list[OutgoingMessage]:
    """The first `most` messages of the queue. Each is marked as tried now, so that it is not cleared for DEADLINE s."""
    table = OutgoingMessage._meta.db_table
    # Materialized: as a subquery of `IN`, the planner may run the SELECT once per row of the table, and each run takes
    # other rows, so that LIMIT does not hold. It does so when it takes the table for empty.
    taken = OutgoingMessage.objects.raw(
        f"WITH first AS MATERIALIZED (SELECT id FROM {table} WHERE instance_id = %s ORDER BY queue_number LIMIT %s"
        f" FOR UPDATE) UPDATE {table} SET last_try_at = clock_timestamp() FROM first WHERE {table}.id = first.id"
        f" RETURNING {table}.*",
        [instance.pk, most],
    )
    return sorted(taken, key=lambda outgoing: outgoing.queue_number)
