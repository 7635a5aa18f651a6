"""Finds the hooks that held back later hooks of their endpoint, how many, and for how long.

Nothing is stored for it: the times at which hooks were created and first sent say it. The endpoint's present delivery
mode counts, except where these times show that the next hook did not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from hooks.dispatch.lanes import LATE_SECONDS
from hooks.models import Attempt, Endpoint, Hook, State, Trigger, created_since

LATE = timedelta(seconds=LATE_SECONDS)
NO_WAIT = LATE / 2  # the next hook was sent this soon: it was not held back
MAX_HELD_BACK = 100  # hooks read behind one
RECENT = timedelta(hours=1)
NEWEST = 500  # of the endpoint's hooks: recent_holds() reads no others
MAX_HOLDS = 50


@dataclass(frozen=True)
class LaterHook:
    """A hook after the one that may have held it back."""

    key: int
    created_at: datetime


@dataclass(frozen=True)
class Hold:
    """One hook that held back the next `hooks`, at most MAX_HELD_BACK, and the first of them for `waited`."""

    hook: Hook
    hooks: int
    waited: timedelta
    for_retries: bool  # they waited until the hook was finished (strictOrder); else for its late response
    is_over: bool  # if not, they are still waiting


def hold_of(hook: Hook, first: Attempt) -> Hold | None:
    """Returns how many hooks waited for this one, given its first attempt; None if none did.

    At most two queries; none if it was in time.
    """
    is_of_lane = first.number == 1 and first.trigger == Trigger.EVENT and not hook.simulated
    if not is_of_lane or hook.endpoint.parallel or not may_hold(first, hook, hook.endpoint):
        return None
    later = read_lane(
        Hook.objects.filter(endpoint_id=hook.endpoint_id, pk__gt=hook.pk).order_by("pk")[:MAX_HELD_BACK]
    )
    starts = starts_of(later[:1])
    return find_hold(first, hook, hook.endpoint, later, starts)


def recent_holds(endpoint: Endpoint) -> list[Hold]:
    """Returns the holds of RECENT among the endpoint's newest hooks, newest first, at most MAX_HOLDS.

    Two queries, and a third one if a hook may have held back others.
    """
    if endpoint.parallel:
        return []
    since = timezone.now() - RECENT
    created = Hook.objects.filter(created_since(since), endpoint_id=endpoint.pk)
    newest = read_lane(created.order_by("-pk")[:NEWEST])[::-1]
    are_slow = Q(total_ms__gte=LATE_SECONDS * 1000)
    if endpoint.strict:
        are_slow |= Q(hook__attempts_made__gt=1) | Q(hook__state=State.RETRYING)
    slow = first_attempts(hook.key for hook in newest).filter(are_slow)
    found = list(slow.select_related("hook").defer("hook__body").order_by("-hook_id")[:MAX_HOLDS])
    behind = {first.pk: [later for later in newest if later.key > first.hook_id] for first in found}
    starts = starts_of([later[0] for later in behind.values() if later])
    holds = (
        find_hold(first, first.hook, endpoint, behind[first.pk][:MAX_HELD_BACK], starts)
        for first in found
        if may_hold(first, first.hook, endpoint)
    )
    return [hold for hold in holds if hold]


def holder_of(hook: Hook) -> Hook | None:
    """Returns the retry that a queued hook of a strict lane waits for; None if there is none. At most one query."""
    if not hook.endpoint.strict or hook.state != State.QUEUED:
        return None
    retries = Hook.objects.filter(endpoint_id=hook.endpoint_id, state=State.RETRYING, pk__lt=hook.pk)
    return retries.defer("body").order_by("endpoint_id", "pk").first()


def may_hold(first: Attempt, hook: Hook, endpoint: Endpoint) -> bool:
    """Returns whether later hooks of the lane may have waited for this one, given its first attempt."""
    return first.total_ms >= LATE_SECONDS * 1000 or is_held_for_retries(hook, endpoint)


def is_held_for_retries(hook: Hook, endpoint: Endpoint) -> bool:
    """Returns whether the hook was or will be retried, and its lane waits for that."""
    return endpoint.strict and (hook.attempts_made > 1 or hook.state == State.RETRYING)


def find_hold(
    first: Attempt,
    hook: Hook,
    endpoint: Endpoint,
    later: Sequence[LaterHook],
    starts: dict[int, datetime],
) -> Hold | None:
    """Returns how many of the `later` hooks waited for this one; `starts` says when the next one was first sent.

    A late attempt holds its lane for LATE_SECONDS, and longer if too many late ones are in flight: until the next one
    starts. With strictOrder it holds the lane until it ends, and a retried hook until it is finished.
    """
    if not later:
        return None
    began, sent_at = first.started_at, starts.get(later[0].key)
    ended = began + timedelta(milliseconds=first.total_ms)
    for_retries = is_held_for_retries(hook, endpoint)
    if for_retries:
        ended = max(hook.finished_at or timezone.now(), ended)
    limit = ended if endpoint.strict else began + LATE
    released = limit if sent_at is None else min(sent_at, ended)
    if released < began + NO_WAIT:
        return None
    waiting = [each for each in later if each.created_at < min(limit, released)]
    if not waiting:
        return None
    waited = released - max(waiting[0].created_at, began)
    is_over = not for_retries or hook.is_finished or sent_at is not None
    return Hold(hook, len(waiting), waited, for_retries, is_over)


def first_attempts(keys: Iterable[int]) -> QuerySet[Attempt]:
    """Returns the first attempts of these hooks, as far as they were made for the event."""
    return Attempt.objects.filter(hook_id__in=list(keys), number=1, trigger=Trigger.EVENT)


def read_lane(hooks: QuerySet[Hook]) -> list[LaterHook]:
    """Returns those of the hooks that are sent in their lane: no simulations, and none that was skipped."""
    rows = hooks.values_list("pk", "created_at", "simulated", "state")
    return [
        LaterHook(key, created_at)
        for key, created_at, simulated, state in rows
        if not simulated and state != State.SKIPPED
    ]


def starts_of(hooks: Iterable[LaterHook]) -> dict[int, datetime]:
    """Returns the start of the first attempt of each of these hooks that has one."""
    attempts = first_attempts({hook.key for hook in hooks})
    return dict(attempts.values_list("hook_id", "started_at"))
