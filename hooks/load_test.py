"""Hooks by the thousand, through the same outbox as everybody's, to see what an installation can take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from django.db import transaction

from hooks.models import UNFINISHED, Hook, State, Tally
from hooks.outbox import Event, emit_all

PORTION = 2000  # hooks that one transaction emits at most: 200 ms


def emit_evenly(
    keys: Sequence[int], count: int, make: Callable[[int, int], Event], *, rate: float | None = None
) -> float:
    """Emit `count` hooks over the instances with these keys, in turn; returns the seconds that it took.

    `make(key, number)` gives the event; `number` counts up per instance, on from what it has ever emitted.
    With `rate`, so many a second: every transaction takes what is due by then. Without, as fast as it goes.
    """
    numbers = dict(Tally.objects.filter(pk__in=keys).values_list("pk", "emitted"))
    began, done = time.perf_counter(), 0
    while done < count:
        due = min(count - done, PORTION)
        if rate is not None:
            elapsed = time.perf_counter() - began
            due = min(due, int(elapsed * rate) + 1 - done)
            if due <= 0:
                time.sleep(done / rate - elapsed)
                continue
        shares = Counter(keys[place % len(keys)] for place in range(done, done + due))
        with transaction.atomic():
            for key, share in sorted(shares.items()):  # in one order: two of these never wait for each other
                emit_all(key, [make(key, numbers[key] + place + 1) for place in range(share)])
                numbers[key] += share
        done += due
    return time.perf_counter() - began


def is_settled(keys: Sequence[int]) -> bool:
    """Does no hook of these instances wait, and is none under way?"""
    waiting = Hook.objects.filter(endpoint_id__in=list(keys))
    # one by one, each a look into a small index of its own; at last all at once, for one may go from state to state
    return not any(waiting.filter(state=state).exists() for state in UNFINISHED) and not (
        waiting.filter(state__in=UNFINISHED).exists()
    )


def wait_until_settled(keys: Sequence[int]) -> None:
    while not is_settled(keys):
        time.sleep(0.05)


def outcome(keys: Sequence[int]) -> dict[State, int]:
    """How many hooks of these instances are in each finished state."""
    counts = Hook.objects.filter(endpoint_id__in=list(keys)).counts()
    return {state: counts[state.value] for state in State if state not in UNFINISHED}
