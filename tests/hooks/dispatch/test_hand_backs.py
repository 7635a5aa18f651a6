"""Claimed hooks that were not sent: hand-backs, and the sweep of dead owners."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hooks import metrics
from hooks.actions.endpoints import configure
from hooks.actions.hooks import NotPossible, resend, skip
from hooks.dispatch import claim, due_lanes
from hooks.dispatch.attempts import BY_CURSOR
from hooks.dispatch.record import record_attempts
from hooks.log.counts import counts_by_state
from hooks.models import Endpoint, Hook, Kind, Lane, SkipReason, State, Trigger, in_states
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import (
    ME,
    OTHER,
    Dispatcher,
    emit,
    owner,
    result,
    retrying,
    shown,
    stored,
    wait_until_unlocked,
)

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert due_lanes.due_lanes(me.session) == [lane.pk]
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
    assert claim.requeue_expired(me.session) == []  # 5 s after they expire
    Hook.objects.update(lease_until=timezone.now() - timedelta(seconds=6))
    assert claim.requeue_expired(me.session) == [lane.pk]
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
    assert claim.requeue_expired(me.session) == [lane.pk]
    [claimed] = me.claim(lane)
    assert (claimed.id, claimed.url, claimed.simulated, claimed.claim) == (
        simulated.pk,
        "http://s.example/",
        True,
        2,
    )
