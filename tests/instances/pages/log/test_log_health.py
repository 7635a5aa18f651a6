"""The endpoint's health above the log: success, times, what waits, the last failure."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.log import endpoint_health, endpoint_numbers
from hooks.log.endpoint_health import health_of
from hooks.log.endpoint_numbers import percent_of
from hooks.models import Attempt, Hook, Kind, Outcome, State
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, create_hook

pytestmark = pytest.mark.django_db
NOW: datetime


@pytest.fixture(autouse=True)
def time_of_the_test() -> None:
    """Sets NOW when the test begins: modules are imported when the run begins, which may be an hour earlier."""
    global NOW
    NOW = timezone.now()


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), number=12345)


def make(instance: Instance, state: str = State.DELIVERED, ms: float | None = 1, **fields: Any) -> Hook:
    tried = {
        State.DELIVERED: {"last_outcome": Outcome.OK, "last_status": 200, "last_ms": ms},
        State.FAILED: {"last_outcome": Outcome.NOT_200, "last_status": 500, "last_ms": ms},
    }.get(State(state), {})
    finished = state in (State.DELIVERED, State.FAILED)
    known = {"kind": Kind.MESSAGE, "body": b"{}", "finished_at": NOW if finished else None, **tried}
    return create_hook(endpoint=instance.endpoint, state=state, **(known | fields))


def test_success_and_times_are_of_the_tried_hooks(instance):
    for ms in (10, 20, 30, 40):
        make(instance, ms=ms)
    make(instance, State.FAILED, ms=1000)
    make(instance, State.FAILED, ms=9000, simulated=True)
    make(instance, State.QUEUED)
    health = health_of([instance.pk])
    numbers = health.numbers
    assert (health.tried, numbers.sent, numbers.delivered, numbers.percent) == (5, 5, 4, "80")
    assert health.p50 == 30
    assert health.p95 == pytest.approx(808)


@pytest.mark.parametrize(
    ("delivered", "failed", "percent"),
    [(3, 0, "100"), (0, 3, "0"), (2, 1, "66.7"), (0, 0, "")],
)
def test_the_share_in_percent(instance, delivered, failed, percent):
    for _ in range(delivered):
        make(instance)
    for _ in range(failed):
        make(instance, State.FAILED)
    assert health_of([instance.pk]).numbers.percent == percent


def test_only_the_newest_count(instance, monkeypatch):
    monkeypatch.setattr(endpoint_health, "NEWEST", 2)
    make(instance, State.FAILED)
    make(instance)
    make(instance)
    health = health_of([instance.pk])
    assert (health.tried, health.failed) == (2, None)


def test_one_failure_in_many_is_never_rounded_away():
    assert percent_of(9_999, 10_000) == "99.9"
    assert percent_of(10_000, 10_000) == "100"
    assert percent_of(1, 10_000) == "0.1"


def test_what_waits_is_counted_and_the_oldest_named(instance, monkeypatch):
    monkeypatch.setattr(endpoint_numbers, "MAX_COUNT", 2)
    oldest = NOW - timedelta(hours=3)
    make(instance, State.RETRYING, created_at=oldest, next_attempt_at=NOW)
    make(instance, State.QUEUED, created_at=NOW - timedelta(hours=1))
    make(InstanceFactory(), State.QUEUED)
    numbers = health_of([instance.pk]).numbers
    assert (numbers.waiting.words, numbers.oldest) == ("2", oldest)
    make(instance, State.QUEUED)
    numbers = health_of([instance.pk]).numbers
    assert (numbers.waiting.words, numbers.oldest) == ("2+", oldest)


def test_the_last_failure_leads_to_its_hook(instance):
    client = Client()
    client.force_login(instance.owner.owner)
    failed = make(instance, State.FAILED)
    Attempt.objects.create(
        hook=failed,
        number=1,
        started_at=NOW,
        url="https://example.com/hook",
        status=500,
        outcome=Outcome.NOT_200,
    )
    make(instance)
    page = client.get("/log/overview/?instance=12345").content.decode()
    assert f'href="/log/{failed.public_id}/"' in page
    assert "example.com responded with 500: your server failed while handling it." in page
