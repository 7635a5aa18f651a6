"""A million hooks wait in one lane: every statement of the dispatcher reads about what it read before."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from hooks import metrics, worker_slots
from hooks.dispatch import claim, due_lanes, record
from hooks.dispatch.attempts import attempt_result
from hooks.http import Response
from hooks.log import delays
from hooks.log.index_order import in_index_order
from hooks.models import Endpoint, Outcome, PauseReason
from tests.bench import million
from tests.factories import InstanceFactory
from tests.hooks.dispatch.test_plans_by_statistics import fill

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

OTHERS = 5
WAITING = 1_000_000
RETRIES = 20_000
Buffers = dict[str, int]


class Counting:
    """A dispatcher's session that counts the pages that each statement reads."""

    def __init__(self) -> None:
        self.buffers: Counter[str] = Counter()
        with connection.cursor() as cursor:
            cursor.execute(worker_slots.INDEX_LOOKUPS_ONLY.replace("SET ", "SET LOCAL "))

    def execute(self, sql: str, parameters: Any = None) -> Any:
        self.buffers[sql] += buffers(sql, parameters)
        cursor = connection.connection.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def transaction(self) -> Any:
        return connection.connection.transaction()


def buffers(sql: str, parameters: Any = None) -> int:
    """Returns how many pages the statement reads. Its changes are rolled back."""
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", parameters)
        [found] = cursor.fetchone()
        transaction.set_rollback(True)
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def measure(lanes: list[int]) -> Buffers:
    """Claims ten first attempts and ten retries of each lane, one lane per claim; records, hands back and sweeps.

    Returns the pages that each statement has read.
    """
    session: Any = Counting()
    for lane in lanes:
        hooks = claim.claim_hooks(session, 1, {lane: 10}).hooks
        assert Counter(hook.is_retry for hook in hooks) == {True: 10, False: 10}
        assert {hook.endpoint_id for hook in hooks} == {lane}
        firsts = [hook for hook in hooks if not hook.is_retry]
        assert firsts == sorted(firsts, key=lambda hook: hook.id)
        now = datetime.now(UTC)
        results = [attempt_result(hook, now, {}, Response(Outcome.OK, status=200)) for hook in firsts[:5]]
        session.execute(record.UPDATE_HOOKS, record.parameters(results, 1, {}))
        claim.hand_back(session, 1, [hook for hook in hooks if hook not in firsts[:5]])
    assert sorted(due_lanes.due_lanes(session)) == sorted(lanes)
    due_lanes.seconds_to_next_retry(session)
    assert sorted(claim.sweep(session)) == sorted(lanes)  # no session holds the advisory lock of dispatcher 1
    claim.release_lanes(session, 1)
    return dict(session.buffers) | of_monitoring(lanes)


def of_monitoring(lanes: list[int]) -> Buffers:
    """Returns how many pages the check for late hooks and `/metrics` read if the first lane is paused."""
    configured = Endpoint.objects.filter(pk=lanes[0])
    configured.update(paused_at=timezone.now(), pause_reason=PauseReason.BY_HAND)
    with connection.cursor() as cursor:
        cursor.execute(worker_slots.INDEX_LOOKUPS_ONLY.replace("= off", "= on"))
    bounds = delays.waiting_bounds()
    with in_index_order({}):
        return {
            delays.OLDEST: buffers(delays.OLDEST, {"before": timezone.now(), **bounds}),
            metrics.WAITING: buffers(metrics.WAITING, {"limit": 10, **bounds}),
        }


@pytest.fixture(scope="module")
def figures(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[list[int], Buffers, Buffers]]:
    """Measures with 100 hooks in each of six lanes, then with a million in the first; empties the tables at the end."""
    with django_db_blocker.unblock():
        try:
            lanes = [InstanceFactory(url="http://a.example/").pk for _ in range(OTHERS + 1)]
            fill(lanes, queued=100 * len(lanes), retrying=100 * len(lanes))
            before = in_transaction(lambda: measure(lanes))
            fill(lanes[:1], queued=WAITING, retrying=RETRIES)
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE hooks_hook")  # as autovacuum would, now or later
            yield lanes, before, in_transaction(lambda: measure(lanes))
        finally:
            million.empty()


def in_transaction(call: Callable[[], Buffers]) -> Buffers:
    with transaction.atomic():
        found = call()
        transaction.set_rollback(True)
    return found


def test_each_statement_reads_what_it_read_before(figures: tuple[list[int], Buffers, Buffers]) -> None:
    _, before, after = figures
    assert {claim.LOCK_LANES, claim.CLAIM_HOOKS, due_lanes.DUE_LANES, claim.ORPHANED_LANES} <= after.keys()
    assert after.keys() == before.keys()
    # Indexes are a level or two higher. All waiting hooks are in more than 5 000 pages.
    too_many = {sql: (before[sql], after[sql]) for sql in after if after[sql] > before[sql] + 500}
    assert too_many == {}


def test_a_statement_that_reads_the_lane_is_noticed(figures: tuple[list[int], Buffers, Buffers]) -> None:
    assert buffers("SELECT count(*) FROM hooks_hook WHERE state = 'queued'") > 5_000
