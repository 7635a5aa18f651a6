"""Handles stored callbacks: reads the events of each and records them, in order per instance.

The row is marked in the transaction of its events, so a callback is handled completely or not at all, whenever the
process is killed. Handled again, it changes nothing: events are recognised by the messenger's ids. The lock on the
instance's row lets one receiver at a time handle an instance, so several may run.

The files of messages are fetched before that transaction: `handle_due` leaves such a callback to the caller for
CLAIM_SECONDS, who fetches its files and calls `handle_with_files`. A receiver that dies meanwhile has changed nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from chatapi.encryption.cipher import UnreadableSecret
from instances.actions import events
from instances.actions.callbacks import is_last_try, mark_handled, mark_tried
from instances.actions.received import NO_FILES, NotRecordedYet, ReceivedFiles, record_events
from instances.channels.links import link_of
from instances.channels.masking import mask_text
from instances.channels.media import HasMedia
from instances.channels.receiving import CallbackRequest
from instances.channels.requests import Link
from instances.models import CALLBACK_WAITING_SQL, ChannelLink, Instance, StoredCallback
from instances.receiving.files import WantedFile, wanted_files
from instances.receiving.group_lookups import WantedLookups, wanted_lookups
from instances.receiving.links import pushing_channel

log = logging.getLogger(__name__)

# Of one transaction, which holds the lock on the instance's row: API calls of the instance wait for it.
CALLBACKS_A_TRANSACTION = 20
INSTANCES_A_PASS = 1_000
# A callback whose files are being fetched is left to one receiver for this time, which it extends.
CLAIM_SECONDS = 30.0
EXTEND_SECONDS = 10.0

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


@dataclass(frozen=True, slots=True)
class FilesToFetch:
    """A callback that is handled after these files were fetched."""

    callback: int  # the key of its row
    instance: Instance
    link: Link
    channel: HasMedia
    wanted: list[WantedFile]
    lookups: list[WantedLookups]


@dataclass(slots=True)
class Fetches:
    """Callbacks whose files the caller fetches: at most `room`. Others of that kind stay due.

    `lookups` are those of callbacks that were handled: what is found of a group that is not recorded is left out.
    """

    room: int = 0
    claimed: list[FilesToFetch] = field(default_factory=list)
    lookups: list[WantedLookups] = field(default_factory=list)


def handle_due(fetches: Fetches | None = None) -> int:
    """Handle the callbacks that are due, of all instances; returns how many. Call it until it returns 0.

    A callback with files is added to `fetches` instead.

    Raises:
        OperationalError, InterfaceError: the database is not reachable.
    """
    with connection.cursor() as cursor:
        cursor.execute(DUE.format(table=StoredCallback._meta.db_table), [timezone.now()])
        keys = [row[0] for row in cursor.fetchall()]
    handled = 0
    for key in keys:
        try:
            handled += handle_instance(key, fetches or Fetches())
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # an error of one instance must not stop the others; the next pass tries it again
            log.exception("Handling the callbacks of the instance with key %s failed", key)
    return handled


@transaction.atomic
def handle_instance(key: int, fetches: Fetches) -> int:
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
        tries = callback.tries
        is_ended = handle(instance, link, callback, fetches)
        tried += callback.tries > tries
        if not is_ended:
            break
    return tried


@transaction.atomic
def handle_with_files(fetch: FilesToFetch, files: ReceivedFiles) -> bool:
    """Handle a callback whose files were fetched, unless another receiver has done it in the meantime.

    Returns whether it was handled here.
    """
    instance = Instance.objects.filter(pk=fetch.instance.pk).first()
    if instance is None:
        return False
    events.lock(instance)
    callback = StoredCallback.objects.waiting().filter(pk=fetch.callback).first()
    if callback is None:
        return False
    handle(instance, ChannelLink.objects.filter(instance=instance).first(), callback, files)
    return callback.handled_at is not None


def extend_claim(fetch: FilesToFetch, seconds: float = CLAIM_SECONDS) -> None:
    """Leave the callback to this receiver for `seconds` from now; 0: to any, as this one ends."""
    until = timezone.now() + timedelta(seconds=seconds)
    StoredCallback.objects.waiting().filter(pk=fetch.callback).update(next_try_at=until)


def handle(
    instance: Instance,
    link: ChannelLink | None,
    callback: StoredCallback,
    files: ReceivedFiles | Fetches,
) -> bool:
    """Handle one callback, with its files or after they are asked for; returns whether the next one may be handled.

    False: this one is handled first, later.
    """
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
    fetches = files if isinstance(files, Fetches) else None
    try:
        with transaction.atomic():
            reported = channel.read_callback(seen, request)
            lookups: list[WantedLookups] = []
            if fetches is not None:
                lookups = wanted_lookups(instance, seen, channel, reported)
                if isinstance(channel, HasMedia) and (wanted := wanted_files(instance, reported)):
                    fetch = FilesToFetch(callback.pk, instance, seen, channel, wanted, lookups)
                    claim(callback, fetch, fetches)
                    return False
            found = NO_FILES if isinstance(files, Fetches) else files
            recorded = record_events(instance, reported, is_patient=not is_last_try(callback), files=found)
            mark_handled(callback, refused=recorded.refused)
        if fetches is not None:
            fetches.lookups += lookups
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


def claim(callback: StoredCallback, fetch: FilesToFetch, fetches: Fetches) -> None:
    """Leave the callback to the caller, if there is room; otherwise it stays due."""
    if len(fetches.claimed) < fetches.room:
        fetches.claimed.append(fetch)
        callback.next_try_at = timezone.now() + timedelta(seconds=CLAIM_SECONDS)
        callback.save(update_fields=["next_try_at"])
