"""The bars above the log: what became of the hooks of each hour (or minute, or day) of the chosen time.

Nothing is kept for them: a rollup would cost every delivery something, and a hook's state changes for days. Without
filters the bars are counted in the index of states alone, by the keys at which hours begin; with some, the newest
that fit are read. Both stop at a number, and the page says from when on the bars are whole.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

from django.db import connection
from django.utils import timezone

from hooks.models import HookQuerySet, State, happened_before, happened_since, least_public_id

BARS_MOST = 200
STEPS = (10, 60, 300, 3600, 86_400)  # seconds; the smallest that gives no more than BARS_MOST bars
BY_ITSELF = timedelta(days=1)  # without a period
INDEXED_MOST = 150_000  # entries of an index: 50 ms
READ_MOST = 10_000  # rows: 20 ms

# a bar's parts, bottom to top: the name, its word, and the states in it; what was skipped or cancelled was not sent
PARTS: dict[str, tuple[str, tuple[State, ...]]] = {
    "delivered": ("Delivered", (State.DELIVERED,)),
    "failed": ("Failed", (State.FAILED,)),
    "waiting": ("Waiting", (State.QUEUED, State.SENDING, State.RETRYING)),
    "skipped": ("Not sent", (State.SKIPPED, State.CANCELLED)),
}
PART_OF = {state.value: name for name, (_, states) in PARTS.items() for state in states}

# The key of the first hook from each moment on: its public id holds the millisecond of its making. Those of one
# millisecond have their public ids in any order, hence the least key of some.
EDGES = """
SELECT (SELECT min(id) FROM (SELECT id FROM hooks_hook WHERE public_id >= edge ORDER BY public_id LIMIT 8) AS these)
FROM unnest(%s::uuid[]) WITH ORDINALITY AS e (edge, place) ORDER BY place
"""
CUT = """
SELECT id FROM hooks_hook WHERE endpoint_id = %s AND id >= %s AND id < %s ORDER BY id DESC OFFSET %s LIMIT 1
"""
BARS = """
SELECT width_bucket(id, %s::bigint[]) - 1, state, count(*) FROM hooks_hook
WHERE endpoint_id = %s AND state = ANY(%s) AND id >= %s AND id < %s GROUP BY 1, 2
"""
NEWEST = """
SELECT floor((extract(epoch FROM created_at) - %s) / %s)::int, state, count(*) FROM ({newest}) AS newest GROUP BY 1, 2
"""
LAST_KEY = 2**63 - 1


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
    """`step` in seconds; `is_cut`: the bars before these were left out, or all, as there are too many hooks."""

    step: int
    bars: list[Bar]
    by_index: bool
    is_cut: bool = False

    @property
    def totals(self) -> dict[str, int]:
        return {name: sum(bar.counts[name] for bar in self.bars) for name in PARTS}

    def add(self, found: Iterable[tuple[int, str, int]]) -> None:
        for index, state, count in found:
            self.bars[index].counts[PART_OF[state]] += count

    def cut(self, index: int) -> None:
        """Leave out the bars up to this one."""
        self.bars = self.bars[index + 1 :]
        self.is_cut = True


def empty(start: datetime | None, end: datetime | None, *, by_index: bool) -> Chart:
    """Bars without counts from `start` (24 hours before the end if None) to `end` (now if None).

    They begin at whole minutes or hours.
    """
    end = end or timezone.now()
    start = start or end - BY_ITSELF
    span = max((end - start).total_seconds(), 1)
    step = next((step for step in STEPS if span / step <= BARS_MOST), STEPS[-1])
    last = math.ceil(end.timestamp() / step)
    first = max(math.floor(start.timestamp() / step), last - BARS_MOST - 1)
    edges = [datetime.fromtimestamp(place * step, UTC) for place in range(min(first, last - 1), last + 1)]
    bars = [Bar(start, end) for start, end in pairwise(edges)]
    return Chart(step, bars, by_index)


def chart_of(
    endpoint_id: int, start: datetime | None, end: datetime | None, filtered: HookQuerySet | None = None
) -> Chart:
    """The bars of one endpoint's hooks from `start` to `end`, with every state.

    Pass `filtered`, the matching hooks, if there are filters other than time and state; without it the bars are
    counted in the index.
    """
    chart = empty(start, end, by_index=filtered is None)
    if filtered is None:
        count_index(chart, endpoint_id)
    else:
        read(chart, filtered)
    return chart


def count_index(chart: Chart, endpoint_id: int) -> None:
    edges = [bar.start for bar in chart.bars] + [chart.bars[-1].end]
    with connection.cursor() as cursor:
        cursor.execute(EDGES, [[least_public_id(at) for at in edges]])
        # hooks of several processes are not quite in the order of their times, so a key may lie before the last one
        keys = list(accumulate((LAST_KEY if key is None else key for (key,) in cursor.fetchall()), max))
        first, end = keys[0], keys[-1]
        row = None
        if end - first > INDEXED_MOST:  # else there can't be more, all endpoints together
            cursor.execute(CUT, [endpoint_id, first, end, INDEXED_MOST])
            row = cursor.fetchone()
        skipped = bisect_right(keys, row[0]) - 1 if row else -1
        if row:
            first = keys[skipped + 1]
        cursor.execute(BARS, [keys, endpoint_id, State.values, first, end])
        chart.add(cursor.fetchall())
    if row:
        chart.cut(skipped)


def read(chart: Chart, hooks: HookQuerySet) -> None:
    start, end = chart.bars[0].start, chart.bars[-1].end
    fitting = hooks.filter(happened_since(start), happened_before(end)).order_by("-pk")
    newest, values = fitting.values_list("created_at", "state")[: READ_MOST + 1].query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(NEWEST.format(newest=newest), [start.timestamp(), chart.step, *values])
        found = cursor.fetchall()
    chart.add(found)
    if sum(count for _, _, count in found) > READ_MOST:
        chart.cut(min(place for place, _, _ in found))
