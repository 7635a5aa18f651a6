"""PostgreSQL's plans of the frequent queries over a million hooks and attempts: none reads a whole table."""

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from accounts.actions.keys import issue_key
from accounts.models import User
from hooks import metrics
from hooks.dispatch import claim, due_lanes, record, strict_order
from hooks.dispatch.attempts import attempt_result
from hooks.dispatch.lane_places import Places
from hooks.http import Response
from hooks.log import delays, holds, statistics
from hooks.log.index_order import SWITCH_SORTING, in_index_order
from hooks.maintenance import retention
from hooks.models import Endpoint, Outcome
from hooks.sql.lane_queries import MAX_ID
from instances.models import Instance
from tests.bench import million
from tests.bench.log_filters import FILTERS, MIDDLE, OVERVIEWS
from tests.hooks.dispatch.test_lanes import hook as claimed

pytestmark = pytest.mark.timeout(900)  # the first test fills the tables
FIRST, LAST = f"{SWITCH_SORTING.format('off')}; ", f"; {SWITCH_SORTING.format('on')}"
WHOLE_TABLE = re.compile(r"Seq Scan on ((?:hooks_hook|hooks_attempt|hooks_minutecount)(?!_id_seq)\w*)")


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[million.Million]:
    """Fills the tables once for all tests of this file, outside their transactions, and empties them at the end."""
    with django_db_blocker.unblock():
        try:
            yield million.fill()
        finally:
            million.empty()


@pytest.fixture(autouse=True)
def access(filled: million.Million, db: None) -> None:
    """Runs each test in its own transaction, on these rows."""


def plan(sql: str, parameters: Any = None) -> str:
    """Returns the plan of a statement, in index order if it was sent by execute_in_index_order()."""
    plain = sql.removeprefix(FIRST).removesuffix(LAST)
    with nullcontext() if plain == sql else in_index_order({}), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {plain}", parameters)
        return "\n".join(row[0] for row in cursor.fetchall())


def whole_tables(sql: str, parameters: Any = None) -> list[str]:
    """Returns the names of the partitions of hooks and attempts, and hooks_minutecount, that the plan reads whole.

    Those without rows are left out: they were made for the coming days.
    """
    return [table for table in WHOLE_TABLE.findall(plan(sql, parameters)) if has_rows(table)]


@cache
def has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
        found: bool = cursor.fetchone()[0]
    return found


