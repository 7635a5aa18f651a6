"""Leases with two database sessions: owners of lanes, claims, results, hand-backs, and the sweep of dead owners."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from chatapi.encryption.fields import Ciphertext
from hooks import metrics, outbox, worker_slots
from hooks.actions.endpoints import configure, end_override, override_url, rotate_secret
from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.dispatch import claim
from hooks.dispatch.attempts import BY_CURSOR, AttemptResult, ClaimedHook, attempt_result
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.log.counts import counts_by_state
from hooks.models import Attempt, Endpoint, Hook, Kind, Lane, Outcome, SkipReason, State, Trigger, in_states
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)

Session = psycopg.Connection[Any]
ME, OTHER = 1_000_000_000_001, 1_000_000_000_002


class Dispatcher:
    """A session that holds its advisory lock, like a worker slot, without the loop."""

    def __init__(self, me: int) -> None:
        self.me = me
        self.session = worker_slots.connect()
        self.session.execute("SELECT pg_advisory_lock(%s)", [me])

    def claim(self, *endpoints: Endpoint, n: int = 10) -> list[ClaimedHook]:
        return claim.claim_hooks(self.session, self.me, {endpoint.pk: n for endpoint in endpoints}).hooks


@pytest.fixture
def me() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(ME)
    yield dispatcher
    dispatcher.session.close()


@pytest.fixture
def other() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(OTHER)
    yield dispatcher
    dispatcher.session.close()


@pytest.fixture
def lane() -> Endpoint:
    return InstanceFactory(url="http://a.example/").endpoint


def emit(endpoint: Endpoint, n: int = 1) -> list[Hook]:
    with transaction.atomic():
        return [
            outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"%d" % number)
            for number in range(n)
        ]


def retrying(hook: Hook, seconds_ago: float = 1) -> Hook:
    """Puts the hook into the state after one failed attempt, with a retry due for this many seconds."""
    due = timezone.now() - timedelta(seconds=seconds_ago)
    Hook.objects.filter(pk=hook.pk).update(
        state=State.RETRYING, attempts_made=1, attempts_allowed=20, next_attempt_at=due, trigger=Trigger.RETRY
    )
    return hook


def result(hook: ClaimedHook, status: int = 200) -> AttemptResult:
    outcome = Outcome.OK if status == 200 else Outcome.NOT_200
    at = datetime.now(UTC)
    return attempt_result(hook, at, hook.headers(at), Response(outcome, status=status, total_ms=1.0))


def stored(hook: Hook | ClaimedHook) -> Hook:
    return Hook.objects.get(pk=hook.id)


def shown(hook: Hook | ClaimedHook) -> str:
    """The state that pages show."""
    return Hook.objects.show_sending().get(pk=hook.id).state


def owner(endpoint: Endpoint) -> int | None:
    return Lane.objects.get(pk=endpoint.pk).owner


# -- the owner of a lane


def test_a_claim_takes_the_lane_and_its_hooks_in_order(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 3)
    claimed = me.claim(lane)
    assert [hook.id for hook in claimed] == [hook.pk for hook in made]
    assert [hook.body for hook in claimed] == [b"0", b"1", b"2"]
    assert {(hook.claim, hook.attempts_made, hook.attempts_allowed, hook.trigger) for hook in claimed} == {
        (BY_CURSOR, 0, 1, Trigger.EVENT)
    }
    assert claimed[0].webhook_id == made[0].webhook_id
    assert claimed[0].url == "http://a.example/"
    assert claimed[0].secret == lane.secret
    assert owner(lane) == ME
    row = Lane.objects.get(pk=lane.pk)
    assert row.cursor == made[2].pk
    assert row.until is not None
    assert row.until > timezone.now()
    assert {(stored(hook).state, shown(hook)) for hook in made} == {(State.QUEUED, State.SENDING)}


def test_a_claim_writes_no_hook(me: Dispatcher, lane: Endpoint) -> None:
    """Only the lane's cursor: the rows keep their versions, which PostgreSQL would have to write and to vacuum."""
    emit(lane, 3)
    versions = "SELECT array_agg(ctid::text || xmin::text ORDER BY id) FROM hooks_hook"
    before = me.session.execute(versions).fetchone()
    assert len(me.claim(lane)) == 3
    assert me.session.execute(versions).fetchone() == before


