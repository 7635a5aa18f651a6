"""While an old transaction keeps vacuum from removing dead rows, claims read only a few of them.

See hooks/dispatch/retry_windows.py and hooks/dispatch/lane_places.py.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from hooks import outbox, tallies, worker_slots
from hooks.dispatch import claim, due_lanes, loop, record, strict_order
from hooks.dispatch.database_threads import Sweeper
from hooks.dispatch.dead_dispatchers import DEAD_RUNS, WITH_LANES, DeadDispatchers
from hooks.dispatch.retry_windows import ALL, OVERLAP, WHOLE_EVERY, RetryWindows
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts
from hooks.models import Endpoint, Hook, Kind, Lane, PauseReason, Role, Runner, State, Trigger
from instances.actions.messages import receive_message
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import Dispatcher, emit, result, retrying, stored, wait_until_unlocked
from tests.hooks.dispatch.dispatching import wait_until
from tests.receiver import Answer, Received, Receiver

pytestmark = pytest.mark.django_db(transaction=True)

FINISHED = 3_000  # retries of a lane that were delivered
VERSIONS = 2_000  # of a lane's row
CLAIMS = 200  # of a lane that is released after each


@pytest.fixture
def old_transaction() -> Iterator[None]:
    """Another session whose snapshot is older than what the test writes.

    Before, the versions of lanes that earlier tests have left are removed. Otherwise autovacuum may free their pages in
    the middle of the test; the next versions would then be in front of the others, where no search begins.
    """
    with worker_slots.connect() as session:
        session.execute("VACUUM FULL hooks_lane")
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT count(*) FROM hooks_hook")
        yield
        session.execute("ROLLBACK")


def finish_retries(lane: Endpoint) -> None:
    """Writes hooks that have waited for a retry, and then were delivered. Neighbours in time are in different pages."""
    due = timezone.now() - timedelta(seconds=600)
    times = [due + timedelta(seconds=number * 7919 % FINISHED / 10) for number in range(FINISHED)]
    Hook.objects.bulk_create(
        Hook(
            endpoint=lane, kind=Kind.MESSAGE, body=b"x", state=State.RETRYING, trigger=Trigger.RETRY,
            attempts_made=1, attempts_allowed=20, next_attempt_at=at,
        )
        for at in times
    )  # fmt: skip
    Hook.objects.filter(endpoint=lane).update(
        state=State.DELIVERED, next_attempt_at=None, finished_at=timezone.now()
    )


class Reading:
    """The session of a dispatcher that counts the pages which each claim reads."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.pages: list[int] = []

    def transaction(self) -> Any:
        return self.dispatcher.session.transaction()

    def execute(self, sql: str, parameters: Any = None) -> Any:
        session = self.dispatcher.session
        if sql == claim.CLAIM_HOOKS:
            with session.transaction(force_rollback=True):
                found = session.execute(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters
                ).fetchone()
                assert found
                plan = found[0][0]["Plan"]
                self.pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        return session.execute(sql, parameters)

    def claim(self, lane: Endpoint, windows: RetryWindows | None) -> list[int]:
        found = claim.claim_hooks(self, self.dispatcher.me, {lane.pk: 5}, None, windows)  # type: ignore[arg-type]
        return [hook.id for hook in found.hooks]


def test_a_claim_does_not_read_the_retries_that_are_done(
    me: Dispatcher, lane: Endpoint, old_transaction: None
) -> None:
    finish_retries(lane)
    windows = RetryWindows()
    reading = Reading(me)
    first, second, third = emit(lane, 3)
    retrying(first)
    assert set(reading.claim(lane, windows)) == {first.pk, second.pk, third.pk}
    [second_retry] = emit(lane)
    retrying(second_retry)
    assert reading.claim(lane, windows) == [second_retry.pk]
    whole, bounded = reading.pages
    assert whole > FINISHED / 2  # each entry leads to a row
    assert bounded < whole / 10


