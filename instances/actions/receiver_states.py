"""Records what a receiver has received, with its cursor, and the health of its connections.

Each write names the run that owns the instance: a receiver that was replaced in the meantime changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from instances.actions import events
from instances.actions.callbacks import is_overtaken
from instances.actions.channel_links import lose_link, lose_session
from instances.actions.received import (
    NO_FILES,
    ReceivedFiles,
    Recorded,
    record_events,
    storable_text,
)
from instances.models import ChannelLink, Instance, ReceiverState
from instances.received_events import ReceivedEvent

MAX_ERROR = 1_000  # characters


class NotOwner(Exception):
    """Another receiver has the instance, or its link was removed."""


class Overtaken(Exception):
    """A look at the account's status may be older than what is recorded, or than callbacks that wait: look again."""


@transaction.atomic
def record_batch(
    instance: Instance,
    *,
    owner: int,
    old_cursor: str,
    cursor: str,
    reported: Sequence[ReceivedEvent],
    is_patient: bool,
    files: ReceivedFiles = NO_FILES,
    seen_at: datetime | None = None,
) -> Recorded:
    """Record events and the cursor after them, in one transaction. `old_cursor` is that of the last batch.

    `seen_at` is when a look at the account's status began, whose result the events are (is_overtaken).

    The instance's row is locked before the state's, as in a deletion.

    Raises:
        NotOwner: nothing is recorded.
        NotRecordedYet: `is_patient`, and an ack is of a message that is still in the queue. Nothing is recorded.
        Overtaken: nothing is recorded.
        Instance.DoesNotExist: the instance was deleted.
    """
    if seen_at is not None:
        events.lock(instance)
        if is_overtaken(instance, seen_at):
            raise Overtaken
    recorded = record_events(instance, reported, is_patient=is_patient, files=files)
    now = timezone.now()
    state = ReceiverState.objects.filter(pk=instance.pk, owner=owner, cursor=old_cursor)
    changes: dict[str, object] = {"refused": F("refused") + len(recorded.refused)} if recorded.refused else {}
    if recorded.refused:
        changes["last_refusal"] = storable_text(recorded.refused[-1])[:MAX_ERROR]
    if reported:
        changes["received_at"] = now
    if not state.update(cursor=cursor, **connected(now), **changes):
        raise NotOwner
    return recorded


def connected(now: datetime) -> dict[str, object]:
    """Returns the fields of a state whose messenger has just responded. After a failed check, it is checked at once."""
    return {
        "next_check_at": Case(When(check_failures=0, then=F("next_check_at")), default=Value(now)),
        "connected_at": Coalesce(F("connected_at"), Value(now)),
        "success_at": now,
        "failing_since": None,
        "failures": 0,
        "error": "",
    }


def record_successes(keys: Collection[int], *, owner: int) -> None:
    """Record that the messengers of these instances have responded. One statement."""
    ReceiverState.objects.filter(pk__in=keys, owner=owner).update(**connected(timezone.now()))


def record_stream(instance: Instance, *, owner: int, url: str) -> None:
    """Record where the open connection takes requests of senders; "" if it is not open. Raises NotOwner."""
    if not ReceiverState.objects.filter(pk=instance.pk, owner=owner).update(stream_url=url):
        raise NotOwner


@transaction.atomic
def record_failure(
    instance: Instance,
    *,
    owner: int,
    linked_at: datetime,
    error: str,
    failures: int,
    next_try_at: datetime,
    is_link_lost: bool = False,
    is_session_taken: bool = False,
) -> None:
    """Record that a connection failed, and when it is tried again.

    A lost link, and a session that another client has, change the instance's status too: those of the link saved at
    `linked_at` (ChannelLink.changed_at). With other credentials it is not lost.

    Raises:
        NotOwner: nothing is recorded.
        Instance.DoesNotExist: the instance was deleted.
    """
    error = storable_text(error)[:MAX_ERROR]
    if is_link_lost or is_session_taken:
        events.lock(instance)
        is_current = ChannelLink.objects.filter(instance=instance, changed_at=linked_at).exists()
        if is_current and is_link_lost:
            lose_link(instance, reason=error)
        elif is_current:
            lose_session(instance)
    now = timezone.now()
    if not ReceiverState.objects.filter(pk=instance.pk, owner=owner).update(
        connected_at=None,
        stream_url="",
        failing_since=Coalesce(F("failing_since"), Value(now)),
        failures=failures,
        error=error,
        next_try_at=next_try_at,
        # Is the messenger away? The second check decides, a few seconds after the first.
        next_check_at=Case(
            When(check_failures=0, then=Least(F("next_check_at"), Value(now))), default=F("next_check_at")
        ),
    ):
        raise NotOwner
