"""The automatic pause of an endpoint after a day of failures, and the catch-up after the resume."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from hooks import outbox, worker_slots
from hooks.actions.endpoints import configure, override_url, pause, pause_failing, resume
from hooks.actions.hooks import NotPossible, try_now
from hooks.dispatch import catch_up, claim, due_lanes
from hooks.dispatch.attempts import attempt_result
from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.maintenance import auto_pause
from hooks.models import Attempt, Endpoint, Hook, Kind, Outcome, PauseReason, State
from tests.factories import InstanceFactory

ME = 1_000_000_000_003
DAY = timedelta(hours=24)


def stored(endpoint: Endpoint) -> Endpoint:
    return Endpoint.objects.get(pk=endpoint.pk)


def emit(endpoint: Endpoint, n: int = 1) -> list[Hook]:
    with transaction.atomic():
        return [outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}") for _ in range(n)]


def failing(endpoint: Endpoint, *, since: timedelta, attempts: int = 10, last: timedelta) -> None:
    """Creates failed attempts: the endpoint fails since `since` ago, its last attempt was `last` ago."""
    now = timezone.now()
    [hook] = emit(endpoint)
    Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=now - since)
    for number in range(attempts):
        at = now - last if number == attempts - 1 else now - since + timedelta(minutes=number)
        Attempt.objects.create(
            hook=hook, number=number + 1, started_at=at, url="http://a.example/", outcome=Outcome.TIMEOUT
        )


# -- which endpoints are paused


def test_after_24_hours_with_only_failures_an_endpoint_is_paused(endpoint: Endpoint) -> None:
    failing(endpoint, since=DAY + timedelta(minutes=2), last=timedelta(minutes=1))
    assert auto_pause.pause_failing() == [endpoint]
    kept = stored(endpoint)
    assert (kept.paused_at is not None, kept.pause_reason) == (True, PauseReason.FAILING)
    assert list(auto_pause.endpoints_to_notify()) == [endpoint]
    assert auto_pause.pause_failing() == []


@pytest.mark.parametrize(
    ("since", "attempts", "last"),
    [
        (DAY - timedelta(minutes=1), 10, timedelta()),  # not a day yet
        (DAY + timedelta(hours=8), 10, timedelta(hours=10)),  # no attempt since
        (DAY + timedelta(minutes=2), 9, timedelta(minutes=1)),  # too few attempts
    ],
)
def test_an_endpoint_without_enough_recent_attempts_is_not_paused(
    endpoint: Endpoint, since: timedelta, attempts: int, last: timedelta
) -> None:
    failing(endpoint, since=since, attempts=attempts, last=last)
    assert auto_pause.pause_failing() == []
    assert stored(endpoint).paused_at is None


def test_a_success_just_before_the_pause_prevents_it(endpoint: Endpoint) -> None:
    failing(endpoint, since=DAY + timedelta(minutes=2), last=timedelta(minutes=1))
    Endpoint.objects.update(failing_since=None)
    assert pause_failing(endpoint, before=timezone.now() - DAY) is None
    assert stored(endpoint).paused_at is None


def test_a_new_url_clears_the_failures(endpoint: Endpoint) -> None:
    Endpoint.objects.update(failing_since=timezone.now())
    configure(endpoint, url="http://other.example/")
    assert stored(endpoint).failing_since is None


# -- the start of the failures


@pytest.fixture
def session() -> Iterator[psycopg.Connection[Any]]:
    session = worker_slots.connect()
    session.execute("SELECT pg_advisory_lock(%s)", [ME])
    yield session
    session.close()


def record(session: psycopg.Connection[Any], endpoint: Endpoint, *statuses: int) -> datetime | None:
    """Records one attempt for each status in one batch; returns the endpoint's new `failing_since`."""
    emit(endpoint, len(statuses))
    found = claim.claim_hooks(session, ME, {endpoint.pk: len(statuses)}).hooks
    assert len(found) == len(statuses)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    results = []
    for place, (hook, status) in enumerate(zip(found, statuses, strict=True)):
        outcome = Outcome.OK if status == 200 else Outcome.NOT_200
        when = at + timedelta(seconds=place)
        results.append(attempt_result(hook, when, {}, Response(outcome, status=status, total_ms=1.0)))
    record_attempts(session, results, owner=ME)
    return stored(endpoint).failing_since


@pytest.mark.django_db(transaction=True)
def test_the_first_failure_is_stored_and_a_success_clears_it(session: psycopg.Connection[Any]) -> None:
    endpoint = InstanceFactory(url="http://a.example/").endpoint
    first = datetime(2030, 1, 1, tzinfo=UTC)
    assert record(session, endpoint, 200) is None
    assert record(session, endpoint, 500, 500) == first
    Endpoint.objects.update(failing_since=first - DAY)
    assert record(session, endpoint, 500) == first - DAY
    assert record(session, endpoint, 500, 200, 500) is None
    assert record(session, endpoint, 404) == first


@pytest.mark.django_db(transaction=True)
def test_responses_of_an_override_url_do_not_count(
    session: psycopg.Connection[Any],
) -> None:
    endpoint = InstanceFactory(url="http://a.example/").endpoint
    since = datetime(2030, 1, 1, tzinfo=UTC)
    Endpoint.objects.update(failing_since=since)
    override_url(
        endpoint, url="http://bin.example/", until=timezone.now() + timedelta(minutes=30), acting_user=None
    )
    assert record(session, endpoint, 200) == since


