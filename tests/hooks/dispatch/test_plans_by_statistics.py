"""The dispatcher's statements read few rows, whatever the tables held when their statistics were collected.

Autovacuum collects them within a minute of a change: from an empty table, from one with only finished hooks, or from
a backlog. With any of these, each statement must read about as many rows as it changes, also beside many idle lanes.
"""

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from hooks import worker_slots
from hooks.actions import redelivery, stopping
from hooks.dispatch import claim, due_lanes, record
from hooks.dispatch.attempts import ClaimedHook, attempt_result
from hooks.dispatch.lane_places import Places
from hooks.dispatch.retry_windows import RetryWindows
from hooks.http import Response
from hooks.maintenance import cancelling
from hooks.models import Endpoint, Hook, Outcome, State
from tests.bench.million import copy_instance
from tests.factories import InstanceFactory

LANES, EACH = 5, 20
CLAIMED = LANES * EACH
# Rows that one step of a plan may read. A backlog has 6 000, and to join it with itself reads a million.
MOST_ROWS = 5 * CLAIMED
IDLE_LANES = 2_000

HOOKS = """
INSERT INTO hooks_hook (public_id, endpoint_id, kind, body, message, chat, state, skip_reason, simulated, to_url,
    trigger, attempts_made, attempts_allowed, next_attempt_at, claim, created_at, finished_at, last_outcome, last_host)
SELECT uuidv7(), (%(lanes)s::bigint[])[1 + n %% array_length(%(lanes)s, 1)], 'message', '{}'::bytea, '', '',
    %(state)s, '', false, '', 'event', CASE WHEN %(state)s = 'queued' THEN 0 ELSE 1 END, 20,
    CASE WHEN %(state)s = 'retrying' THEN clock_timestamp() - n * interval '1 ms' END, 1, clock_timestamp(),
    CASE WHEN %(state)s = 'delivered' THEN clock_timestamp() END, '', ''
FROM generate_series(1, %(count)s) AS n
"""
# What the table holds when its statistics are collected: the number of hooks by state.
STATISTICS_OF = {
    "an empty table": {},
    "an emptied table": {"delivered": 5_000},
    "an idle table": {"delivered": 5_000},
    "a small backlog": {"delivered": 100, "queued": 10, "retrying": 10},
    "a huge table": {"delivered": 60_000, "queued": 2_000, "retrying": 2_000},
    "a huge idle table": {"delivered": 60_000},
}


def fill(lanes: list[int], **counts: int) -> None:
    with connection.cursor() as cursor:
        for state, count in counts.items():
            cursor.execute(HOOKS, {"lanes": lanes, "state": state, "count": count})


