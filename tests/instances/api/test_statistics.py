"""Statistics over REST: the counts and durations of each bar, of an instance and of one endpoint, and its health."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.actions.users import sign_up
from hooks.actions.endpoint_list import add_endpoint, remove_endpoint
from hooks.log import durations
from hooks.models import UNFINISHED, Attempt, Endpoint, Hook, Kind, Outcome, SkipReason, State, new_public_id
from tests.factories import InstanceFactory, create_hook
from tests.instances.api.conftest import ApiClient, create_account

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
ON_NOON = "createdAfter=2026-11-01T12:00:00Z&createdBefore=2026-11-01T14:00:00Z"


@pytest.fixture(autouse=True)
def three_hours_later() -> Iterator[None]:
    with time_machine.travel(NOON + timedelta(hours=3), tick=False):
        yield


def hook_at(endpoint: Endpoint, at: datetime, state: State, ms: float | None = None, **fields: Any) -> Hook:
    """Creates a hook of this time; `ms` is the duration of its last attempt, None for one without an attempt."""
    if ms is not None:
        is_ok = state == State.DELIVERED
        outcome, status = (Outcome.OK, 200) if is_ok else (Outcome.NOT_200, 500)
        fields |= {"attempts_made": 1, "last_ms": ms, "last_outcome": outcome, "last_status": status}
    return create_hook(
        public_id=new_public_id(at),
        endpoint=endpoint,
        kind=Kind.MESSAGE,
        body=b"{}",
        state=state,
        created_at=at,
        finished_at=None if state in UNFINISHED else at,
        skip_reason=SkipReason.FLAG_OFF if state == State.SKIPPED else "",
        **fields,
    )


@pytest.fixture
def endpoints(alice: ApiClient) -> tuple[Endpoint, Endpoint]:
    """The first endpoint with hooks of two hours, and a second one with one."""
    Hook.objects.all().delete()  # of the account's creation: later than these, and keys grow with time
    first = alice.instance.endpoint
    second = add_endpoint(alice.instance.pk, url="https://example.com/more", acting_user=None)
    for ms in (10, 20, 30, 40):
        hook_at(first, NOON + timedelta(minutes=1), State.DELIVERED, ms)
    hook_at(first, NOON + timedelta(minutes=61), State.FAILED, 100)
    hook_at(first, NOON + timedelta(minutes=62), State.QUEUED)
    hook_at(first, NOON + timedelta(minutes=63), State.SKIPPED)
    hook_at(first, NOON + timedelta(minutes=64), State.DELIVERED, 9000, simulated=True)
    hook_at(second, NOON + timedelta(minutes=65), State.DELIVERED, 50)
    return first, second


def counts(delivered: int, failed: int, waiting: int, not_sent: int) -> dict[str, int]:
    return {"delivered": delivered, "failed": failed, "waiting": waiting, "notSent": not_sent}


def test_an_instance_has_the_bars_of_all_its_endpoints(
    alice: ApiClient, endpoints: tuple[Endpoint, Endpoint]
) -> None:
    status, found = alice.get(f"{alice.home}statistics/?{ON_NOON}&step=3600")
    assert status == 200
    assert (found["step"], found["complete"]) == (3600, True)
    assert found["counts"] == counts(6, 1, 1, 1)
    assert found["durations"]["hooks"] == 6  # without the simulated one
    first, second = found["bars"]
    assert (first["start"], first["end"]) == ("2026-11-01T12:00:00Z", "2026-11-01T13:00:00Z")
    assert first["counts"] == counts(4, 0, 0, 0)
    assert first["durations"] == {
        "hooks": 4, "p50Ms": 25.0, "p95Ms": pytest.approx(38.5), "p99Ms": pytest.approx(39.7),
    }  # fmt: skip
    assert second["counts"] == counts(2, 1, 1, 1)
    assert second["durations"]["p50Ms"] == 75.0


@pytest.mark.parametrize("many", [20, 1], ids=["few endpoints", "many endpoints"])
def test_the_account_has_the_bars_of_all_its_instances(
    alice: ApiClient,
    endpoints: tuple[Endpoint, Endpoint],
    monkeypatch: pytest.MonkeyPatch,
    many: int,
) -> None:
    monkeypatch.setattr(durations, "MANY", many)
    other = InstanceFactory(owner=alice.account).endpoint
    of_bob = create_account("bob").instance.endpoint
    Hook.objects.filter(endpoint__in=(other, of_bob)).delete()  # as in `endpoints`
    for endpoint in (other, of_bob):
        hook_at(endpoint, NOON + timedelta(minutes=66), State.FAILED, 70)
    status, found = alice.get(f"statistics/?{ON_NOON}&step=3600")
    assert status == 200
    assert found["counts"] == counts(6, 2, 1, 1)
    first, second = found["bars"]
    assert (first["counts"], second["counts"]) == (counts(4, 0, 0, 0), counts(2, 2, 1, 1))
    assert [bar["durations"]["hooks"] for bar in found["bars"]] == [4, 3]  # without the simulated one
    assert (first["durations"]["p50Ms"], second["durations"]["p50Ms"]) == (25.0, 70.0)
    assert found["durations"]["hooks"] == 7


def test_an_account_without_instances_has_empty_bars() -> None:
    account = sign_up("carol@example.org", password="a-password-of-theirs")
    carol = ApiClient(account, issue_key(account, acting_user=None)[1], None)  # type: ignore[arg-type]
    status, found = carol.get("statistics/")
    assert status == 200
    assert found["counts"] == counts(0, 0, 0, 0)
    assert len(found["bars"]) >= 24


def test_an_endpoint_has_its_own(alice: ApiClient, endpoints: tuple[Endpoint, Endpoint]) -> None:
    _, second = endpoints
    status, found = alice.get(f"{alice.home}endpoints/{second.pk}/statistics/?{ON_NOON}&step=300")
    assert status == 200
    assert len(found["bars"]) == 24
    assert found["counts"] == counts(1, 0, 0, 0)
    [bar] = [bar for bar in found["bars"] if bar["durations"]["hooks"]]
    assert (bar["start"], bar["durations"]["p99Ms"]) == ("2026-11-01T13:05:00Z", 50.0)
    empty = found["bars"][0]
    assert empty["durations"] == {"hooks": 0, "p50Ms": None, "p95Ms": None, "p99Ms": None}


def test_the_period_is_the_last_day_unless_it_is_given(alice: ApiClient) -> None:
    status, found = alice.get(f"{alice.home}statistics/")
    assert (status, found["step"]) == (200, 3600)
    assert 24 <= len(found["bars"]) <= 25
    assert found["durations"] == {"hooks": 0, "p50Ms": None, "p95Ms": None, "p99Ms": None}


@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("createdAfter=yesterday", "createdAfter", "format"),
        ("createdAfter=0001-01-01T00:00:00Z", "createdAfter", "from 2000 to 2099"),
        ("createdBefore=9999-12-31T23:59:59Z", "createdBefore", "from 2000 to 2099"),
        ("createdAfter=2026-11-02T00:00:00Z&createdBefore=2026-11-01T00:00:00Z", "createdAfter", "before"),
        (f"{ON_NOON}&step=10", "step", "at least 36"),
        ("step=7", "step", "one of: 10, 60"),
        ("kind=ack", "kind", "Unknown field"),
    ],
)
def test_a_period_that_is_not_possible(alice: ApiClient, query: str, field: str, sentence: str) -> None:
    status, found = alice.get(f"{alice.home}statistics/?{query}")
    assert status == 400
    assert sentence in found["fields"][field]


def test_a_removed_endpoint_has_none_of_its_own(
    alice: ApiClient, endpoints: tuple[Endpoint, Endpoint]
) -> None:
    _, second = endpoints
    remove_endpoint(second, acting_user=None)
    for name in ("statistics", "health"):
        assert alice.get(f"{alice.home}endpoints/{second.pk}/{name}/")[0] == 404
    alice.instance.refresh_from_db()
    _, found = alice.get(f"{alice.home}statistics/?{ON_NOON}")
    assert found["counts"]["delivered"] == 6


def test_the_health_of_an_endpoint(alice: ApiClient) -> None:
    endpoint = alice.instance.endpoint
    now = timezone.now()
    hook_at(endpoint, now - timedelta(minutes=5), State.DELIVERED, 20)
    failed = hook_at(endpoint, now - timedelta(minutes=4), State.FAILED, 80)
    at = now - timedelta(minutes=4)
    Attempt.objects.create(
        hook=failed, number=1, started_at=at, url="https://a.example/", outcome=Outcome.NOT_200, status=500
    )
    status, found = alice.get(f"{alice.home}endpoints/{endpoint.pk}/health/")
    assert status == 200
    failure = found.pop("failure")
    assert found == {
        "delivery": {"waiting": 0, "oldestWaitingAt": None, "sentLastHour": 2, "deliveredLastHour": 1},
        "measured": 2,
        "p50Ms": 50.0,
        "p95Ms": pytest.approx(77.0),
    }
    assert failure["hookId"] == failed.webhook_id
    assert "500" in failure["explanation"]
    assert failure["nextStep"]


def test_an_endpoint_without_hooks_has_no_failure(alice: ApiClient) -> None:
    _, found = alice.get(f"{alice.home}endpoints/{alice.instance.pk}/health/")
    assert (found["measured"], found["p50Ms"], found["failure"]) == (0, None, None)
