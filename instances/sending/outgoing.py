"""Sends the outgoing queues through the channels, in queue order, each instance at its own pace.

A sender claims a queue by one UPDATE that moves `next_send_at` past the channel's deadline. So only one of several
senders gets it, nothing is locked while the channel works, and the queue of a sender that died is due again when the
next one starts (release_claims), or after the deadline. The UPDATE waits for a locked row and does not skip it: with
500 sendMessage calls per second on one instance the row is nearly always locked, and its queue would never be sent.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Min, QuerySet

from hooks import database_clock
from instances import fast_lookup
from instances.actions.sending.accept import record_sent
from instances.actions.sending.rejected import remove_rejected
from instances.channels import CHANNELS, channel_of
from instances.channels.base import DEADLINE, Channel
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Refused, Sent
from instances.models import WAITING_SQL, Ack, Instance, OutgoingMessage, OutgoingQueue
from instances.models.instances import CONNECTED_SQL, connected, connected_params
from instances.sending import channel_commands

log = logging.getLogger(__name__)

INSTANCES_A_PASS = 100
# Messages of one transaction if there is no sendDelay; fewer if the channel needs half of its DEADLINE for them. A
# transaction costs as much as ten messages, and waits for concurrent calls that append to the same queue.
MESSAGES_A_CLAIM = 100


def sendable_queues(now: datetime) -> QuerySet[OutgoingQueue]:
    """Returns the non-empty queues of instances that may send, whether due or not."""
    return OutgoingQueue.objects.filter(connected(now, path="instance__"), length__gt=0)


def next_due(now: datetime | None = None) -> datetime | None:
    """Returns when the next message is due, possibly in the past; None if no message is waiting."""
    due: datetime | None = sendable_queues(now or database_clock.now()).aggregate(due=Min("next_send_at"))[
        "due"
    ]
    return due


def send_due(now: datetime | None = None) -> int:
    """One pass over all queues; returns how many messages have left their queues. Call it until it returns 0.

    `now` is the time by which messages are due. A queue whose channel fails is retried in a later pass.

    Raises:
        OperationalError, InterfaceError: the database is not reachable.
    """
    now = now or database_clock.now()
    due = sendable_queues(now).filter(next_send_at__lte=now).order_by("next_send_at", "pk")
    sent = 0
    for pk in due.values_list("pk", flat=True)[:INSTANCES_A_PASS]:
        try:
            sent += send_queue(pk, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one instance's failure must not stop other queues
            log.exception(
                "Sending the queue of the instance with key %s failed; next attempt in %s s", pk, DEADLINE
            )
    return sent


def send_queue(pk: int, now: datetime) -> int:
    """Send the due messages of one instance: one if it has a sendDelay, otherwise several."""
    instance = claim_queue(pk, now)
    if instance is None:
        return 0
    channel = channel_of(instance)
    sent: list[tuple[OutgoingMessage, Sequence[Ack]]] = []
    rejected: list[OutgoingMessage] = []
    until = time.monotonic() + DEADLINE / 2
    try:
        for outgoing in take_messages(instance, 1 if instance.send_delay else MESSAGES_A_CLAIM):
            if time.monotonic() > until:
                break
            match carry_out(channel, instance, outgoing):
                case Sent(acks=acks):
                    sent.append((outgoing, acks))
                case Refused(reason):
                    log.warning("Message %s was rejected: %s", outgoing.message_id, reason)
                    rejected.append(outgoing)
    except Exception:
        # The messages before it were sent; unless they are recorded, they would be sent again.
        record_results(instance, sent, rejected, next_send_at=now + timedelta(seconds=DEADLINE))
        raise
    return record_results(instance, sent, rejected, next_send_at=now + timedelta(seconds=instance.send_delay))


def carry_out(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Sent | Refused:
    """Send a message through a channel of this process."""
    prepared = channel.prepare(message_to_send(outgoing), channel.link(instance))
    if isinstance(prepared, Refused):
        return prepared
    [result] = channel.carry_out([(instance, outgoing)])
    return result


def record_results(
    instance: Instance,
    sent: Sequence[tuple[OutgoingMessage, Sequence[Ack]]],
    rejected: Sequence[OutgoingMessage],
    *,
    next_send_at: datetime,
) -> int:
    """Record the results of a claim; returns how many messages have left the queue."""
    removed = remove_rejected(instance, rejected=rejected) if rejected else 0
    return removed + len(record_sent(instance, taken=sent, next_send_at=next_send_at))


def run_channel_work(now: datetime | None = None) -> int:
    """One pass over the queued commands and the channels' background work; returns how much was done.

    A channel that fails is retried in the next pass.

    Raises:
        OperationalError, InterfaceError: the database is not reachable.
    """
    now = now or database_clock.now()
    done = channel_commands.perform_due_commands(now)
    for name, channel in CHANNELS.items():
        try:
            done += channel.work(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one messenger's failure must not stop the others
            log.exception("The background work of the channel %s failed", name)
    return done


def next_channel_work(now: datetime | None = None) -> datetime | None:
    """Returns when a channel has work, possibly in the past; None if nothing is known to be due."""
    now = now or database_clock.now()
    return min((due for channel in CHANNELS.values() if (due := channel.next_work(now))), default=None)


def claim_queue(pk: int, now: datetime) -> Instance | None:
    """Claim an instance's queue for DEADLINE seconds; returns None if another sender has it or it may not send."""
    return fast_lookup.fetch(
        f'UPDATE "{OutgoingQueue._meta.db_table}" queue SET next_send_at = %s FROM "{fast_lookup.TABLE}"'
        " WHERE queue.instance_id = %s AND queue.next_send_at <= %s AND queue.length > 0"
        f" AND id = queue.instance_id AND {CONNECTED_SQL}"
        f" RETURNING {fast_lookup.COLUMNS}",
        [now + timedelta(seconds=DEADLINE), pk, now, *connected_params(now)],
    )


def release_claims() -> int:
    """Make the queues due now that a sender had claimed when it died; returns how many. One statement.

    A message that is still in its queue and was passed to the messenger within the last DEADLINE seconds was not
    recorded: it may have been sent, and is sent again, now and not after the deadline. Call it with the sender's slot
    held: no other sender runs then, except for one that lost the slot with its database connection.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {OutgoingQueue._meta.db_table} SET next_send_at = LEAST(next_send_at, clock_timestamp())"
            f" WHERE instance_id IN (SELECT instance_id FROM {OutgoingMessage._meta.db_table}"
            f"  WHERE {WAITING_SQL} AND last_try_at > clock_timestamp() - make_interval(secs => %s))",
            [DEADLINE],
        )
        return cursor.rowcount


def take_messages(instance: Instance, limit: int) -> list[OutgoingMessage]:
    """Returns the first `limit` messages, each marked as tried now, so that it cannot be cleared for DEADLINE s."""
    table = OutgoingMessage._meta.db_table
    # Materialized: as a subquery of `IN`, the planner may run the SELECT once per row of the table; each run returns
    # other rows, so LIMIT has no effect. It does so when its statistics say that the table is empty.
    taken = OutgoingMessage.objects.raw(
        f"WITH first AS MATERIALIZED (SELECT id FROM {table} WHERE instance_id = %s AND {WAITING_SQL}"
        f" ORDER BY queue_number LIMIT %s FOR UPDATE)"
        f" UPDATE {table} SET last_try_at = clock_timestamp() FROM first WHERE {table}.id = first.id"
        f" RETURNING {table}.*",
        [instance.pk, limit],
    )
    return sorted(taken, key=lambda outgoing: outgoing.queue_number)
