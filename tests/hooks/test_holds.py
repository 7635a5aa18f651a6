"""Which hooks held back later ones, how many and for how long."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from hooks.log.holds import MAX_HELD_BACK, Hold, hold_of, holder_of, recent_holds
from hooks.models import Attempt, Endpoint, Hook, Kind, Outcome, SkipReason, State, Trigger
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db
BEGAN: datetime


@pytest.fixture(autouse=True)
def time_of_the_test() -> None:
    """Sets BEGAN when the test begins: modules are imported when the run begins, which may be an hour earlier."""
    global BEGAN
    BEGAN = timezone.now() - timedelta(minutes=10)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def sent_hook(
    endpoint: Endpoint,
    created: float,
    began: float | None = None,
    seconds: float = 0.01,
    *,
    state: State = State.DELIVERED,
) -> Hook:
    """Creates a hook `created` seconds after BEGAN whose first attempt began then or at `began`; None: never sent."""
    finished = (
        {}
        if state in (State.QUEUED, State.RETRYING)
        else {"finished_at": after(seconds + (began or created))}
    )
    hook = Hook.objects.create(
        endpoint=endpoint, kind=Kind.MESSAGE, body=b"{}", state=state, created_at=after(created),
        attempts_made=0 if began is None else 1, attempts_allowed=20,
        skip_reason=SkipReason.BY_HAND if state == State.SKIPPED else "", **finished,
    )  # fmt: skip
    if began is not None:
        Attempt.objects.create(
            hook=hook, number=1, started_at=after(began), url="http://a.example/", outcome=Outcome.OK,
            total_ms=seconds * 1000,
        )  # fmt: skip
    return hook


def hold(hook: Hook) -> Hold | None:
    hook = Hook.objects.select_related("endpoint").get(pk=hook.pk)
    return hold_of(hook, hook.attempts.get(number=1))


def figures(hold: Hold | None) -> tuple[int, float] | None:
    return (hold.hooks, round(hold.waited.total_seconds(), 2)) if hold else None


def test_a_late_response_holds_back_the_hooks_of_its_first_two_seconds(endpoint: Endpoint) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    sent_hook(endpoint, 0.5, 2.01)
    sent_hook(endpoint, 1, 2.02)
    sent_hook(endpoint, 3, 3.01)
    assert figures(hold(late)) == (2, 1.51)
    assert [(found.hook, figures(found)) for found in recent_holds(endpoint)] == [(late, (2, 1.51))]


def test_a_response_in_time_holds_back_nothing(endpoint: Endpoint) -> None:
    quick = sent_hook(endpoint, 0, 0, 1.99)
    sent_hook(endpoint, 0.5, 2)
    assert hold(quick) is None
    assert recent_holds(endpoint) == []


def test_the_wait_of_a_hook_that_is_not_sent_yet_ends_when_the_lane_is_free(endpoint: Endpoint) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    sent_hook(endpoint, 0, state=State.QUEUED)
    assert figures(hold(late)) == (1, 2)


def test_late_hooks_that_fill_the_lane_hold_the_next_one_longer(endpoint: Endpoint) -> None:
    hooks = [sent_hook(endpoint, 0, began, 10) for began in (0, 2, 4, 6, 10)]
    assert [figures(hold(hook)) for hook in hooks] == [(4, 2), (3, 2), (2, 2), (1, 4), None]


def test_only_hooks_of_the_lane_are_counted(endpoint: Endpoint) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    Hook.objects.filter(pk=sent_hook(endpoint, 0, 0.1).pk).update(simulated=True)
    sent_hook(endpoint, 0, state=State.SKIPPED)
    sent_hook(InstanceFactory(url="http://b.example/").endpoint, 0, 2)
    assert hold(late) is None
    sent_hook(endpoint, 0, 2)
    assert figures(hold(late)) == (1, 2)


def test_a_parallel_lane_holds_back_nothing_and_did_not_then(endpoint: Endpoint) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    sent_hook(endpoint, 0.1, 0.2)
    assert hold(late) is None  # the next one did not wait
    Endpoint.objects.filter(pk=endpoint.pk).update(parallel=True)
    endpoint.refresh_from_db()
    assert hold(late) is None
    assert recent_holds(endpoint) == []


def test_a_resend_holds_back_nothing(endpoint: Endpoint) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    late.attempts.update(trigger=Trigger.RESEND)
    sent_hook(endpoint, 0, 2)
    assert hold(late) is None


def test_a_strict_lane_waits_for_the_response_and_for_retries() -> None:
    endpoint = InstanceFactory(url="http://a.example/", guaranteed=True, strict=True).endpoint
    late = sent_hook(endpoint, 0, 0, 9)
    failed = sent_hook(endpoint, 5, 9.01)
    Hook.objects.filter(pk=failed.pk).update(attempts_made=3, finished_at=after(30))
    sent_hook(endpoint, 6, 30.02)
    sent_hook(endpoint, 20, 30.05)
    assert figures(hold(late)) == (2, 4)
    found = hold(failed)
    assert figures(found) == (2, 20.99)
    assert found is not None
    assert (found.for_retries, found.is_over) == (True, True)
    assert [held.hook for held in recent_holds(endpoint)] == [failed, late]


def test_a_hook_that_waits_for_its_retry_still_holds_its_strict_lane() -> None:
    endpoint = InstanceFactory(url="http://a.example/", guaranteed=True, strict=True).endpoint
    failed = sent_hook(endpoint, 0, 0, state=State.RETRYING)
    waiting = sent_hook(endpoint, 1, state=State.QUEUED)
    found = hold(failed)
    assert found is not None
    assert (found.hooks, found.for_retries, found.is_over) == (1, True, False)
    assert found.waited > timedelta(minutes=9)
    assert holder_of(waiting) == failed
    assert holder_of(failed) is None
    Endpoint.objects.filter(pk=endpoint.pk).update(strict=False)
    assert holder_of(Hook.objects.get(pk=waiting.pk)) is None
    assert hold(failed) is None


def test_a_flood_behind_a_late_response_is_not_counted_to_its_end(endpoint: Endpoint) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    Hook.objects.bulk_create(
        Hook(endpoint=endpoint, kind=Kind.MESSAGE, body=b"{}", created_at=after(0))
        for _ in range(MAX_HELD_BACK + 5)
    )
    assert figures(hold(late)) == (MAX_HELD_BACK, 2)
    assert [figures(found) for found in recent_holds(endpoint)] == [(MAX_HELD_BACK, 2)]


def test_holds_are_recent_for_an_hour(endpoint: Endpoint, django_assert_num_queries) -> None:
    late = sent_hook(endpoint, 0, 0, 9)
    sent_hook(endpoint, 0, 2)
    with django_assert_num_queries(3):
        assert len(recent_holds(endpoint)) == 1
    late.attempts.update(total_ms=20)
    with django_assert_num_queries(2):
        assert recent_holds(endpoint) == []
    late.attempts.update(total_ms=9000)
    Hook.objects.update(created_at=BEGAN - timedelta(hours=1))
    assert recent_holds(endpoint) == []
