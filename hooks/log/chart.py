"""The chart above the log: the number of hooks by state for each hour (or minute, or day) of the chosen period.

Without filters, delivered and failed hooks come from the counts per minute (hooks/log/statistics.py), however many
there are. Hooks in other states are counted in the index of states alone, between the keys at which the bars start; so
are all hooks of bars shorter than a minute, and of the time before counting began. With filters, the newest matching
hooks are read. What is read has a limit, and the page shows from when on the bars are complete.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Protocol

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from hooks.log import statistics
from hooks.log.index_order import execute_in_index_order, in_index_order
from hooks.models import Hook, HookQuerySet, State, created_before, created_since, smallest_public_id

MAX_BARS = 200
STEPS = (10, 60, 300, 3600, 86_400)  # seconds; the smallest step that needs at most MAX_BARS bars is used
COUNTED_STEP = 60  # seconds; the smallest step whose bars can be summed up from the counts per minute
DEFAULT_PERIOD = timedelta(days=1)
MAX_INDEX_ENTRIES = 50_000  # of each state: 17 ms
MIN_OF_EACH = 5_000  # of each state and endpoint: with many endpoints, few have many hooks
MAX_ROWS_READ = 10_000  # 20 ms

# the parts of a bar, bottom to top: name → (label, states)
PARTS: dict[str, tuple[str, tuple[State, ...]]] = {
    "delivered": ("Delivered", (State.DELIVERED,)),
    "failed": ("Failed", (State.FAILED,)),
    "waiting": ("Waiting", (State.QUEUED, State.SENDING, State.RETRYING)),
    "skipped": ("Not sent", (State.SKIPPED, State.CANCELLED)),
}
NOT_COUNTED = [state.value for state in State if state not in statistics.COUNTED]
PART_OF = {state.value: name for name, (_, states) in PARTS.items() for state in states}

# The key of the first hook at or after each edge. A public id contains the millisecond of its creation; within one
# millisecond public ids are in random order, so the smallest key of eight is taken.
EDGES = """
SELECT (SELECT min(id) FROM (SELECT id FROM hooks_hook WHERE public_id >= edge ORDER BY public_id LIMIT 8) AS these)
FROM unnest(%s::uuid[]) WITH ORDINALITY AS e (edge, place) ORDER BY place
"""
# Of each endpoint and state, the key of the last hook that is not counted any more. `= ANY (ARRAY[…])` with the column
# in ORDER BY: see endpoint_numbers.
CUT = """
SELECT max(cut.id) FROM unnest(%(endpoints)s::bigint[]) AS wanted (id)
CROSS JOIN unnest(%(states)s::text[]) AS wanted_state
CROSS JOIN LATERAL (
    SELECT id FROM hooks_hook
    WHERE endpoint_id = wanted.id AND state = ANY (ARRAY[wanted_state]) AND id >= %(first)s AND id < %(last)s
    ORDER BY state DESC, id DESC OFFSET %(limit)s LIMIT 1
) AS cut
"""
# OFFSET 0: one scan of the index for each endpoint and state, never a join with the whole table.
BARS = """
SELECT width_bucket(found.id, %(keys)s::bigint[]) - 1, wanted_state, count(*)
FROM unnest(%(endpoints)s::bigint[]) AS wanted (id) CROSS JOIN unnest(%(states)s::text[]) AS wanted_state
CROSS JOIN LATERAL (
    SELECT id FROM hooks_hook
    WHERE endpoint_id = wanted.id AND state = ANY (ARRAY[wanted_state]) AND id >= %(first)s AND id < %(last)s OFFSET 0
) AS found
GROUP BY 1, 2
"""
NEWEST = """
SELECT floor((extract(epoch FROM created_at) - %s) / %s)::int, state, count(*) FROM ({newest}) AS newest GROUP BY 1, 2
"""
LAST_KEY = 2**63 - 1


class NewestKeys(Protocol):
    """Returns the keys of the newest `limit` hooks that match a filter and the condition `narrowed`."""

    def __call__(self, limit: int, *, narrowed: Q) -> list[int]: ...


@dataclass
class Bar:
    start: datetime
    end: datetime
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass
class Chart:
    """`step` is in seconds. `is_cut`: there are too many hooks, so earlier bars, or all bars, are missing.

    `sums`: of each endpoint, if they were asked for, in the bars whose hooks are counted per minute.
    """

    step: int
    bars: list[Bar]
    by_index: bool
    is_cut: bool = False
    sums: statistics.Sums = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, int]:
        return {name: sum(bar.counts[name] for bar in self.bars) for name in PARTS}

    def add(self, found: Iterable[tuple[int, str, int]]) -> None:
        for index, state, count in found:
            self.bars[index].counts[PART_OF[state]] += count

    def cut(self, index: int) -> None:
        """Remove the bars up to and including this one."""
        self.bars = self.bars[index + 1 :]
        self.is_cut = True


def empty(start: datetime | None, end: datetime | None, *, by_index: bool, min_step: int = 0) -> Chart:
    """Returns a chart without counts from `start` (24 hours before the end if None) to `end` (now if None).

    Each bar starts at a multiple of the step, such as a full minute or hour; the step is at least `min_step` seconds.
    """
    end = end or timezone.now()
    start = start or end - DEFAULT_PERIOD
    span = max((end - start).total_seconds(), 1)
    step = next((step for step in STEPS if span / step <= MAX_BARS and step >= min_step), STEPS[-1])
    last = math.ceil(end.timestamp() / step)
    first = max(math.floor(start.timestamp() / step), last - MAX_BARS - 1)
    edges = [datetime.fromtimestamp(place * step, UTC) for place in range(min(first, last - 1), last + 1)]
    bars = [Bar(start, end) for start, end in pairwise(edges)]
    return Chart(step, bars, by_index)


def chart_of(
    endpoint_ids: list[int],
    start: datetime | None,
    end: datetime | None,
    filtered: HookQuerySet | None = None,
    *,
    in_order: bool = False,
    newest: NewestKeys | None = None,
    min_step: int = 0,
    with_sums: bool = False,
) -> Chart:
    """Returns the chart of these endpoints' hooks from `start` to `end`, with every state.

    Without endpoints, all bars are empty. If there are filters other than time and state, pass their matching hooks as
    `filtered`. Without it the bars are counted. If there are too many hooks for bars of less than a minute, the bars
    are minutes. `in_order`: see counts_by_state(). With many endpoints, pass `newest` instead of `filtered`.
    `min_step`: see empty(). `with_sums`: also sum up the hooks of each endpoint; only without filters.
    """
    chart = empty(start, end, by_index=filtered is None and newest is None, min_step=min_step)
    if not endpoint_ids:
        return chart
    if newest is not None:
        read_keys(chart, newest)
        return chart
    if filtered is not None:
        with in_index_order({}) if in_order else nullcontext():
            read_newest(chart, endpoint_ids, filtered)
        return chart
    count(chart, endpoint_ids, with_sums=with_sums)
    if chart.is_cut and chart.step < COUNTED_STEP:
        chart = empty(start, end, by_index=True, min_step=COUNTED_STEP)
        count(chart, endpoint_ids, with_sums=with_sums)
    return chart


def count(chart: Chart, endpoint_ids: list[int], *, with_sums: bool) -> None:
    """Count the bars: by the counts per minute where they are known, the rest in the index of states.

    Of each state at most MAX_INDEX_ENTRIES are read in the index; earlier bars are removed. At most seven queries.
    """
    edges = [bar.start for bar in chart.bars] + [chart.bars[-1].end]
    with connection.cursor() as cursor:
        cursor.execute(EDGES, [[smallest_public_id(at) for at in edges]])
        # Hooks of several processes are not exactly in the order of their times: a key may be below the previous one.
        keys = list(accumulate((LAST_KEY if key is None else key for (key,) in cursor.fetchall()), max))
    since = statistics.counted_since() if chart.step >= COUNTED_STEP else None
    # the first bar whose hooks are all counted per minute
    counted = len(chart.bars) if since is None else bisect_left(edges, since, hi=len(chart.bars))
    cut = -1
    if counted < len(chart.bars):
        if with_sums:
            counts, chart.sums = statistics.counts_and_sums(endpoint_ids, edges[counted:])
        else:
            counts = statistics.counts_between(endpoint_ids, edges[counted:])
        chart.add((counted + place, state, number) for place, state, number in counts)
        cut = count_index(chart, endpoint_ids, keys, counted, len(chart.bars), NOT_COUNTED)
        if with_sums and cut >= counted:  # rare: the bars that are left
            left = edges[cut + 1 :]
            chart.sums = statistics.counts_and_sums(endpoint_ids, left)[1] if len(left) > 1 else {}
    if counted and cut < counted:
        cut = max(cut, count_index(chart, endpoint_ids, keys, 0, counted, State.values))
    if cut >= 0:
        chart.cut(cut)


def count_index(
    chart: Chart, endpoint_ids: list[int], keys: list[int], start: int, end: int, states: Sequence[str]
) -> int:
    """Count hooks in these states in the bars from `start` to before `end`, in the index of states.

    `keys` has the first key of each bar. Returns the last bar with more hooks than are read; -1 if there is none.
    One query, two with more hooks.
    """
    # so that all endpoints together have no more than MAX_INDEX_ENTRIES, unless they are many
    limit = min(max(MAX_INDEX_ENTRIES // len(endpoint_ids), MIN_OF_EACH), MAX_INDEX_ENTRIES)
    wanted = {
        "endpoints": endpoint_ids, "states": list(states), "keys": keys, "limit": limit,
        "first": keys[start], "last": keys[end],
    }  # fmt: skip
    cut = -1
    with connection.cursor() as cursor:
        if keys[end] - keys[start] > limit:  # otherwise all endpoints together have no more
            execute_in_index_order(cursor, CUT, wanted)
            found = cursor.fetchone()
            if found and found[0] is not None:
                cut = bisect_right(keys, found[0]) - 1
                wanted["first"] = keys[cut + 1]
        execute_in_index_order(cursor, BARS, wanted)
        chart.add(cursor.fetchall())
    return cut


def read_newest(chart: Chart, endpoint_ids: list[int], hooks: HookQuerySet) -> None:
    """Count the newest MAX_ROWS_READ of these hooks in the chart's period. One query for each endpoint."""
    in_period = hooks.filter(period_of(chart)).order_by("-pk")
    limit = MAX_ROWS_READ // len(endpoint_ids)
    cut = max(count_rows(chart, in_period.filter(endpoint_id=key), limit) for key in endpoint_ids)
    if cut >= 0:
        chart.cut(cut)


def read_keys(chart: Chart, newest: NewestKeys) -> None:
    """Count the newest MAX_ROWS_READ matching hooks in the chart's period. One query more than `newest` has."""
    keys = newest(MAX_ROWS_READ + 1, narrowed=period_of(chart))
    if not keys:
        return
    cut = count_rows(chart, Hook.objects.filter(pk__in=keys).order_by("-pk"), MAX_ROWS_READ)
    if cut >= 0:
        chart.cut(cut)


def period_of(chart: Chart) -> Q:
    return created_since(chart.bars[0].start) & created_before(chart.bars[-1].end)


def count_rows(chart: Chart, hooks: HookQuerySet, limit: int) -> int:
    """Count the first of these hooks; returns the bar in which there are more than `limit`, or -1. One query."""
    newest, values = hooks.values_list("created_at", "state")[: limit + 1].query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(NEWEST.format(newest=newest), [chart.bars[0].start.timestamp(), chart.step, *values])
        found = cursor.fetchall()
    chart.add(found)
    return min(place for place, _, _ in found) if sum(count for _, _, count in found) > limit else -1
