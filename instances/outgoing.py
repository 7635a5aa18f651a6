"""The outgoing queues: what is due goes to the channel, in queue order, each instance at its own pace.

A queue is claimed by one UPDATE that moves its `next_send_at` past the channel's deadline, so of
several senders one wins, nothing is locked while the channel works, and what a dead sender held is
due again when the deadline is over. The UPDATE waits for the row rather than skip it: with 500
sendMessage calls a second on one instance it is nearly always locked, and would be skipped for ever.
"""

import logging
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import Min, QuerySet
from django.utils import timezone

from instances import actions, rows
from instances.channels import channel_of
from instances.channels.base import DEADLINE
from instances.models import AccountStatus, Instance, OutgoingMessage, OutgoingQueue

log = logging.getLogger(__name__)

INSTANCES_A_PASS = 100
# without sendDelay so many go in one transaction
MESSAGES_A_CLAIM = 20


def waiting(now: datetime) -> QuerySet[OutgoingQueue]:
    """The queues that are not empty, of instances that may send; due or not."""
    return OutgoingQueue.objects.filter(
        length__gt=0, instance__account_status=AccountStatus.AUTHENTICATED, instance__paid_until__gt=now
    )


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
    queue = OutgoingMessage.objects.filter(instance=instance).order_by("queue_number")
    channel = channel_of(instance)
    taken = [
        (outgoing, channel.deliver(instance, outgoing))
        for outgoing in queue[: 1 if instance.send_delay else MESSAGES_A_CLAIM]
    ]
    after = now + timedelta(seconds=instance.send_delay)
    return len(actions.record_sent(instance, taken, next_send_at=after))


def claim(pk: int, now: datetime) -> Instance | None:
    """The instance, for DEADLINE seconds this sender's alone; None if another was faster or it may not send."""
    return rows.fetch(
        f'UPDATE "{OutgoingQueue._meta.db_table}" queue SET next_send_at = %s FROM "{rows.TABLE}"'
        " WHERE queue.instance_id = %s AND queue.next_send_at <= %s AND queue.length > 0"
        " AND id = queue.instance_id AND account_status = %s AND paid_until > %s"
        f" RETURNING {rows.COLUMNS}",
        [now + timedelta(seconds=DEADLINE), pk, now, AccountStatus.AUTHENTICATED.value, now],
    )
