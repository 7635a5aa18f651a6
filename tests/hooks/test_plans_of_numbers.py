"""The numbers of endpoints read few rows, whatever the table held when its statistics were collected.

With statistics of one busy endpoint the planner read the primary key backwards for every endpoint and class without
hooks: the whole table each time.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from hooks.log import counts, delays, durations, endpoint_health, endpoint_numbers
from hooks.log.index_order import in_index_order
from hooks.models import UNFINISHED, ResponseClass, State, smallest_public_id
from tests.factories import InstanceFactory
from tests.hooks.dispatch.test_plans_by_statistics import check

pytestmark = pytest.mark.django_db
COUNT = 5_000
LIMIT = 200
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