# -- pause and resume


def test_a_user_can_pause_and_resume(endpoint: Endpoint) -> None:
    pause(endpoint, acting_user=None)
    kept = stored(endpoint)
    assert (kept.paused_at is not None, kept.pause_reason) == (True, PauseReason.BY_HAND)
    assert list(auto_pause.endpoints_to_notify()) == []  # the user who paused it knows
    before = kept.paused_at
    assert pause(endpoint, acting_user=None).paused_at == before
    resume(endpoint, acting_user=None)
    kept = stored(endpoint)
    assert (kept.paused_at, kept.pause_reason, kept.resumed_at is not None) == (None, "", True)
    before = kept.resumed_at
    assert resume(endpoint, acting_user=None).resumed_at == before  # not paused: no change


def test_a_resume_clears_the_failures(endpoint: Endpoint) -> None:
    failing(endpoint, since=DAY + timedelta(minutes=2), last=timedelta(minutes=1))
    auto_pause.pause_failing()
    resume(endpoint, acting_user=None)
    assert stored(endpoint).failing_since is None
    assert auto_pause.pause_failing() == []


def test_while_paused_hooks_are_queued_and_a_retry_cannot_be_tried_now(endpoint: Endpoint) -> None:
    pause(endpoint, acting_user=None)
    [hook] = emit(endpoint)
    assert hook.state == State.QUEUED
    Hook.objects.update(state=State.RETRYING, next_attempt_at=timezone.now() + timedelta(hours=1))
    with pytest.raises(NotPossible) as refused:
        try_now(hook, acting_user=None)
    assert str(refused.value) == "Delivery to this endpoint is paused. Resume it to send the hook."


@pytest.mark.django_db(transaction=True)
def test_a_paused_lane_is_neither_due_nor_claimed_and_hides_no_other_lane(
    session: psycopg.Connection[Any],
) -> None:
    paused, other = (InstanceFactory(url="http://a.example/").endpoint for _ in range(2))
    for endpoint in (paused, other):
        emit(endpoint, 3)
        retrying = Hook.objects.filter(endpoint=endpoint).latest("pk")
        Hook.objects.filter(pk=retrying.pk).update(
            state=State.RETRYING, next_attempt_at=timezone.now() - timedelta(hours=1)
        )
    pause(paused, acting_user=None)
    assert due_lanes.due_lanes(session) == [other.pk]
    assert {
        hook.endpoint_id for hook in claim.claim_hooks(session, ME, {paused.pk: 9, other.pk: 9}).hooks
    } == {other.pk}
    resume(paused, acting_user=None)
    assert due_lanes.due_lanes(session) == [paused.pk]


# -- the catch-up


def test_the_rate_starts_at_one_a_second_and_doubles_every_ten_seconds() -> None:
    assert [catch_up.rate(seconds) for seconds in (0, 10, 30, 60, 120)] == [1, 2, 8, 64, 4096]


def test_a_lane_is_granted_its_rate_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr("hooks.dispatch.catch_up.time.monotonic", lambda: clock)
    lanes = CatchUp()
    granted = []
    for second in range(41):
        granted.append(lanes.grant(7, 200, float(second)))
        clock += 1
    assert granted[:10] == [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert granted[10] == 2
    assert granted[20] == 4
    assert granted[40] == 16
    assert sum(granted) == pytest.approx(sum(catch_up.rate(second) for second in range(41)), abs=41)


def test_asking_more_often_grants_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr("hooks.dispatch.catch_up.time.monotonic", lambda: clock)
    lanes = CatchUp()
    total = 0
    for place in range(100):  # ten times a second, for ten seconds
        total += lanes.grant(7, 200, place / 10)
        clock += 0.1
    assert total == pytest.approx(14, abs=2)  # the rates of ten seconds, 1 to 2 a second


def test_a_lane_not_resumed_recently_has_no_limit() -> None:
    lanes = CatchUp()
    assert (lanes.grant(7, 200, None), lanes.grant(7, 200, 120.0)) == (200, 200)
    assert lanes.lanes == {}


@pytest.mark.django_db(transaction=True)
def test_after_a_resume_a_backlog_is_claimed_slowly(
    session: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    lane, other = (InstanceFactory(url="http://a.example/").endpoint for _ in range(2))
    emit(lane, 20)
    emit(other, 20)
    pause(lane, acting_user=None)
    resume(lane, acting_user=None)
    lanes = CatchUp()
    found = claim.claim_hooks(session, ME, {lane.pk: 20, other.pk: 20}, lanes)
    assert [hook.endpoint_id for hook in found.hooks].count(lane.pk) == 1
    assert [hook.endpoint_id for hook in found.hooks].count(other.pk) == 20
    assert found.lanes_with_more == [other.pk]
    assert claim.claim_hooks(session, ME, {lane.pk: 20}, lanes).hooks == []
    Endpoint.objects.filter(pk=lane.pk).update(resumed_at=timezone.now() - timedelta(seconds=121))
    assert len(claim.claim_hooks(session, ME, {lane.pk: 20}, lanes).hooks) == 19