def selects_of(call: Callable[[], object]) -> list[str]:
    """Returns the SELECT statements that the call sent."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return [
        query["sql"]
        for query in captured.captured_queries
        if query["sql"].lstrip().startswith(("SELECT", "WITH", FIRST))
    ]


def test_a_query_without_an_index_is_noticed() -> None:
    assert whole_tables("SELECT 1 FROM hooks_hook WHERE last_ms = 3")
    assert whole_tables("SELECT 1 FROM hooks_attempt WHERE error = 'x'")


class Explaining:
    """A session that checks the plan of each statement before it runs it."""

    def __init__(self) -> None:
        self.explained: list[str] = []

    def execute(self, sql: str, parameters: Any = None) -> Any:
        assert whole_tables(sql, parameters) == [], sql
        self.explained.append(sql)
        cursor = connection.connection.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def transaction(self) -> Any:
        return connection.connection.transaction()


def test_the_dispatchers_claims_and_sweeps(filled: million.Million) -> None:
    session: Any = Explaining()
    wanted = dict.fromkeys([filled.busy, *filled.hers[:50]], 5)
    places: Places = {}
    found = claim.claim_hooks(session, 1, wanted, places=places).hooks
    assert sum(not hook.is_retry for hook in found) == 5 * len(wanted)  # and the due retries beside them
    claim.claim_hooks(session, 1, wanted, places=places)
    claim.hand_back(session, 1, found)
    looks = due_lanes.DueLanes()
    looks.search_all(session)
    looks.search_new(session, list(wanted))
    due_lanes.lanes_of_due_retries(session, 60.0)
    due_lanes.seconds_to_next_retry(session)
    claim.sweep(session)  # no session holds the advisory lock of dispatcher 1: its lanes are orphaned
    claim.requeue_expired(session)
    claim.release_lanes(session, 1)
    assert {
        claim.LOCK_LANES,
        claim.LOCK_LANES_AT_PLACES,
        claim.CLAIM_HOOKS,
        due_lanes.DUE_LANES,
        due_lanes.DUE_OF_NEW_HOOKS,
        due_lanes.LANES_OF_DUE_RETRIES,
        due_lanes.SECONDS_TO_NEXT_RETRY,
        claim.ORPHANED_LANES,
        claim.REQUEUE_HOOKS_OF_LANES,
        claim.REQUEUE_EXPIRED,
    } <= set(session.explained)


def test_the_claims_of_strict_lanes(filled: million.Million) -> None:
    session: Any = Explaining()
    lanes = [filled.busy, *filled.hers[:50]]
    Endpoint.objects.filter(pk__in=lanes).update(strict=True, parallel=False)
    claim.claim_hooks(session, 1, dict.fromkeys(lanes, 5))
    due_lanes.due_lanes(session)
    assert strict_order.TURNS in session.explained


def test_the_dispatchers_results(filled: million.Million) -> None:
    now = datetime.now(UTC)
    results = [
        attempt_result(claimed(filled.busy, id=number), now, {}, Response(Outcome.OK, status=200))
        for number in range(500_000, 500_100)
    ]
    assert whole_tables(record.UPDATE_HOOKS, record.parameters(results, 1, {})) == []
    assert whole_tables(record.IS_RECORDED_OR_DELETED, [500_000, 1, now, 500_000]) == []


def test_the_counts_per_minute(filled: million.Million) -> None:
    keys = [filled.busy, *filled.hers]
    assert whole_tables(statistics.ADD, [keys, [1] * len(keys), [1] * len(keys), [0] * len(keys)]) == []
    assert whole_tables(statistics.DROP, [timezone.now() - timedelta(days=29), 10_000]) == []
    assert whole_tables(statistics.DROP_OF_ENDPOINT, [filled.hers[0]]) == []


@pytest.mark.parametrize("query", OVERVIEWS)
def test_the_chart_and_the_health(filled: million.Million, client: Client, query: str) -> None:
    client.force_login(User.objects.get(pk=filled.owner))
    number = Instance.objects.get(pk=filled.busy).number
    selects = selects_of(lambda: client.get(f"/log/overview/?instance={number}&{query}"))
    assert [sql for sql in selects if "hooks_hook" in sql]
    assert any("hooks_minutecount" in sql for sql in selects) == ("kind" not in query and "host" not in query)
    assert [step for sql in selects for step in whole_tables(sql.replace("%", "%%"))] == []


def test_metrics_and_delays(filled: million.Million) -> None:
    for call in (
        metrics.snapshot,
        lambda: delays.oldest_due(timezone.now()),
        lambda: delays.of_instances([filled.busy, *filled.hers]),
        lambda: holds.recent_holds(Endpoint.objects.get(pk=filled.busy)),
    ):
        selects = selects_of(call)
        assert any("hooks_hook" in sql for sql in selects)
        for sql in selects:
            assert whole_tables(sql.replace("%", "%%")) == [], sql


def test_retention(filled: million.Million) -> None:
    before, numbers = timezone.now() - timedelta(days=1), list(range(100, 2_100))
    assert whole_tables(retention.FIND_HOOKS, [before, 500_000, MAX_ID, 2_000]) == []
    assert whole_tables(retention.FIND_SKIPPED, [before, 2_000]) == []
    # 2 000 ids in a table of a million: index scans of the hooks and of their attempts
    assert whole_tables(retention.DROP_HOOKS, {"ids": numbers}) == []
    assert whole_tables(retention.DROP_BODIES, {"ids": numbers}) == []


# The worker processes of a run must find the same names, also if they look for them at both sides of midnight.
@pytest.mark.parametrize("query", FILTERS, ids=lambda query: query.replace(str(MIDDLE), "middle"))
def test_the_log_with_each_filter(filled: million.Million, client: Client, query: str) -> None:
    client.force_login(User.objects.get(pk=filled.owner))
    number = Instance.objects.get(pk=filled.busy).number
    for page in ("/log/", "/log/live/"):
        selects = selects_of(partial(client.get, f"{page}?instance={number}&{query}"))
        assert [sql for sql in selects if "hooks_hook" in sql]
        assert [step for sql in selects for step in whole_tables(sql.replace("%", "%%"))] == []


@pytest.mark.parametrize(
    "query",
    [
        "", "state=failed", "state=queued&state=retrying", "kind=ack", "kind=chat", "outcome=tls", "answer=5xx",
        "answer=none", "status=404", f"message={million.RARE['message']}", f"host={million.RARE['host']}",
        f"chat={million.RARE['chat']}", "simulated=true", "simulated=false", "createdAfter=2020-01-01T00:00:00Z",
        "createdBefore=2020-01-01T00:00:00Z", "instance={busy}&kind=message",
    ],
)  # fmt: skip
def test_the_rest_list_over_a_hundred_instances(filled: million.Million, client: Client, query: str) -> None:
    alice = User.objects.get(pk=filled.owner)
    _, key = issue_key(alice.account, acting_user=alice)
    query = query.format(busy=Instance.objects.get(pk=filled.busy).number)
    headers = {"Authorization": f"Bearer {key}"}
    selects = selects_of(lambda: client.get(f"/api/v1/hooks/?{query}", headers=headers))
    assert [sql for sql in selects if "hooks_hook" in sql]
    assert [step for sql in selects for step in whole_tables(sql.replace("%", "%%"))] == []
