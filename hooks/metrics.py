"""Counters and gauges of deliveries, which `/metrics` shows.

Dispatchers count in memory and add their counts to hooks_measure at each heartbeat, about once a second; a process that
dies loses at most that. The rows only grow, across restarts and machines. Each slot has its own rows, so no dispatcher
waits for another. Emitted, skipped and cancelled hooks are counted in their endpoint's tally, which the event's
transaction locks anyway.

Of hooks_hook only waiting hooks are counted, by index, up to MAX_WAITING.
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from hooks import tallies
from hooks.log.delays import OPEN_LANES, waiting_bounds
from hooks.log.index_order import execute_in_index_order
from hooks.models import HEARTBEAT_AGE, Endpoint, Measure, Outcome, Role, Runner, State, is_alive
from hooks.sql.lane_queries import IN_BOUNDS, unclaimed

Series = tuple[str, str]  # the name and one label: ("attempts", "ok"), ("claim_seconds", "0.05")

ATTEMPTS, FINISHED, SUM = "attempts", "finished", "sum"
CLAIM, RECORD, COMMIT = "claim_seconds", "record_seconds", "commit_seconds"
LATENESS = "retry_lateness_seconds"
BUCKETS: dict[str, tuple[float, ...]] = {
    CLAIM: (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    RECORD: (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    COMMIT: (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    LATENESS: (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
}
OTHER_PROCESSES = 1000  # the slot of counts from outside a dispatcher: simulations
MAX_WAITING = 100_000
MAX_FAILING = 10_000
# An endpoint that fails for less may be restarting; one that fails for longer is paused, or has no hooks.
FAILING_FOR, FAILING_WITHIN = timedelta(minutes=10), timedelta(days=1)

ADD = """
INSERT INTO hooks_measure (slot, name, label, value)
SELECT %s, name, label, value FROM unnest(%s::text[], %s::text[], %s::float8[]) AS u (name, label, value)
ORDER BY name, label
ON CONFLICT (slot, name, label) DO UPDATE SET value = hooks_measure.value + excluded.value
"""


def add(session: psycopg.Connection[Any], slot: int, counted: Mapping[Series, float]) -> None:
    """Add counts to the rows of a slot."""
    names, labels = [name for name, _ in counted], [label for _, label in counted]
    session.execute(ADD, [slot, names, labels, [float(value) for value in counted.values()]])


def bucket_of(name: str, value: float) -> str:
    """Returns the label of the value's bucket; "inf" above the last bound."""
    place = bisect.bisect_left(BUCKETS[name], value)
    return str(BUCKETS[name][place]) if place < len(BUCKETS[name]) else "inf"


def observed(name: str, values: Iterable[float]) -> Counter[Series]:
    """Returns the counts of values of a histogram, in its unit."""
    found: Counter[Series] = Counter()
    for value in values:
        found[name, bucket_of(name, value)] += 1
        found[name, SUM] += value  # type: ignore[assignment]
    return found