@pytest.fixture(scope="module", params=STATISTICS_OF)
def filled(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[list[int]]:
    """Fills the tables once for all tests with the same statistics, in a transaction around theirs.

    Rows of a transaction that is open are not seen by autovacuum, which would collect statistics of its own.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield fill_with_statistics(request.param)
        transaction.set_rollback(True)


@pytest.fixture
def lanes(filled: list[int], db: None) -> list[int]:
    """Five lanes with a backlog of 3 000 first attempts and 3 000 retries; statistics are older than the backlog."""
    return filled


def fill_with_statistics(name: str) -> list[int]:
    lanes = [InstanceFactory(url="http://a.example/").pk for _ in range(LANES)]
    copy_instance(lanes[0], IDLE_LANES)
    fill(lanes, **STATISTICS_OF[name])
    if name == "an emptied table":
        Hook.objects.all().delete()  # its pages stay, so the planner expects one row in all of them
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE hooks_hook, hooks_lane, hooks_endpoint, hooks_attempt, hooks_tally")
    Hook.objects.filter(state__in=(State.QUEUED, State.RETRYING)).delete()
    fill(lanes, queued=3_000, retrying=3_000)
    return lanes


def rows_read(step: dict[str, Any]) -> int:
    """Returns the largest number of rows that one step of the plan returned or discarded, over all its loops.

    Of a bitmap of one index, those that it has found in the table: the index has entries of the versions, too, that
    earlier tests have rolled back.
    """
    each = (
        step["Actual Rows"]
        + step.get("Rows Removed by Filter", 0)
        + step.get("Rows Removed by Join Filter", 0)
        + step.get("Rows Removed by Index Recheck", 0)
    )
    below = step.get("Plans", [])
    if step["Node Type"] == "Bitmap Heap Scan":
        below = [one for one in below if one["Node Type"] != "Bitmap Index Scan"]
    return max([int(each * step["Actual Loops"]), *map(rows_read, below)])


def outline(step: dict[str, Any], depth: int = 0) -> str:
    name = f"{step['Node Type']} {step.get('Index Name', '')}"
    line = f"{'  ' * depth}{name}: {step['Actual Rows']} rows, {step['Actual Loops']} times"
    return "\n".join([line, *(outline(each, depth + 1) for each in step.get("Plans", []))])


EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, FORMAT JSON)"
PLACEHOLDER = re.compile(r"%\((\w+)\)s|%s")


def numbered(sql: str, parameters: Any) -> tuple[str, list[Any]]:
    """Returns the statement with the placeholders of PREPARE ($1, $2 …), and their values in this order."""
    values: list[Any] = []
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        if name not in numbers:
            values.append(parameters[name] if name else parameters[len(values)])
            if name is None:
                return f"${len(values)}"
            numbers[name] = len(values)
        return f"${numbers[name]}"

    return PLACEHOLDER.sub(number, sql).replace("%%", "%"), values


def check(sql: str, parameters: Any, most: int = MOST_ROWS, *, is_prepared: bool = True) -> None:
    """Runs the statement under EXPLAIN and rolls it back. Raises AssertionError if a step reads over `most` rows.

    `is_prepared`: with the plan for any parameters, as in the sessions of hooks/worker_slots.py.
    """
    with connection.cursor() as cursor, transaction.atomic():
        if is_prepared:
            prepared, values = numbered(sql, parameters)
            cursor.execute(f"PREPARE checked AS {prepared.replace('%', '%%')}", [])
            arguments = f"({', '.join(['%s'] * len(values))})" if values else ""
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            cursor.execute(f"{EXPLAIN} EXECUTE checked {arguments}", values)
        else:
            cursor.execute(f"{EXPLAIN} {sql}", parameters)
        [found] = cursor.fetchone()
        if is_prepared:
            cursor.execute("DEALLOCATE checked")
        transaction.set_rollback(True)
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    assert rows_read(plan) <= most, f"{sql}\n{outline(plan)}"


def plan_of(sql: str, parameters: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", parameters)
        return "\n".join(row[0] for row in cursor.fetchall())


class Checking:
    """A dispatcher's session that checks each statement before it runs it."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        with connection.cursor() as cursor:
            cursor.execute(worker_slots.INDEX_LOOKUPS_ONLY.replace("SET ", "SET LOCAL "))

    def execute(self, sql: str, parameters: Any = None) -> Any:
        check(sql, parameters)
        self.checked.append(sql)
        cursor = connection.connection.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def transaction(self) -> Any:
        return connection.connection.transaction()


def claimed(
    session: Any,
    lanes: list[int],
    each: int = EACH,
    *,
    max_retries: int = claim.NO_RETRY_LIMIT,
    places: Places | None = None,
) -> list[ClaimedHook]:
    """Claims as many first attempts as retries of each lane, `each` in total."""
    wanted = dict.fromkeys(lanes, each // 2)
    return claim.claim_hooks(session, 1, wanted, places=places, max_retries=max_retries).hooks


def test_a_step_that_reads_the_backlog_is_noticed(lanes: list[int]) -> None:
    with pytest.raises(AssertionError):
        check("SELECT count(*) FROM hooks_hook WHERE state = 'queued' OR last_ms = 3", None)


def test_claims(lanes: list[int]) -> None:
    session: Any = Checking()
    places: Places = {}
    assert len(claimed(session, lanes, places=places)) == CLAIMED
    assert len(claimed(session, lanes, places=places)) == CLAIMED
    assert session.checked.count(claim.LOCK_LANES) == session.checked.count(claim.LOCK_LANES_AT_PLACES) == 1
    assert len(claimed(session, lanes[:1], CLAIMED)) == CLAIMED
    assert {hook.attempts_made for hook in claimed(session, lanes, max_retries=10)} == {0, 1}


def test_claims_that_are_handed_back_or_swept(lanes: list[int]) -> None:
    session: Any = Checking()
    claim.hand_back(session, 1, claimed(session, lanes))
    assert sorted(due_lanes.due_lanes(session)) == sorted(lanes)
    due_lanes.seconds_to_next_retry(session)
    assert len(claimed(session, lanes)) == CLAIMED
    assert sorted(claim.sweep(session)) == sorted(lanes)  # no session holds the advisory lock of dispatcher 1
    claim.release_lanes(session, 1)


def test_searches_for_new_hooks_and_expired_leases(lanes: list[int]) -> None:
    session: Any = Checking()
    looks = due_lanes.DueLanes()
    assert sorted(looks.search_all(session)) == sorted(lanes)
    last = Hook.objects.latest("pk").pk
    fill(lanes, queued=CLAIMED)
    looks.waiting = []
    for since, owned in ((last + 1, []), (last + CLAIMED + 1, lanes)):
        looks.newest = deque([(0.0, since)])
        assert sorted(looks.search_new(session, owned)) == sorted(lanes)
    retries = [hook.id for hook in claimed(session, lanes) if hook.is_retry]
    Hook.objects.filter(pk__in=retries).update(lease_until=timezone.now() - timedelta(minutes=1))
    assert sorted(claim.requeue_expired(session)) == sorted(lanes * (len(retries) // LANES))


def test_claims_of_strict_lanes(lanes: list[int]) -> None:
    Endpoint.objects.filter(pk__in=lanes).update(strict=True)
    session: Any = Checking()
    found = claimed(session, lanes)
    assert len(found) == CLAIMED / 2
    assert {hook.attempts_made for hook in found} == {0}
    assert claimed(session, lanes) == []  # these are still being sent
    Hook.objects.filter(state__in=(State.SENDING, State.QUEUED)).delete()
    fill(lanes, queued=3_000)
    retries = claimed(session, lanes)  # the oldest hook of each lane
    assert [hook.attempts_made for hook in retries] == [1] * LANES
    claim.hand_back(session, 1, retries)
    Hook.objects.filter(state=State.RETRYING).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert due_lanes.due_lanes(session) == []
    assert claimed(session, lanes) == []


def test_retries_planned_for_later_are_not_read(lanes: list[int]) -> None:
    due = timezone.now() + timedelta(hours=1)
    Hook.objects.filter(state=State.RETRYING).update(next_attempt_at=due)
    Hook.objects.filter(state=State.QUEUED).delete()
    session: Any = Checking()
    assert claimed(session, lanes) == []
    assert due_lanes.due_lanes(session) == []
    seconds = due_lanes.seconds_to_next_retry(session)
    assert seconds is not None
    assert (due - timezone.now()).total_seconds() <= seconds <= 3600


def test_only_retries_that_became_due_a_moment_ago_are_read(lanes: list[int]) -> None:
    old = timezone.now() - timedelta(hours=1)
    Hook.objects.filter(state=State.RETRYING).update(next_attempt_at=old)
    searched = time.monotonic(), time.time()
    fill(lanes, retrying=100)
    session: Any = Checking()
    assert sorted(due_lanes.lanes_of_due_retries(session, 600.0)) == sorted(lanes)
    plan = plan_of(due_lanes.LANES_OF_DUE_RETRIES, [600.0])
    assert "hooks_hook_due" in plan or "next_attempt_at_idx" in plan, plan
    windows = RetryWindows()
    for lane in lanes:
        windows.note_claim(lane, *searched, whole=True)
    found = claim.claim_hooks(session, 1, dict.fromkeys(lanes, CLAIMED // 2), None, windows).hooks
    assert sum(hook.is_retry for hook in found) == 100


@pytest.mark.parametrize("status", [200, 500])
def test_results(lanes: list[int], status: int) -> None:
    session: Any = Checking()
    outcome = Outcome.OK if status == 200 else Outcome.NOT_200
    response = Response(outcome, status=status)
    places: Places = {}
    hooks = claimed(session, lanes, places=places)
    results = [attempt_result(hook, datetime.now(UTC), {}, response) for hook in hooks]
    for known in places, {}:
        check(record.UPDATE_HOOKS, record.parameters(results, 1, known))


def test_redelivery(lanes: list[int]) -> None:
    numbers = list(Hook.objects.order_by("pk").values_list("pk", flat=True)[:CLAIMED])
    check(redelivery.RESEND, {"job": None, "allowed": 20, "ids": numbers}, is_prepared=False)


def test_cancelling_of_a_quiet_endpoint(lanes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its hooks are older than thousands of others'."""
    monkeypatch.setattr(stopping, "CANCELLED_AT_ONCE", 100)
    monkeypatch.setattr(cancelling, "BATCH", 100)
    quiet = InstanceFactory(url="http://a.example/").pk
    fill([quiet], queued=1_500, retrying=500)
    fill(lanes, queued=3_000, delivered=3_000)
    statements: list[str] = []

    def check_first(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "hooks_hook" in sql and not sql.startswith(EXPLAIN):
            statements.append(sql)
            check(sql, parameters, most=200, is_prepared=False)
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(check_first):
        assert stopping.cancel_waiting(quiet, acting_user=None) == (100, True)
        assert sum(cancelling.cancel_of_endpoint(quiet)) == 1_900
    assert len(statements) > 10