def test_another_dispatcher_cannot_claim_from_an_owned_lane(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    emit(lane, 3)
    assert len(me.claim(lane, n=1)) == 1
    assert other.claim(lane) == []
    assert len(me.claim(lane)) == 2


def test_two_dispatchers_share_the_lanes(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    second = InstanceFactory(url="http://b.example/").endpoint
    emit(lane)
    emit(second)
    assert [hook.endpoint_id for hook in me.claim(lane)] == [lane.pk]
    assert [hook.endpoint_id for hook in other.claim(lane, second)] == [second.pk]


def test_a_released_lane_is_free(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    emit(lane, 2)
    me.claim(lane, n=1)
    claim.release_lanes(other.session, OTHER, [lane.pk])  # owned by another dispatcher: no effect
    assert owner(lane) == ME
    claim.release_lanes(me.session, ME, [lane.pk])
    assert owner(lane) is None
    assert len(other.claim(lane)) == 1


def test_only_lanes_that_may_have_more_hooks_are_listed(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane, 3)
    assert claim.claim_hooks(me.session, ME, {lane.pk: 2}).lanes_with_more == [lane.pk]
    assert claim.claim_hooks(me.session, ME, {lane.pk: 2}).lanes_with_more == []


def test_a_paused_endpoint_is_not_claimed(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane)
    Endpoint.objects.filter(pk=lane.pk).update(paused_at=timezone.now(), pause_reason="by_hand")
    assert me.claim(lane) == []
    Endpoint.objects.filter(pk=lane.pk).update(paused_at=None, pause_reason="")
    assert len(me.claim(lane)) == 1


# -- which hooks


def test_a_retry_is_not_claimed_before_it_is_due(me: Dispatcher, lane: Endpoint) -> None:
    [hook] = emit(lane)
    retrying(hook, seconds_ago=-60)
    assert me.claim(lane) == []
    assert claim.due_lanes(me.session) == []
    wait = claim.seconds_to_next_retry(me.session)
    assert wait is not None
    assert 0 < wait <= 60
    try_now(hook, acting_user=None)
    assert claim.due_lanes(me.session) == [lane.pk]
    [claimed] = me.claim(lane)
    assert (claimed.attempts_made, claimed.trigger, claimed.attempts_allowed) == (1, Trigger.RETRY, 20)


def test_retries_and_first_attempts_of_an_ordered_lane_are_claimed_beside_each_other(
    me: Dispatcher, lane: Endpoint
) -> None:
    made = emit(lane, 8)
    for hook in made[:4]:
        retrying(hook)
    found = claim.claim_hooks(me.session, ME, {lane.pk: 2}, wanted_retries={lane.pk: 1})
    assert [(hook.id, hook.is_retry) for hook in found.hooks][1:] == [
        (made[4].pk, False),
        (made[5].pk, False),
    ]
    assert found.hooks[0].is_retry
    assert (found.lanes_with_more, found.lanes_with_more_retries) == ([lane.pk], [lane.pk])
    found = claim.claim_hooks(me.session, ME, {}, wanted_retries={lane.pk: 5})
    assert [hook.is_retry for hook in found.hooks] == [True] * 3
    assert (found.lanes_with_more, found.lanes_with_more_retries) == ([], [])
    found = claim.claim_hooks(me.session, ME, {lane.pk: 2}, wanted_retries={})
    assert [hook.id for hook in found.hooks] == [made[6].pk, made[7].pk]
    assert (found.lanes_with_more, found.lanes_with_more_retries) == ([lane.pk], [])


def test_retries_and_first_attempts_of_a_parallel_lane_are_claimed_in_turn(
    me: Dispatcher, lane: Endpoint
) -> None:
    configure(lane, parallel=True)
    made = emit(lane, 8)
    for seconds_ago, hook in enumerate(made[:4], start=1):
        retrying(hook, seconds_ago)
    claimed = {hook.id for hook in me.claim(lane, n=4)}
    # two of each: the retries due for the longest time, the first attempts in order
    assert claimed == {made[3].pk, made[2].pk, made[4].pk, made[5].pk}


def test_neither_retries_nor_first_attempts_are_starved(me: Dispatcher, lane: Endpoint) -> None:
    configure(lane, parallel=True)
    made = emit(lane, 6)
    retrying(made[0])
    assert {hook.id for hook in me.claim(lane, n=4)} == {made[0].pk, made[1].pk, made[2].pk, made[3].pk}


def test_due_lanes_have_first_attempts_or_due_retries(me: Dispatcher, lane: Endpoint) -> None:
    due, later, idle = (InstanceFactory(url="http://b.example/").endpoint for _ in range(3))
    emit(lane, 5)
    retrying(emit(due)[0])
    retrying(emit(later)[0], seconds_ago=-60)
    assert sorted(claim.due_lanes(me.session)) == [lane.pk, due.pk]
    assert idle.pk not in claim.due_lanes(me.session)


def test_the_url_is_the_one_at_the_time_of_the_claim(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane, 4)
    configure(lane, url="http://new.example/")
    assert me.claim(lane, n=1)[0].url == "http://new.example/"
    override_url(
        lane, url="http://override.example/", until=timezone.now() + timedelta(minutes=1), acting_user=None
    )
    assert me.claim(lane, n=1)[0].url == "http://override.example/"
    override_url(lane, url="http://override.example/", until=timezone.now(), acting_user=None)
    assert me.claim(lane, n=1)[0].url == "http://new.example/"
    end_override(lane, acting_user=None)
    assert me.claim(lane, n=1)[0].url == "http://new.example/"


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING])
def test_a_hook_whose_url_was_removed_waits_until_there_is_one(
    me: Dispatcher, lane: Endpoint, state: State
) -> None:
    [hook] = emit(lane)
    if state == State.RETRYING:
        retrying(hook)
    before = Hook.objects.filter(pk=hook.pk).values().get()
    configure(lane, url="")
    assert me.claim(lane) == []
    assert claim.due_lanes(me.session) == []
    assert Hook.objects.filter(pk=hook.pk).values().get() == before
    configure(lane, url="http://new.example/")
    assert claim.due_lanes(me.session) == [lane.pk]
    assert [(found.id, found.url) for found in me.claim(lane)] == [(hook.pk, "http://new.example/")]


def test_a_hook_of_a_verification_waits_after_it_if_the_instance_has_no_url(
    me: Dispatcher, lane: Endpoint
) -> None:
    configure(lane, url="")
    override_url(
        lane, url="http://bin.example/", until=timezone.now() + timedelta(minutes=1), acting_user=None
    )
    retrying(emit(lane)[0])
    assert claim.due_lanes(me.session) == [lane.pk]
    override_url(lane, url="http://bin.example/", until=timezone.now(), acting_user=None)
    assert claim.due_lanes(me.session) == []
    assert me.claim(lane) == []
    override_url(
        lane, url="http://bin.example/", until=timezone.now() + timedelta(minutes=1), acting_user=None
    )
    assert [hook.url for hook in me.claim(lane)] == ["http://bin.example/"]


def test_a_hook_with_a_url_of_its_own_is_sent_while_the_others_wait(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 4)
    Hook.objects.filter(pk=made[2].pk).update(to_url="http://simulation.example/")
    Hook.objects.filter(pk=made[3].pk).update(to_url="http://simulation.example/")
    retrying(made[1])
    retrying(made[3])
    configure(lane, url="")
    assert claim.due_lanes(me.session) == [lane.pk]
    assert [(hook.id, hook.url) for hook in me.claim(lane)] == [
        (made[2].pk, "http://simulation.example/"),
        (made[3].pk, "http://simulation.example/"),
    ]
    assert claim.due_lanes(me.session) == []
    assert [stored(hook).state for hook in made[:2]] == [State.QUEUED, State.RETRYING]


# -- results


def test_results_are_stored_with_their_attempts(me: Dispatcher, lane: Endpoint) -> None:
    configure(lane, guaranteed=True)
    emit(lane, 3)
    ok, failed, gone = me.claim(lane)
    record_attempts(me.session, [result(ok), result(failed, 500), result(gone, 410)], owner=ME)
    assert [stored(hook).state for hook in (ok, failed, gone)] == [
        State.DELIVERED,
        State.RETRYING,
        State.FAILED,
    ]
    kept = stored(failed)
    assert (kept.attempts_made, kept.last_status, kept.trigger, kept.lease_until) == (
        1,
        500,
        Trigger.RETRY,
        None,
    )
    assert kept.next_attempt_at is not None
    assert kept.next_attempt_at > timezone.now()
    assert list(Attempt.objects.order_by("hook_id").values_list("hook_id", "number", "status")) == [
        (ok.id, 1, 200),
        (failed.id, 1, 500),
        (gone.id, 1, 410),
    ]


def test_a_late_result_does_not_overwrite_a_newer_claim(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    emit(lane)
    [late] = me.claim(lane)
    claim.hand_back(me.session, ME, [late])
    claim.release_lanes(me.session, ME)
    [newer] = other.claim(lane)
    record_attempts(me.session, [result(late, 500)], owner=ME)
    assert (stored(late).state, shown(newer)) == (State.QUEUED, State.SENDING)
    record_attempts(other.session, [result(newer, 200)], owner=OTHER)
    kept = stored(newer)
    assert (kept.state, kept.last_status, kept.attempts_made) == (State.DELIVERED, 200, 1)
    # both requests were sent, and the log shows both
    assert list(Attempt.objects.order_by("status").values_list("status", flat=True)) == [200, 500]


def test_a_late_result_of_a_retry_does_not_overwrite_a_newer_claim(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    retrying(emit(lane)[0])
    [late] = me.claim(lane)
    claim.hand_back(me.session, ME, [late])
    claim.release_lanes(me.session, ME)
    [newer] = other.claim(lane)
    assert (late.claim, newer.claim) == (1, 2)
    record_attempts(me.session, [result(late, 500)], owner=ME)
    assert (stored(late).state, stored(late).claim) == (State.SENDING, 2)
    record_attempts(other.session, [result(newer, 200)], owner=OTHER)
    assert stored(newer).state == State.DELIVERED


def test_a_result_after_a_hand_back_does_not_count(me: Dispatcher, lane: Endpoint) -> None:
    """The hook is sent again: its second result decides."""
    emit(lane)
    [first] = me.claim(lane)
    claim.hand_back(me.session, ME, [first])
    record_attempts(me.session, [result(first, 500)], owner=ME)
    assert stored(first).state == State.QUEUED
    [again] = me.claim(lane)
    record_attempts(me.session, [result(again, 200)], owner=ME)
    assert stored(first).state == State.DELIVERED


def test_a_result_stored_twice_is_one_attempt(me: Dispatcher, lane: Endpoint) -> None:
    emit(lane)
    [hook] = me.claim(lane)
    written = result(hook)
    record_attempts(me.session, [written], owner=ME)
    record_attempts(
        me.session, [written], owner=ME
    )  # the connection broke before the first commit was confirmed
    assert Attempt.objects.count() == 1
    assert stored(hook).attempts_made == 1


def test_a_hook_that_was_cancelled_in_flight_stays_cancelled(me: Dispatcher, lane: Endpoint) -> None:
    [hook] = emit(lane)
    [claimed] = me.claim(lane)
    cancel(hook, acting_user=None)
    record_attempts(me.session, [result(claimed)], owner=ME)
    assert stored(hook).state == State.CANCELLED
    assert Attempt.objects.count() == 1


def test_the_result_of_a_deleted_hook_is_dropped(me: Dispatcher, lane: Endpoint) -> None:
    [hook] = emit(lane)
    [claimed] = me.claim(lane)
    hook.delete()
    record_attempts(me.session, [result(claimed)], owner=ME)
    assert Attempt.objects.count() == 0


# -- hand-backs and the sweep of dead owners


def test_a_handed_back_hook_keeps_its_place(me: Dispatcher, lane: Endpoint) -> None:
    first, second, retry = emit(lane, 3)
    retrying(retry)
    due = stored(retry).next_attempt_at
    claimed = me.claim(lane)
    claim.hand_back(me.session, ME, claimed)
    assert [stored(hook).state for hook in (first, second, retry)] == [
        State.QUEUED,
        State.QUEUED,
        State.RETRYING,
    ]
    assert stored(retry).next_attempt_at == due
    again = me.claim(lane)
    assert [hook.id for hook in again] == [hook.id for hook in claimed]
    assert [hook.claim for hook in again] == [BY_CURSOR, BY_CURSOR, 2]


def test_the_last_claimed_hooks_can_be_handed_back(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 5)
    claimed = me.claim(lane)
    claim.hand_back(me.session, ME, claimed[2:])
    assert [shown(hook) for hook in made] == [State.SENDING] * 2 + [State.QUEUED] * 3
    assert [hook.id for hook in me.claim(lane, n=2)] == [made[2].pk, made[3].pk]


def test_after_a_break_what_was_not_started_is_claimed_again(me: Dispatcher, lane: Endpoint) -> None:
    """A claim whose response was lost has moved the cursor, and the dispatcher knows none of its hooks."""
    lost_lane = InstanceFactory(url="http://b.example/").endpoint
    made, lost = emit(lane, 5), emit(lost_lane, 2)
    me.claim(lane, lost_lane)
    claim.reset_cursors(me.session, ME, {lane.pk: made[1].pk})
    assert [hook.id for hook in me.claim(lane)] == [hook.pk for hook in made[2:]]
    assert [hook.id for hook in me.claim(lost_lane)] == [hook.pk for hook in lost]


def test_the_cursor_does_not_pass_hooks_that_wait_for_a_url(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 3)
    Hook.objects.filter(pk=made[2].pk).update(to_url="http://simulation.example/")
    configure(lane, url="")
    [claimed] = me.claim(lane)
    assert (claimed.id, stored(claimed).state) == (made[2].pk, State.SENDING)
    record_attempts(me.session, [result(claimed)], owner=ME)
    configure(lane, url="http://new.example/")
    assert [hook.id for hook in me.claim(lane)] == [made[0].pk, made[1].pk]


def test_a_hook_that_is_requeued_behind_the_cursor_is_not_forgotten(me: Dispatcher, lane: Endpoint) -> None:
    first, _ = emit(lane, 2)
    Hook.objects.filter(pk=first.pk).update(to_url="http://simulation.example/")
    configure(lane, url="")
    [own_url] = me.claim(lane)
    configure(lane, url="http://new.example/")
    me.claim(lane)  # the second; the cursor is at it
    claim.hand_back(me.session, ME, [own_url])
    assert claim.due_lanes(me.session) == [lane.pk]
    assert [hook.id for hook in me.claim(lane)] == [first.pk]


def test_a_hook_that_is_being_sent_cannot_be_skipped(me: Dispatcher, lane: Endpoint) -> None:
    sending, waiting = emit(lane, 2)
    me.claim(lane, n=1)
    with pytest.raises(NotPossible, match=r"^This hook is being sent now\.$"):
        skip(sending, acting_user=None)
    skip(waiting, acting_user=None)
    assert me.claim(lane) == []
    assert [stored(hook).state for hook in (sending, waiting)] == [State.QUEUED, State.SKIPPED]


def test_the_hooks_being_sent_are_found_and_counted(me: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 5)
    retrying(made[0])
    me.claim(lane, n=2)  # the retry and two first attempts
    hooks = Hook.objects.filter(endpoint=lane)
    for wanted, found in {
        (State.SENDING,): made[:3],
        (State.QUEUED,): made[3:],
        (State.QUEUED, State.SENDING): made,
        (State.QUEUED, State.DELIVERED): made[3:],
    }.items():
        assert list(hooks.filter(in_states(wanted)).order_by("pk")) == found, wanted
    every = {state.value: 0 for state in State} | {"sending": 3, "queued": 2}
    assert counts_by_state([lane.pk]) == every
    assert counts_by_state([lane.pk], hooks.filter(kind=Kind.MESSAGE)) == every
    assert metrics.snapshot().waiting[0].number == 2


def test_a_handed_back_resend_is_still_a_resend(me: Dispatcher, lane: Endpoint) -> None:
    [hook] = emit(lane)
    Hook.objects.update(state=State.SKIPPED, skip_reason=SkipReason.FLAG_OFF, finished_at=timezone.now())
    resend(hook, acting_user=None)
    claim.hand_back(me.session, ME, me.claim(lane))
    assert (stored(hook).state, stored(hook).trigger) == (State.RETRYING, Trigger.RESEND)


def test_an_old_claim_cannot_be_handed_back(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    emit(lane)
    old = me.claim(lane)
    claim.hand_back(me.session, ME, old)
    claim.release_lanes(me.session, ME)
    [newer] = other.claim(lane)
    claim.hand_back(me.session, ME, old)
    assert shown(newer) == State.SENDING
    assert other.claim(lane) == []


def test_a_living_owners_lane_is_not_swept(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    [hook] = emit(lane)
    me.claim(lane)
    assert claim.sweep(other.session) == []
    assert (owner(lane), shown(hook)) == (ME, State.SENDING)


def test_a_dead_owners_lane_is_free_immediately(me: Dispatcher, other: Dispatcher, lane: Endpoint) -> None:
    made = emit(lane, 3)
    me.claim(lane, n=2)
    me.session.close()  # as PostgreSQL does when the process dies
    wait_until_unlocked(other.session, ME)
    assert claim.sweep(other.session) == [lane.pk]
    assert owner(lane) is None
    assert [stored(hook).state for hook in made] == [State.QUEUED] * 3
    assert [hook.id for hook in other.claim(lane)] == [hook.pk for hook in made]


def wait_until_unlocked(session: Session, lock: int) -> None:
    """Waits for PostgreSQL to notice the end of a session, which takes it a moment."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [lock]).fetchone()
        if row and row[0]:
            session.execute("SELECT pg_advisory_unlock(%s)", [lock])
            return
        time.sleep(0.01)
    raise AssertionError("the lock of a closed session was not released in 10 s")


def test_a_stuck_owners_lane_is_free_after_its_lease(
    me: Dispatcher, other: Dispatcher, lane: Endpoint
) -> None:
    [hook] = emit(lane)
    me.claim(lane)
    past = timezone.now() - timedelta(seconds=1)
    Lane.objects.update(until=past)
    assert claim.sweep(other.session) == [lane.pk]
    assert (owner(lane), stored(hook).state) == (None, State.QUEUED)


def test_a_lease_that_expired_under_a_living_owner_is_requeued(me: Dispatcher, lane: Endpoint) -> None:
    hook = retrying(emit(lane)[0])
    me.claim(lane)
    Hook.objects.update(lease_until=timezone.now() - timedelta(seconds=4))
    assert claim.sweep(me.session) == []  # leases are swept 5 s after they expire
    Hook.objects.update(lease_until=timezone.now() - timedelta(seconds=6))
    assert claim.sweep(me.session) == [lane.pk]
    assert stored(hook).state == State.RETRYING


def test_a_running_simulation_is_not_swept_with_its_lane(me: Dispatcher, lane: Endpoint) -> None:
    [simulated] = emit(lane)
    Hook.objects.update(
        state=State.SENDING, simulated=True, trigger=Trigger.SIMULATION, claim=1, to_url="http://s.example/",
        lease_until=timezone.now() + timedelta(seconds=30),
    )  # fmt: skip
    Lane.objects.update(owner=OTHER, until=timezone.now() - timedelta(seconds=1))
    assert claim.sweep(me.session) == [lane.pk]
    assert stored(simulated).state == State.SENDING


def test_a_simulation_whose_web_process_died_is_sent_by_a_dispatcher(me: Dispatcher, lane: Endpoint) -> None:
    [simulated] = emit(lane)
    Hook.objects.update(
        state=State.SENDING, simulated=True, trigger=Trigger.SIMULATION, claim=1, to_url="http://s.example/",
        lease_until=timezone.now() - timedelta(seconds=6),
    )  # fmt: skip
    assert claim.sweep(me.session) == [lane.pk]
    [claimed] = me.claim(lane)
    assert (claimed.id, claimed.url, claimed.simulated, claimed.claim) == (
        simulated.pk,
        "http://s.example/",
        True,
        2,
    )


def test_the_limit_of_retries_holds_over_all_lanes(me: Dispatcher) -> None:
    lanes = [InstanceFactory(url="http://a.example/").endpoint for _ in range(4)]
    firsts = []
    for lane in lanes:
        again, first = emit(lane, 2)
        retrying(again)
        firsts.append(first.pk)
    wanted = {lane.pk: 2 for lane in lanes}

    some = claim.claim_hooks(me.session, me.me, wanted, max_retries=3)
    assert sorted(hook.id for hook in some.hooks if not hook.attempts_made) == firsts
    assert sum(hook.attempts_made > 0 for hook in some.hooks) == 3
    # which lane has another is not known; all are claimed again when retries have room
    assert (some.lanes_with_more, some.lanes_with_more_retries) == ([], [])
    assert sorted(some.lanes_with_deferred_retries) == sorted(wanted)

    none = claim.claim_hooks(me.session, me.me, wanted, max_retries=0)
    assert (none.hooks, none.lanes_with_more, sorted(none.lanes_with_deferred_retries)) == (
        [],
        [],
        sorted(wanted),
    )
    [last] = claim.claim_hooks(me.session, me.me, wanted, max_retries=1).hooks
    assert last.attempts_made == 1


def test_without_room_for_retries_a_lane_gets_all_its_first_attempts(me: Dispatcher, lane: Endpoint) -> None:
    again, *firsts = emit(lane, 4)
    retrying(again)
    found = claim.claim_hooks(me.session, me.me, {lane.pk: 3}, max_retries=0)
    assert [hook.id for hook in found.hooks] == [hook.pk for hook in firsts]


def test_an_unreadable_secret_stops_no_other_lane(
    me: Dispatcher, lane: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Its hooks are sent without a signature, which receivers refuse."""
    other = InstanceFactory(url="http://b.example/").endpoint
    [copied] = Endpoint.objects.filter(pk=other.pk).values_list("secret", flat=True)
    Endpoint.objects.filter(pk=lane.pk).update(secret=Ciphertext(str(copied)))
    emit(lane)
    emit(other)
    secrets = {hook.endpoint_id: hook.secret for hook in me.claim(lane, other)}
    assert secrets == {lane.pk: "", other.pk: other.secret}
    assert "Hooks of this endpoint are not signed" in caplog.text
    assert copied not in caplog.text


def test_both_secrets_of_a_rotation_are_claimed(me: Dispatcher, lane: Endpoint) -> None:
    old = lane.secret
    new = rotate_secret(lane, acting_user=None)
    emit(lane)
    assert [hook.secret for hook in me.claim(lane)] == [f"{new} {old}"]


# -- strict lanes: strictOrder


@pytest.fixture
def strict() -> Endpoint:
    return InstanceFactory(url="http://a.example/", guaranteed=True, strict=True).endpoint


def test_a_strict_lane_is_claimed_again_after_all_its_results_are_recorded(
    me: Dispatcher, strict: Endpoint
) -> None:
    made = emit(strict, 5)
    claimed = me.claim(strict, n=3)
    assert [hook.id for hook in claimed] == [hook.pk for hook in made[:3]]
    assert all(hook.strict for hook in claimed)
    record_attempts(me.session, [result(hook) for hook in claimed[:2]], owner=ME)
    assert me.claim(strict) == []
    record_attempts(me.session, [result(claimed[2])], owner=ME)
    assert [hook.id for hook in me.claim(strict)] == [hook.pk for hook in made[3:]]


def test_no_hook_of_a_strict_lane_overtakes_one_that_waits_for_its_retry(
    me: Dispatcher, other: Dispatcher, strict: Endpoint
) -> None:
    made = emit(strict, 4)
    first, second, third = me.claim(strict, n=3)
    record_attempts(me.session, [result(first), result(second, 500)], owner=ME)
    claim.hand_back(me.session, ME, [third])  # as the dispatcher does after a failure
    assert me.claim(strict) == []
    assert claim.due_lanes(me.session) == []
    claim.release_lanes(me.session, ME)
    assert other.claim(strict) == []
    retrying(made[1])
    assert claim.due_lanes(me.session) == [strict.pk]
    claim.release_lanes(other.session, OTHER)
    again = me.claim(strict)
    assert [hook.id for hook in again] == [made[1].pk]  # alone: if it fails again, the others still wait
    record_attempts(me.session, [result(again[0])], owner=ME)
    assert [hook.id for hook in me.claim(strict)] == [made[2].pk, made[3].pk]


def test_a_strict_lane_of_a_dead_dispatcher_keeps_its_order(
    me: Dispatcher, other: Dispatcher, strict: Endpoint
) -> None:
    made = emit(strict, 4)
    first, second, *_ = other.claim(strict, n=3)
    record_attempts(
        other.session, [result(first)], owner=OTHER
    )  # the failure of the second is lost with the dispatcher
    other.session.close()
    wait_until_unlocked(me.session, OTHER)
    claim.sweep(me.session)
    again = me.claim(strict)
    assert [hook.id for hook in again] == [hook.pk for hook in made[1:]]
    record_attempts(me.session, [result(again[0], 500)], owner=ME)
    claim.hand_back(me.session, ME, again[1:])
    assert me.claim(strict) == []
    assert second.id == again[0].id


def test_a_strict_lane_continues_after_the_hook_that_held_it_is_cancelled_or_has_failed(
    me: Dispatcher, strict: Endpoint
) -> None:
    made = emit(strict, 3)
    [first] = me.claim(strict, n=1)
    record_attempts(me.session, [result(first, 500)], owner=ME)
    assert me.claim(strict) == []
    cancel(made[0], acting_user=None)
    [second] = me.claim(strict, n=1)
    record_attempts(me.session, [result(second, 410)], owner=ME)  # it fails for good
    assert [hook.id for hook in me.claim(strict)] == [made[2].pk]


def test_a_resent_hook_of_a_strict_lane_goes_before_newer_ones(me: Dispatcher, strict: Endpoint) -> None:
    made = emit(strict, 3)
    [first] = me.claim(strict, n=1)
    record_attempts(me.session, [result(first)], owner=ME)
    resend(made[0], acting_user=None)
    assert [hook.id for hook in me.claim(strict)] == [made[0].pk]


def test_a_simulation_does_not_hold_a_strict_lane(me: Dispatcher, strict: Endpoint) -> None:
    simulated, made = emit(strict, 2)
    Hook.objects.filter(pk=simulated.pk).update(
        state=State.SENDING, simulated=True, trigger=Trigger.SIMULATION, lease_until=timezone.now()
    )
    assert [hook.id for hook in me.claim(strict)] == [made.pk]


def test_other_lanes_are_claimed_beside_a_strict_one_as_before(
    me: Dispatcher, lane: Endpoint, strict: Endpoint
) -> None:
    waiting, due, first = emit(lane, 3)
    retrying(waiting, seconds_ago=-60)
    retrying(due)
    held = emit(strict, 2)
    retrying(held[0], seconds_ago=-60)
    assert [hook.id for hook in me.claim(lane, strict)] == [due.pk, first.pk]


def test_strict_order_that_is_switched_on_waits_for_what_is_being_sent(
    me: Dispatcher, lane: Endpoint
) -> None:
    made = emit(lane, 3)
    [first] = me.claim(lane, n=1)
    configure(lane, strict=True)
    assert me.claim(lane) == []
    record_attempts(me.session, [result(first)], owner=ME)
    assert [hook.id for hook in me.claim(lane)] == [hook.pk for hook in made[1:]]