class Counts:
    """One dispatcher's counts since its last heartbeat. Its threads call it once per batch, not per hook."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: Counter[Series] = Counter()

    def count(self, counted: Mapping[Series, float]) -> None:
        with self._lock:
            self._counted.update(counted)

    def observe(self, name: str, values: Iterable[float]) -> None:
        """Add values to a histogram, in its unit."""
        self.count(observed(name, values))

    def flush(self, session: psycopg.Connection[Any], slot: int) -> None:
        """Write the counts to the database. On a database error they are kept for the next call, and it is raised."""
        with self._lock:
            flushed, self._counted = self._counted, Counter()
        if not flushed:
            return
        try:
            add(session, slot, flushed)
        except psycopg.Error:
            self.count(flushed)
            raise


class Waiting(NamedTuple):
    """The waiting hooks of one class of lanes that are due now: their number, and the age of the oldest in seconds."""

    lane: str  # "ordered" or "parallel"
    turn: str  # "first" or "retry"
    number: int
    oldest: float


# Lanes with waiting hooks are found by loose index scans (one probe per lane), then counted by the index.
# statement_timestamp() bounds the scan of the retries; clock_timestamp() is volatile, and all of them would be read.
# BETWEEN and the order leave only hooks_hook_state and hooks_hook_retrying, which has no retry of another lane.
WAITING = f"""
WITH RECURSIVE {OPEN_LANES}
SELECT class.parallel, 'first', (
    SELECT count(*) FROM (
        SELECT FROM open_lane l CROSS JOIN LATERAL (
            SELECT FROM hooks_hook
            WHERE state = 'queued' AND endpoint_id BETWEEN l.endpoint_id AND l.endpoint_id AND id > l.cursor
                AND {IN_BOUNDS}
            ORDER BY endpoint_id, id LIMIT %(limit)s
        ) of_lane WHERE l.parallel = class.parallel LIMIT %(limit)s
    ) counted
), (
    SELECT min(oldest.created_at) FROM open_lane l CROSS JOIN LATERAL (
        {unclaimed("created_at")}
    ) oldest WHERE l.parallel = class.parallel
) FROM (VALUES (false), (true)) AS class (parallel)
UNION ALL
SELECT class.parallel, 'retry', (
    SELECT count(*) FROM (
        SELECT FROM open_retry r CROSS JOIN LATERAL (
            SELECT FROM hooks_hook
            WHERE state = 'retrying' AND endpoint_id BETWEEN r.endpoint_id AND r.endpoint_id
                AND next_attempt_at <= statement_timestamp() AND {IN_BOUNDS}
            ORDER BY endpoint_id, next_attempt_at LIMIT %(limit)s
        ) of_lane WHERE r.parallel = class.parallel AND r.next_attempt_at <= statement_timestamp() LIMIT %(limit)s
    ) counted
), (
    SELECT min(r.next_attempt_at) FROM open_retry r
    WHERE r.parallel = class.parallel AND r.next_attempt_at <= statement_timestamp()
) FROM (VALUES (false), (true)) AS class (parallel)
"""


def waiting() -> list[Waiting]:
    """Returns the waiting hooks of the four classes of lanes, but not those of paused endpoints or without a URL.

    Three queries.
    """
    now = timezone.now()
    bounds = waiting_bounds()
    with connection.cursor() as cursor:
        execute_in_index_order(cursor, WAITING, {"limit": MAX_WAITING, **bounds})
        found = cursor.fetchall()
    return [
        Waiting(
            "parallel" if parallel else "ordered",
            turn,
            number,
            max((now - since).total_seconds(), 0.0) if since else 0.0,
        )
        for parallel, turn, number, since in found
    ]


def count_failing_endpoints() -> int:
    """Returns the number of endpoints all of whose attempts have failed for FAILING_FOR to FAILING_WITHIN.

    Up to MAX_FAILING. One query, by the index of failing endpoints.
    """
    now = timezone.now()
    failing = Endpoint.objects.failing().filter(
        failing_since__gt=now - FAILING_WITHIN, failing_since__lte=now - FAILING_FOR
    )
    return failing[:MAX_FAILING].count()


class Load(NamedTuple):
    """How many hooks are due, up to four times MAX_WAITING; how many endpoints fail and how many are paused, each up to
    MAX_FAILING; and how many hooks have been delivered since the first start of the site."""

    waiting: int
    failing: int
    paused: int
    delivered: int


def current_load(due: int | None = None) -> Load:
    """Returns the load of the site now. Six queries; three if `due` is the known number of waiting hooks."""
    finished = Measure.objects.filter(name=FINISHED, label=State.DELIVERED)
    return Load(
        waiting=sum(one.number for one in waiting()) if due is None else due,
        failing=Endpoint.objects.failing()[:MAX_FAILING].count(),
        paused=Endpoint.objects.paused()[:MAX_FAILING].count(),
        delivered=int(finished.aggregate(total=Sum("value"))["total"] or 0),
    )


@dataclass
class Histogram:
    """Observations per bucket (not cumulative; "inf" is last), and their sum."""

    buckets: list[tuple[str, float]]
    sum: float


@dataclass
class Snapshot:
    """All metrics at one moment. Counters only grow; durations are in seconds."""

    emitted: float
    finished: Mapping[str, float]  # by final state
    attempts: Mapping[str, float]  # by outcome
    waiting: list[Waiting]
    in_flight: int
    dispatchers: int
    heartbeat_age: float | None  # None: no dispatcher has run yet
    endpoints: int  # that have ever had a hook to send
    histograms: dict[str, Histogram] = field(default_factory=dict)


def snapshot() -> Snapshot:
    """Returns all metrics. Four queries; beyond MAX_WAITING their cost does not grow with the number of hooks."""
    measured: Counter[Series] = Counter()
    for name, label, value in Measure.objects.values_list("name", "label").annotate(value=Sum("value")):
        measured[name, label] = value
    counted = tallies.totals()
    runs = list(
        Runner.objects.unfinished(Role.DISPATCH)
        .annotate(heartbeat_age=HEARTBEAT_AGE)
        .order_by("heartbeat_age")
        .values_list("heartbeat_age", "in_flight")
    )
    alive = [in_flight for age, in_flight in runs if is_alive(age)]
    finished = {state.value: measured[FINISHED, state.value] for state in (State.DELIVERED, State.FAILED)}
    # The trigger on hooks_tally adds the counts of deleted instances to hooks_measure.
    for state, number in ((State.SKIPPED, counted.skipped), (State.CANCELLED, counted.cancelled)):
        finished[state.value] = measured[FINISHED, state.value] + number
    return Snapshot(
        emitted=measured["emitted", ""] + counted.emitted,
        finished=finished,
        attempts={outcome.value: measured[ATTEMPTS, outcome.value] for outcome in Outcome},
        waiting=waiting(),
        in_flight=sum(alive),
        dispatchers=len(alive),
        heartbeat_age=max(runs[0][0].total_seconds(), 0.0) if runs else None,
        endpoints=counted.endpoints,
        histograms={
            name: Histogram(
                [(str(bound), measured[name, str(bound)]) for bound in (*bounds, "inf")], measured[name, SUM]
            )
            for name, bounds in BUCKETS.items()
        },
    )
