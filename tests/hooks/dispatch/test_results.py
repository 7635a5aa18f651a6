"""Results of claimed hooks: what is stored, and which come too late to count."""

import pytest
from django.utils import timezone

from hooks.actions.endpoints import configure
from hooks.actions.hooks import cancel
from hooks.dispatch import claim
from hooks.dispatch.record import record_attempts
from hooks.models import Attempt, Endpoint, State, Trigger
from tests.hooks.dispatch.claiming import ME, OTHER, Dispatcher, emit, result, retrying, shown, stored

pytestmark = pytest.mark.django_db(transaction=True)


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
