"""Claims from strict lanes (strictOrder): no hook is claimed while an older one is unfinished."""

import pytest
from django.utils import timezone

from hooks.actions.endpoints import configure
from hooks.actions.hooks import cancel, resend
from hooks.dispatch import claim, due_lanes
from hooks.dispatch.record import record_attempts
from hooks.models import Endpoint, Hook, State, Trigger
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import ME, OTHER, Dispatcher, emit, result, retrying, wait_until_unlocked

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert due_lanes.due_lanes(me.session) == []
    claim.release_lanes(me.session, ME)
    assert other.claim(strict) == []
    retrying(made[1])
    assert due_lanes.due_lanes(me.session) == [strict.pk]
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