class Counting:
    """The session of a dispatcher that counts the pages which each statement reads."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.session = dispatcher.session
        self.pages: dict[str, int] = {}

    def transaction(self) -> Any:
        return self.session.transaction()

    def execute(self, sql: str, parameters: Any = None) -> Any:
        with self.session.transaction(force_rollback=True):
            found = self.session.execute(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters
            ).fetchone()
        assert found
        plan = found[0][0]["Plan"]
        self.pages[sql] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return self.session.execute(sql, parameters)


def pages_of_a_delivery(me: Dispatcher, lane: Endpoint, knows_places: bool) -> dict[str, int]:
    """Delivers a hook; returns how many pages each statement of a dispatcher has read, the least of three hooks."""
    least: dict[str, int] = {}
    for _ in range(
        3
    ):  # an update whose page is full reads all versions, to find that the key is still unique
        session: Any = Counting(me)
        emit(lane)
        assert due_lanes.due_lanes(session) == [lane.pk]
        [hook] = claim.claim_hooks(session, me.me, {lane.pk: 5}, places=me.places).hooks
        parameters = record.parameters([result(hook)], me.me, me.places if knows_places else {})
        session.execute(record.UPDATE_HOOKS, parameters)
        assert stored(hook).state == State.DELIVERED
        for sql, pages in session.pages.items():
            least[sql] = min(least.get(sql, pages), pages)
    return least


def add_versions(me: Dispatcher, lane: Endpoint) -> None:
    for _ in range(VERSIONS):
        me.session.execute(
            "UPDATE hooks_lane SET until = clock_timestamp() WHERE endpoint_id = %s", [lane.pk]
        )


@pytest.mark.parametrize(("strict", "knows_places"), [(False, True), (True, True), (False, False)])
def test_the_former_versions_of_a_lane_are_not_read(
    me: Dispatcher, lane: Endpoint, old_transaction: None, strict: bool, knows_places: bool
) -> None:
    """`knows_places`: the recorder does; it may run while a claim changes the place."""
    Endpoint.objects.filter(pk=lane.pk).update(strict=strict)
    me.claim(lane)
    few = pages_of_a_delivery(me, lane, knows_places)
    add_versions(me, lane)
    emit(lane)
    [hook] = me.claim(
        lane
    )  # not where it was: it is looked up by its key, and found there by the next claims
    record.record_attempts(me.session, [result(hook)], owner=me.me, places=me.places)
    by_key: Any = Counting(me)
    by_key.execute("SELECT FROM hooks_lane WHERE endpoint_id = %s", [lane.pk])
    assert min(by_key.pages.values()) > VERSIONS / 150
    many = pages_of_a_delivery(me, lane, knows_places)
    statements = claim.LOCK_LANES_AT_PLACES, claim.CLAIM_HOOKS, record.UPDATE_HOOKS, due_lanes.DUE_LANES
    assert set(statements) <= many.keys()
    too_many = {sql: (few[sql], many[sql]) for sql in many if many[sql] > few.get(sql, 0) + 6}
    assert too_many == {}


def test_a_new_index_entry_of_a_lane_is_not_compared_with_those_of_its_former_versions(
    me: Dispatcher, lane: Endpoint, old_transaction: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane with a hook from time to time gets one with each: it is released in between, and claimed again."""

    def pages_of_a_claim() -> int:
        session: Any = Counting(me)
        emit(lane)
        [hook] = claim.claim_hooks(session, me.me, {lane.pk: 5}, places=me.places).hooks
        record.record_attempts(me.session, [result(hook)], owner=me.me, places=me.places)
        claim.release_lanes(me.session, me.me, [lane.pk])
        pages: int = session.pages[claim.CLAIM_HOOKS]
        return pages

    claims = count()
    monkeypatch.setattr("hooks.dispatch.claim.period_of", lambda at: next(claims) // 4)
    few = pages_of_a_claim()
    for _ in range(CLAIMS):
        pages_of_a_claim()
    assert pages_of_a_claim() < few + CLAIMS / 10


def test_a_lane_of_another_dispatcher_is_not_read_by_its_key(
    me: Dispatcher, other: Dispatcher, lane: Endpoint, old_transaction: None
) -> None:
    """Each wake-up comes to all dispatchers, so those that do not own the lane look it up every time."""
    me.claim(lane)
    emit(lane)
    me.claim(lane)
    few, many = Counting(other), Counting(other)
    assert claim.lock_lanes(few, other.me, [lane.pk], {}) == []  # type: ignore[arg-type]
    add_versions(me, lane)
    assert claim.lock_lanes(many, other.me, [lane.pk], {}) == []  # type: ignore[arg-type]
    assert many.pages[claim.LOCK_LANES] <= few.pages[claim.LOCK_LANES] + 6


def deliver(me: Dispatcher, lane: Endpoint, number: int) -> None:
    """Emits and delivers so many hooks."""
    hooks = emit(lane, number)
    assert len(me.claim(lane, n=number)) == number
    Hook.objects.filter(pk__in=[hook.pk for hook in hooks]).update(
        state=State.DELIVERED, finished_at=timezone.now()
    )


def test_the_search_between_searches_of_all_lanes_does_not_read_the_hooks_that_were_sent(
    me: Dispatcher, lane: Endpoint, old_transaction: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooks.dispatch.due_lanes.NEW_SECONDS", 0.0)
    other = InstanceFactory(url="http://b.example/").endpoint
    looks = due_lanes.DueLanes()
    deliver(me, lane, FINISHED)
    deliver(me, other, 1)
    assert looks.search_all(me.session) == []
    assert looks.search_new(me.session, list(me.places)) == []
    emit(lane)
    session: Any = Counting(me)
    assert looks.search_new(session, []) == [lane.pk]
    assert due_lanes.due_lanes(session) == [lane.pk]
    assert session.pages[due_lanes.DUE_LANES] > FINISHED / 100
    assert session.pages[due_lanes.DUE_OF_NEW_HOOKS] < session.pages[due_lanes.DUE_LANES] / 2


def test_a_claim_of_a_strict_lane_does_not_read_the_hooks_that_were_sent(
    me: Dispatcher, lane: Endpoint, old_transaction: None
) -> None:
    Endpoint.objects.filter(pk=lane.pk).update(strict=True)
    deliver(me, lane, FINISHED)
    waiting = emit(lane, 2)
    first: list[int] = []
    second: list[int] = []

    def pages_of_a_turn(found: list[int]) -> int:
        session: Any = Counting(me)
        claimed = claim.claim_hooks(
            session, me.me, {lane.pk: 1}, places=me.places, queue_starts=me.queue_starts
        ).hooks
        found += [hook.id for hook in claimed]
        record.record_attempts(me.session, [result(hook) for hook in claimed], owner=me.me, places=me.places)
        pages: int = session.pages[strict_order.TURNS]
        return pages

    whole = pages_of_a_turn(first)
    bounded = pages_of_a_turn(second)
    assert [*first, *second] == [hook.pk for hook in waiting]
    assert whole > FINISHED / 100
    assert bounded < whole / 2


def test_the_look_for_due_lanes_does_not_read_the_sent_hooks_of_a_strict_lane_with_a_retry(
    me: Dispatcher, lane: Endpoint, old_transaction: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooks.dispatch.due_lanes.NEW_SECONDS", 0.0)
    Endpoint.objects.filter(pk=lane.pk).update(strict=True)
    pages = []
    looks = due_lanes.DueLanes()
    for number in (1, FINISHED):
        deliver(me, lane, number)
        retry, _ = emit(lane, 2)
        me.claim(lane, n=1)
        retrying(retry, seconds_ago=-600)
        assert looks.search_all(me.session) == []
        session: Any = Counting(me)
        assert looks.search_new(session, [lane.pk]) == []
        pages.append(session.pages[due_lanes.DUE_OF_NEW_HOOKS])
        Hook.objects.filter(endpoint=lane).update(
            state=State.DELIVERED, next_attempt_at=None, finished_at=timezone.now()
        )
    few, many = pages
    assert many < few + FINISHED / 100


def test_lanes_that_are_owned_or_were_found_by_the_search_of_all_are_looked_at(
    me: Dispatcher, lane: Endpoint
) -> None:
    """Their hooks may be older than the last seconds: those of a backlog, or of a lane whose catch-up is limited."""
    found, paused = (InstanceFactory(url="http://b.example/").endpoint for _ in range(2))
    emit(lane, 2)
    me.claim(lane, n=1)
    emit(found)
    emit(paused)
    Endpoint.objects.filter(pk=paused.pk).update(paused_at=timezone.now(), pause_reason=PauseReason.BY_HAND)
    looks = due_lanes.DueLanes()
    assert sorted(looks.search_all(me.session)) == [lane.pk, found.pk]
    looks.newest = deque([(0.0, Hook.objects.latest("pk").pk + 1)])
    looks.waiting.remove(lane.pk)
    assert looks.search_new(me.session, []) == [found.pk]
    assert sorted(looks.search_new(me.session, list(me.places))) == [lane.pk, found.pk]
    me.claim(lane, found)
    assert looks.search_new(me.session, list(me.places)) == []


def test_an_owned_lane_is_looked_at_from_the_last_search_of_all(me: Dispatcher, lane: Endpoint) -> None:
    looks = due_lanes.DueLanes()
    assert looks.search_all(me.session) == []
    emit(lane, 2)
    me.claim(lane, n=1)
    looks.newest = deque(
        [(0.0, Hook.objects.latest("pk").pk + 1)]
    )  # as if they were older than the last seconds
    assert looks.search_new(me.session, list(me.places)) == [lane.pk]


def test_an_event_that_commits_later_than_others_is_new(me: Dispatcher, lane: Endpoint) -> None:
    """It takes its id before, so it is below the newest id of a look."""
    other = InstanceFactory(url="http://b.example/").endpoint
    looks = due_lanes.DueLanes()
    looks.search_all(me.session)
    with transaction.atomic():
        outbox.emit(instance_id=lane.pk, kind=Kind.MESSAGE, body=b"{}")
        with ThreadPoolExecutor(1) as executor:
            executor.submit(emit_and_close, other).result()
        assert looks.search_new(me.session, []) == [other.pk]
    assert sorted(looks.search_new(me.session, [])) == [lane.pk, other.pk]


def emit_and_close(endpoint: Endpoint) -> None:
    emit(endpoint)
    connection.close()


def add_run(dispatcher: Dispatcher) -> None:
    Runner.objects.create(id=dispatcher.me, role=Role.DISPATCH, slot=0, pid=1, host="a.example")


def test_a_dead_dispatcher_is_noticed_while_the_search_of_all_lanes_waits(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    add_run(me)
    emit(lane)
    me.claim(lane)
    me.session.close()
    wait_until_unlocked(other.session, me.me)
    sweeper = Sweeper(other.me, other.places, WakeupPipe(), Counts())
    sweeper.next_search_of_all = math.inf
    sweeper.sweep_and_pause()
    assert lane.pk in sweeper.due_lanes
    assert other.claim(lane)
    assert sweeper.next_sweep < math.inf
    sweeper.session.close()
    sweeper.wakeup.close()


def test_the_look_for_dead_dispatchers_does_not_read_the_claims_that_took_a_free_lane(
    me: Dispatcher, other: Dispatcher, lane: Endpoint, old_transaction: None
) -> None:
    """Each of them leaves an entry in the index of owners."""
    add_run(me)
    add_run(other)
    dead = DeadDispatchers()
    few: Any = Counting(me)
    assert dead.find(few) == []
    for _ in range(VERSIONS):
        me.session.execute("UPDATE hooks_lane SET owner = %s WHERE endpoint_id = %s", [me.me, lane.pk])
        claim.release_lanes(me.session, me.me, [lane.pk])
    many: Any = Counting(me)
    assert dead.find(many) == []
    assert few.pages.keys() == many.pages.keys() == {DEAD_RUNS}
    assert many.pages[DEAD_RUNS] <= few.pages[DEAD_RUNS] + 6
    many.execute(claim.DEAD_OWNERS)
    assert many.pages[claim.DEAD_OWNERS] > VERSIONS / 150


def test_a_dead_dispatcher_without_lanes_is_looked_at_once(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    add_run(me)
    dead = DeadDispatchers()
    me.session.close()
    wait_until_unlocked(other.session, me.me)
    for statements in ({DEAD_RUNS, WITH_LANES}, {DEAD_RUNS}):
        session: Any = Counting(other)
        assert dead.find(session) == []
        assert session.pages.keys() == statements
    # it connects again, claims and dies
    again = Dispatcher(me.me)
    assert dead.find(other.session) == []
    emit(lane)
    again.claim(lane)
    again.session.close()
    wait_until_unlocked(other.session, me.me)
    assert dead.find(other.session) == dead.find(other.session) == [me.me]
    assert claim.sweep(other.session, owners=[me.me]) == [lane.pk]
    assert dead.find(other.session) == []


def tally(lane: Endpoint) -> tuple[Any, ...]:
    """Returns the place of the version of its tally that is valid now, and its columns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ctid::text, * FROM hooks_tally WHERE endpoint_id = %s", [lane.pk])
        [row] = cursor.fetchall()
    return tuple(row)


def test_events_add_no_versions_of_a_tally(lane: Endpoint, old_transaction: None) -> None:
    """However long the transaction stays open, an event reads one version."""
    other = InstanceFactory(url="http://b.example/").endpoint
    first = tally(lane)
    event = outbox.Event(Kind.MESSAGE, b"{}")
    emit(lane, 3)
    with transaction.atomic():
        outbox.emit_for_many({lane.pk: [event], other.pk: [event]})
        outbox.count_emitted(lane.pk)
    receive_message(lane.instance, sender="17680561234", body="creates the chat")
    receive_message(lane.instance, sender="17680561234", body="in one statement")
    Endpoint.objects.filter(pk=lane.pk).update(families=["message"])
    emit(lane)
    assert tally(lane) == first
    hooks = Hook.objects.filter(endpoint=lane).count()
    assert tallies.emitted([lane.pk]) == {lane.pk: hooks + 1}


def test_a_place_that_another_lane_has_now_is_not_used(me: Dispatcher, lane: Endpoint) -> None:
    other = InstanceFactory(url="http://b.example/").endpoint
    emit(other)
    [of_other] = me.claim(other)
    me.places[lane.pk] = me.places[other.pk]
    [hook] = emit(lane)
    assert [claimed.id for claimed in me.claim(lane)] == [hook.pk]
    assert me.places[lane.pk] != me.places[other.pk]
    assert Lane.objects.get(pk=lane.pk).cursor == hook.pk
    assert Lane.objects.get(pk=other.pk).cursor == of_other.id


def test_a_lane_of_another_dispatcher_is_not_claimed_at_its_place(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    emit(lane, 2)
    [first] = me.claim(lane, n=1)
    other.places = dict(me.places)
    assert other.claim(lane) == []
    assert other.places == {}
    claim.release_lanes(me.session, me.me, [lane.pk])
    [second] = other.claim(lane)
    assert second.id > first.id
    assert me.claim(lane) == []  # its place is a former version, and the lane's owner is another
    record.record_attempts(me.session, [result(first, 500)], owner=me.me, places=me.places | other.places)
    assert stored(first).state == State.QUEUED


@pytest.mark.parametrize("knows_place", [True, False])
def test_the_result_of_a_hook_behind_the_cursor_counts_wherever_the_lane_is(
    me: Dispatcher, lane: Endpoint, knows_place: bool
) -> None:
    emit(lane, 3)
    first, second = me.claim(lane, n=2)
    if not knows_place:
        me.session.execute("UPDATE hooks_lane SET until = clock_timestamp()")
    [third] = Hook.objects.filter(pk__gt=second.id)
    unclaimed = replace(second, id=third.pk)
    results = [result(hook) for hook in (first, second, unclaimed)]
    record.record_attempts(me.session, results, owner=me.me, places=me.places)
    states = [stored(hook).state for hook in (first, second, third)]
    assert states == [State.DELIVERED, State.DELIVERED, State.QUEUED]


@pytest.mark.parametrize("sql", [claim.LOCK_LANES, claim.LOCK_LANES_AT_PLACES])
def test_a_lane_that_changes_while_it_is_locked_has_its_new_place(
    me: Dispatcher, lane: Endpoint, sql: str
) -> None:
    """Another session changes the row after the statement began. By its place it may not be found, but nothing else."""
    emit(lane)
    me.claim(lane)
    parameters = {"me": me.me, "lanes": [lane.pk], "places": [me.places[lane.pk]]}
    found: list[tuple[Any, ...]] = []

    def lock() -> None:
        found.extend(me.session.execute(sql.replace("SKIP LOCKED", ""), parameters).fetchall())

    with worker_slots.connect() as another:
        with another.transaction():
            another.execute(
                "UPDATE hooks_lane SET until = clock_timestamp() WHERE endpoint_id = %s", [lane.pk]
            )
            waiting = threading.Thread(target=lock)
            waiting.start()
            wait_until(lambda: is_blocked(another, me), "the lock is waited for")
        waiting.join(60)
        assert not waiting.is_alive()
        row = another.execute(
            "SELECT ctid::text FROM hooks_lane WHERE endpoint_id = %s", [lane.pk]
        ).fetchone()
    assert row
    assert [one[8] for one in found] in ([row[0]], [])


def is_blocked(session: Any, dispatcher: Dispatcher) -> bool:
    pid = dispatcher.session.info.backend_pid
    row = session.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone()
    return bool(row[0])


def test_a_lane_without_an_open_limit_is_searched_whole_again(me: Dispatcher, lane: Endpoint) -> None:
    windows = RetryWindows()
    old, new = (retrying(hook, seconds_ago=ago) for hook, ago in zip(emit(lane, 2), (60, 0), strict=True))
    Hook.objects.filter(pk=old.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    reading = Reading(me)
    assert reading.claim(lane, windows) == [new.pk]
    retrying(old, seconds_ago=60)  # for example handed back by another process
    assert reading.claim(lane, windows) == []
    claimed_now, claimed_at, whole_now = windows.lanes[lane.pk]
    windows.lanes[lane.pk] = claimed_now, claimed_at, whole_now - WHOLE_EVERY
    assert reading.claim(lane, windows) == [old.pk]


def test_more_due_retries_than_a_claim_takes_are_all_claimed(me: Dispatcher, lane: Endpoint) -> None:
    windows = RetryWindows()
    waiting = [retrying(hook, seconds_ago=3600 - number) for number, hook in enumerate(emit(lane, 12))]
    reading = Reading(me)
    found = [hook for _ in range(3) for hook in reading.claim(lane, windows)]
    assert found == [hook.pk for hook in waiting]
    assert lane.pk in windows.lanes


def test_retries_without_a_url_are_found_when_there_is_one(me: Dispatcher, lane: Endpoint) -> None:
    windows = RetryWindows()
    without_url, with_url = (retrying(hook, seconds_ago=600) for hook in emit(lane, 2))
    Hook.objects.filter(pk=with_url.pk).update(to_url="http://b.example/")
    Endpoint.objects.filter(pk=lane.pk).update(url="")
    reading = Reading(me)
    assert reading.claim(lane, windows) == [with_url.pk]
    Endpoint.objects.filter(pk=lane.pk).update(url="http://a.example/")
    assert reading.claim(lane, windows) == [without_url.pk]


def test_the_window_begins_at_the_last_complete_claim() -> None:
    windows = RetryWindows()
    assert windows.begin(1, 100.0, 1_000_100.0) == ALL
    windows.note_claim(1, 100.0, 1_000_100.0, whole=True)
    assert windows.begin(1, 103.0, 1_000_103.0) == 1_000_100.0 - OVERLAP
    windows.note_claim(1, 120.0, 1_000_120.0, whole=False)
    assert windows.begin(1, 121.0, 1_000_121.0) == 1_000_120.0 - OVERLAP
    assert windows.begin(1, 100.0 + WHOLE_EVERY, 1_000_130.0) == ALL
    windows.forget([1, 2])
    assert windows.begin(1, 121.0, 1_000_121.0) == ALL


def test_the_window_has_the_retries_of_a_clock_that_is_set_forward_or_back_an_hour() -> None:
    windows = RetryWindows()
    windows.note_claim(1, 100.0, 1_000_100.0, whole=True)
    # Those planned for the hour that was left out became due at once.
    assert windows.begin(1, 120.0, 1_003_720.0) == 1_000_100.0 - OVERLAP
    # Those planned after the step have a time before that of the last claim.
    assert windows.begin(1, 120.0, 996_520.0) == 996_500.0 - OVERLAP


def test_a_claim_that_runs_long_after_its_begin_misses_no_retry(
    me: Dispatcher, lane: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may be stopped between both: what became due before it is still searched."""
    monkeypatch.setattr("hooks.dispatch.retry_windows.OVERLAP", 0.5)
    windows, reading = RetryWindows(), Reading(me)
    first, second = (retrying(hook, seconds_ago=0) for hook in emit(lane, 2))
    Hook.objects.filter(pk=second.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert reading.claim(lane, windows) == [first.pk]
    find_turns = claim.find_turns

    def wait(*arguments: Any) -> Any:
        Hook.objects.filter(pk=second.pk).update(next_attempt_at=timezone.now())
        time.sleep(1)  # the second retry is due, and that is longer ago than the overlap
        return find_turns(*arguments)

    monkeypatch.setattr(claim, "find_turns", wait)
    assert reading.claim(lane, windows) == [second.pk]


def test_a_sweep_finds_the_lanes_with_retries_that_claims_have_missed(me: Dispatcher, lane: Endpoint) -> None:
    other = InstanceFactory(url="http://b.example/").endpoint
    retrying(emit(lane)[0], seconds_ago=OVERLAP + 1)
    retrying(emit(other)[0], seconds_ago=0)
    emit(InstanceFactory(url="http://c.example/").endpoint)
    late: list[int] = []
    assert len(due_lanes.due_lanes(me.session, late.append)) == 3
    assert late == [lane.pk]


def run_dispatcher(slot: worker_slots.WorkerSlot) -> tuple[loop.Dispatcher, threading.Thread]:
    dispatcher = loop.Dispatcher(slot, None, lambda: None)
    running = threading.Thread(target=dispatcher.run)
    running.start()
    return dispatcher, running


def stop(dispatcher: loop.Dispatcher, running: threading.Thread) -> None:
    dispatcher.claimer.lost_slot = True
    dispatcher.wakeup.wake()
    running.join(60)
    assert not running.is_alive()


def test_hooks_and_retries_do_not_wait_for_a_sweep_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first sweep ends only after both attempts of a hook."""
    sweep_may_end, has_begun = threading.Event(), threading.Event()

    def sweep(*arguments: object) -> list[int]:
        has_begun.set()
        assert sweep_may_end.wait(60)
        return []

    monkeypatch.setattr(claim, "sweep", sweep)
    arrived: list[Received] = []

    def answer(received: Received) -> Answer:
        arrived.append(received)
        # the retry is due when the test says so
        return (500, {"Retry-After": "600"}, b"") if len(arrived) == 1 else (200, {}, b"")

    with Receiver(answer) as receiver, worker_slots.hold_slot(Role.DISPATCH, range(1)) as slot:
        assert slot is not None
        dispatcher, running = run_dispatcher(slot)
        try:
            assert has_begun.wait(30)
            endpoint = InstanceFactory(url=receiver.url, guaranteed=True).endpoint
            [hook] = emit(endpoint)
            wait_until(lambda: stored(hook).state == State.RETRYING, "the first attempt")
            Hook.objects.filter(pk=hook.pk).update(next_attempt_at=timezone.now() + timedelta(seconds=1))
            wait_until(lambda: stored(hook).state == State.DELIVERED, "the retry")
            assert not sweep_may_end.is_set()
        finally:
            sweep_may_end.set()
            stop(dispatcher, running)


def test_a_retry_whose_time_was_changed_does_not_wait_for_the_next_search_of_the_whole_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hooks.dispatch.retry_windows.WHOLE_EVERY", 3600.0)
    fails = {b"0", b"1"}

    def answer(received: Received) -> Answer:
        is_failing = received.body in fails
        return (500 if is_failing else 200), {}, b""

    with Receiver(answer) as receiver, worker_slots.hold_slot(Role.DISPATCH, range(1)) as slot:
        assert slot is not None
        dispatcher, running = run_dispatcher(slot)
        try:
            endpoint = InstanceFactory(url=receiver.url, guaranteed=True).endpoint
            first, second = emit(endpoint, 2)
            retries = Hook.objects.filter(endpoint=endpoint, state=State.RETRYING)
            wait_until(lambda: retries.count() == 2, "both first attempts")
            fails.discard(b"1")
            Hook.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
            Hook.objects.filter(pk=second.pk).update(next_attempt_at=timezone.now())
            wait_until(lambda: stored(second).state == State.DELIVERED, "a retry, which opens the window")
            fails.clear()
            Hook.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now() - timedelta(minutes=5))
            wait_until(lambda: stored(first).state == State.DELIVERED, "the late retry")
        finally:
            stop(dispatcher, running)


def test_the_other_dispatchers_are_notified_of_the_hooks_that_a_stop_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind an old transaction, the next search of all lanes may be minutes away."""
    monkeypatch.setattr("hooks.dispatch.due_lanes.DueLanes.search_all", lambda *arguments: [])
    monkeypatch.setattr("hooks.dispatch.due_lanes.DueLanes.search_new", lambda *arguments: [])
    may_respond = threading.Event()

    def answer(received: Received) -> Answer:
        assert may_respond.wait(60)
        return 200, {}, b""

    slots = range(2)
    with (
        Receiver(answer) as receiver,
        worker_slots.hold_slot(Role.DISPATCH, slots) as slot,
        worker_slots.hold_slot(Role.DISPATCH, slots) as other_slot,
    ):
        assert slot is not None
        assert other_slot is not None
        dispatcher, running = run_dispatcher(slot)
        wait_until(lambda: dispatcher.listening is not None, "the first dispatcher listens")
        endpoint = InstanceFactory(url=receiver.url).endpoint
        emit(endpoint, 5)
        wait_until(lambda: receiver.requests, "the first request")
        other_dispatcher, other_running = run_dispatcher(other_slot)
        wait_until(lambda: other_dispatcher.listening is not None, "the second dispatcher listens")
        dispatcher.claimer.lost_slot = True
        dispatcher.wakeup.wake()
        wait_until(lambda: dispatcher.released, "the stop")
        may_respond.set()
        stop(dispatcher, running)
        try:
            delivered = Hook.objects.filter(endpoint=endpoint, state=State.DELIVERED)
            wait_until(lambda: delivered.count() == 5, "the rest")
        finally:
            stop(other_dispatcher, other_running)


def test_a_stop_does_not_wait_for_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun = threading.Event()

    def sweep(session: Any, *arguments: object) -> list[int]:
        has_begun.set()
        session.execute("SELECT pg_sleep(3600)")
        return []

    monkeypatch.setattr(claim, "sweep", sweep)
    with worker_slots.hold_slot(Role.DISPATCH, range(1)) as slot:
        assert slot is not None
        dispatcher, running = run_dispatcher(slot)
        assert has_begun.wait(30)
        stop(dispatcher, running)
        assert not dispatcher.sweeper.is_alive()


def test_after_a_break_of_the_session_runs_have_time_to_acquire_their_locks(
    me: Dispatcher, lane: Endpoint
) -> None:
    """As after a failover: the lanes of another dispatcher, which has not connected again yet, stay its own."""
    add_run(me)
    emit(lane)
    me.claim(lane)
    me.session.close()
    with worker_slots.connect() as session:
        wait_until_unlocked(session, me.me)
    sweeper = Sweeper(2, {}, WakeupPipe(), Counts())
    sweeper.reconnect()
    sweeper.sweep()
    assert Lane.objects.get(pk=lane.pk).owner == me.me
    assert sweeper.reconnected_at is not None
    sweeper.reconnected_at -= worker_slots.RECONNECT_SECONDS
    sweeper.sweep()
    assert Lane.objects.get(pk=lane.pk).owner is None
    sweeper.session.close()
    sweeper.wakeup.close()
