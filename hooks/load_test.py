"""Creates thousands of hooks through the regular outbox, to measure what an installation can handle."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from django.db import transaction

from hooks import tallies
from hooks.models import UNFINISHED, Hook, State
from hooks.outbox import Event, emit_all

BATCH = 2000  # hooks per transaction at most: 200 ms


def emit_evenly(
    keys: Sequence[int], count: int, make: Callable[[int, int], Event], *, rate: float | None = None
) -> float:
    """Create `count` events, for the instances with these keys in turn; returns the duration in seconds.

    `make(key, number)` returns the event; `number` continues the count of hooks that the instance has emitted.
    `rate` is in hooks per second: each transaction creates those due by then. None: as fast as possible.
    """
    numbers = tallies.emitted(keys)
    began, done = time.perf_counter(), 0
    while done < count:
        due = min(count - done, BATCH)
        if rate is not None:
            elapsed = time.perf_counter() - began
            due = min(due, int(elapsed * rate) + 1 - done)
            if due <= 0:
                time.sleep(done / rate - elapsed)
                continue
        shares = Counter(keys[place % len(keys)] for place in range(done, done + due))
        with transaction.atomic():
            for key, share in sorted(shares.items()):  # a fixed order, so concurrent calls do not deadlock
                emit_all(key, [make(key, numbers[key] + place + 1) for place in range(share)])
                numbers[key] += share
        done += due
    return time.perf_counter() - began


def all_finished(keys: Sequence[int]) -> bool:
    """Returns whether all hooks of these instances have finished."""
    hooks = Hook.objects.filter(endpoint_id__in=list(keys))
    # One query per state first, each a cheap index lookup; then one for all, as a hook may change state in between.
    return not any(hooks.filter(state=state).exists() for state in UNFINISHED) and not (
        hooks.filter(state__in=UNFINISHED).exists()
    )


def wait_until_finished(keys: Sequence[int]) -> None:
    while not all_finished(keys):
        time.sleep(0.05)


def outcome(keys: Sequence[int]) -> dict[State, int]:
    """Returns the number of these instances' hooks in each finished state."""
    counts = Hook.objects.filter(endpoint_id__in=list(keys)).counts()
    return {state: counts[state.value] for state in State if state not in UNFINISHED}
