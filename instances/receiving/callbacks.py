"""Handles stored callbacks: reads the events of each and records them, in order per instance.

The row is marked in the transaction of its events, so a callback is handled completely or not at all, whenever the
process is killed. Handled again, it changes nothing: events are recognised by the messenger's ids. The lock on the
instance's row lets one receiver at a time handle an instance, so several may run.
"""

from __future__ import annotations

import logging

from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from chatapi.encryption.cipher import UnreadableSecret
from instances.actions import events
from instances.actions.callbacks import is_last_try, mark_handled, mark_tried
from instances.actions.received import NotRecordedYet, record_events
from instances.channels.links import link_of
from instances.channels.masking import mask_text
from instances.channels.receiving import CallbackRequest
from instances.models import CALLBACK_WAITING_SQL, ChannelLink, Instance, StoredCallback
from instances.receiving.links import pushing_channel

log = logging.getLogger(__name__)

# Of one transaction, which holds the lock on the instance's row: API calls of the instance wait for it.
CALLBACKS_A_TRANSACTION = 20
INSTANCES_A_PASS = 1_000

# The first waiting callback of each instance decides. Found by a loose index scan, one probe per instance: a backlog of
# one instance does not slow the look-up of the others.
DUE = f"""
    WITH RECURSIVE head AS (
        (SELECT instance_id, next_try_at FROM {{table}} WHERE {CALLBACK_WAITING_SQL}
         ORDER BY instance_id, id LIMIT 1)
        UNION ALL
        SELECT next.* FROM head CROSS JOIN LATERAL (
            SELECT instance_id, next_try_at FROM {{table}}
            WHERE {CALLBACK_WAITING_SQL} AND instance_id > head.instance_id
            ORDER BY instance_id, id LIMIT 1
        ) next
    )
    SELECT instance_id FROM head WHERE next_try_at <= %s LIMIT {INSTANCES_A_PASS}
"""


def handle_due() -> int:
    """Handle the callbacks that are due, of all instances; returns how many. Call it until it returns 0.

    Raises:
        OperationalError, InterfaceError: the database is not reachable.
    """
    with connection.cursor() as cursor:
        cursor.execute(DUE.format(table=StoredCallback._meta.db_table), [timezone.now()])
        keys = [row[0] for row in cursor.fetchall()]
    handled = 0
    for key in keys:
        try:
            handled += handle_instance(key)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # an error of one instance must not stop the others; the next pass tries it again
            log.exception("Handling the callbacks of the instance with key %s failed", key)
    return handled


@transaction.atomic
def handle_instance(key: int) -> int:
    """Handle the first due callbacks of an instance; returns how many were tried."""
    instance = Instance.objects.filter(pk=key).first()
    if instance is None:
        return 0  # a task deletes its callbacks
    events.lock(instance)
    link = ChannelLink.objects.filter(instance=instance).first()
    tried = 0
    for callback in (
        StoredCallback.objects.waiting().filter(instance=instance).order_by("pk")[:CALLBACKS_A_TRANSACTION]
    ):
        if callback.next_try_at > timezone.now():
            break
        tried += 1
        if not handle(instance, link, callback):
            break
    return tried


def handle(instance: Instance, link: ChannelLink | None, callback: StoredCallback) -> bool:
    """Handle one callback; returns whether the next one may be handled. False: this one is tried again first."""
    channel = pushing_channel(instance.channel)
    if link is None or channel is None:
        mark_handled(callback, refused=["The instance is no longer linked to this messenger."])
        return True
    link.instance = instance
    try:
        seen = link_of(link)
    except UnreadableSecret as error:
        mark_tried(callback, error=str(error))
        return callback.failed_at is not None
    request = CallbackRequest(
        callback.method, callback.query, tuple(callback.header_list()), callback.body_bytes()
    )
    try:
        with transaction.atomic():
            reported = channel.read_callback(seen, request)
            recorded = record_events(instance, reported, is_patient=not is_last_try(callback))
            mark_handled(callback, refused=recorded.refused)
    except (OperationalError, InterfaceError):
        raise
    except NotRecordedYet as error:
        mark_tried(callback, error=str(error))
    except Exception as error:
        log.warning(
            "instance %s: a callback was not read", instance.number, exc_info=not isinstance(error, DataError)
        )
        mark_tried(callback, error=mask_text(f"{type(error).__name__}: {error}", seen))
    return callback.failed_at is not None or callback.handled_at is not None
