"""The numbers of endpoints read few rows, whatever the table held when its statistics were collected.

With statistics of one busy endpoint the planner read the primary key backwards for every endpoint and class without
hooks: the whole table each time.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks import metrics
from hooks.log import counts, delays, durations, endpoint_health, endpoint_numbers
from hooks.log.index_order import SWITCH_SORTING, in_index_order
from hooks.models import UNFINISHED, Hook, ResponseClass, State, in_states, smallest_public_id
from tests.bench.million import copy_instance
from tests.factories import InstanceFactory
from tests.hooks.dispatch.test_plans_by_statistics import check, fill

pytestmark = pytest.mark.django_db
COUNT = 5_000
LIMIT = 200
LANES, IDLE_LANES = 600, 2_000
HOOKS = """
INSERT INTO hooks_hook (public_id, endpoint_id, kind, body, message, chat, state, skip_reason, simulated, to_url,
    trigger, attempts_made, attempts_allowed, claim, created_at, finished_at, last_outcome, last_status, last_host)
SELECT gen_random_uuid(), %s, 'message', '{}'::bytea, '', '', 'delivered', '', false, '', 'event', 1, 1, 1,
    clock_timestamp(), clock_timestamp(), 'ok', 200, 'a.example'
FROM generate_series(1, %s)
"""


@pytest.fixture(params=["of an empty table", "of one busy endpoint"])
def endpoints(request: pytest.FixtureRequest) -> list[int]:
    """Ten endpoints, of which the first has all the hooks, and statistics from before or after it had them."""
    found = [InstanceFactory(url="http://a.example/").pk for _ in range(10)]
    with connection.cursor() as cursor:
        # The sizes of the table and of its indexes count for the planner, and other tests have left some. The test's
        # transaction is rolled back, and this with it.
        cursor.execute("ANALYZE hooks_lane")
        cursor.execute("TRUNCATE hooks_hook CASCADE")
        if request.param == "of an empty table":
            cursor.execute("ANALYZE hooks_hook")
        cursor.execute(HOOKS, [found[0], COUNT])
        if request.param == "of one busy endpoint":
            cursor.execute("ANALYZE hooks_hook")
    return found


def test_no_step_reads_the_table(endpoints: list[int]) -> None:
    with in_index_order({}):
        check_numbers(endpoints)


def check_numbers(endpoints: list[int]) -> None:
    now = timezone.now()
    check(
        endpoint_numbers.WAITING,
        {"endpoints": endpoints, "states": list(UNFINISHED), "limit": LIMIT},
        LIMIT,
    )
    check(counts.COUNTS, {"endpoints": endpoints, "states": State.values, "limit": LIMIT}, LIMIT)
    check(delays.WAITING, {"instances": endpoints}, LIMIT)
    sent = {
        "endpoints": endpoints,
        "classes": ResponseClass.values,
        "since": now - timedelta(hours=1),
        "public_id": smallest_public_id(now - timedelta(hours=2)),
        "seconds": 300,
        "limit": LIMIT,
    }
    check(endpoint_numbers.SENT, sent, LIMIT)
    period = [now - timedelta(hours=1), now]
    measured = {
        "endpoints": endpoints, "classes": ResponseClass.values, "edges": period, "start": period[0],
        "end": period[1], "first": 0, "last": 2**63 - 1, "newest": LIMIT,
    }  # fmt: skip
    check(durations.DURATIONS, measured, LIMIT)
    for endpoint in endpoints[:2]:
        check(
            endpoint_health.ATTEMPTED,
            {"endpoints": [endpoint], "classes": ResponseClass.values, "newest": LIMIT},
            LIMIT,
        )


@pytest.fixture(params=["of empty tables", "of few lanes", "of these lanes"])
def lanes(request: pytest.FixtureRequest) -> list[int]:
    """Lanes with three queued, two retrying and five delivered hooks each, beside idle lanes."""
    tables = "hooks_hook, hooks_lane, hooks_endpoint"
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE hooks_hook, hooks_lane CASCADE")
        if request.param == "of empty tables":
            cursor.execute(f"ANALYZE {tables}")
        template = InstanceFactory(url="http://a.example/").pk
        if request.param == "of few lanes":
            cursor.execute(f"ANALYZE {tables}")
        first = copy_instance(template, LANES + IDLE_LANES)
        found = list(range(first, first + LANES))
        fill(found, queued=3 * LANES, retrying=2 * LANES, delivered=5 * LANES)
        if request.param == "of these lanes":
            cursor.execute(f"ANALYZE {tables}")
    return found


def test_lanes_with_waiting_hooks_are_not_multiplied(lanes: list[int]) -> None:
    """With statistics of an empty table all lanes were read for each one; with good ones all hooks, by their key."""
    bounds = delays.waiting_bounds()
    limit = 100 * LANES
    with in_index_order({}):
        for sql, parameters in (
            (delays.OLDEST, {"before": timezone.now(), **bounds}),
            (metrics.WAITING, {"limit": limit, **bounds}),
            (delays.WAITING, {"instances": lanes}),
            (counts.COUNTS, {"endpoints": lanes, "states": State.values, "limit": limit}),
        ):
            check(sql, parameters, 20 * LANES, is_prepared=False)


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING])
def test_the_cursor_of_each_hook_is_looked_up(lanes: list[int], state: State) -> None:
    check(*Hook.objects.filter(in_states([state])).query.sql_with_params(), 20 * LANES, is_prepared=False)


def test_late_and_waiting_hooks_are_looked_for_in_index_order(lanes: list[int]) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert delays.oldest_due(timezone.now()) is not None
        found = [(one.lane, one.turn, one.number) for one in metrics.waiting() if one.number]
    assert found == [("ordered", "first", 3 * LANES), ("ordered", "retry", 2 * LANES)]
    over_lanes = [query["sql"] for query in captured.captured_queries if "hooks_lane" in query["sql"]]
    assert [sql.startswith(SWITCH_SORTING.format("off")) for sql in over_lanes] == [True, True]
