"""An account's calls per minute are limited, and `Retry-After` gives the seconds to wait."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client
from pytest_django.fixtures import Settings

from instances.api.throttling import AccountThrottle
from instances.limits import login_throttle, rate_counters, waiting_calls
from tests.instances.api.conftest import ApiClient


@pytest.fixture(autouse=True)
def two_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AccountThrottle, "THROTTLE_RATES", {"account": "2/min"})
    rate_counters.reset()


def test_too_many_calls_are_refused_until_the_minute_ends(alice: ApiClient, bob: ApiClient) -> None:
    with time_machine.travel(datetime(2030, 1, 1, 9, 0, 48, tzinfo=UTC), tick=False) as clock:
        assert [alice.get("hooks/")[0] for _ in range(3)] == [200, 200, 429]
        answer = Client().get("/api/v1/instances/", headers={"Authorization": f"Bearer {alice.key}"})
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "12"
        assert answer.json() == {"error": "Too many calls. Try again in 12 s."}
        assert bob.get("instances/")[0] == 200
        clock.shift(12)
        assert alice.get("instances/")[0] == 200


def test_a_call_that_waits_counts_once(alice: ApiClient) -> None:
    """The web server serves its request again meanwhile; tests/faults/test_waiting.py has real sockets."""
    key = {"Authorization": f"Bearer {alice.key}"}
    path = f"/api/v1/{alice.home}sandbox/chats/17680561234@c.us/messages/?wait=10"

    def serve(waited: float) -> int:
        return Client(**{waiting_calls.WAITED: waited}).get(path, headers=key).status_code  # type: ignore[arg-type]

    with time_machine.travel(datetime(2030, 1, 1, 9, 0, 48, tzinfo=UTC), tick=False):
        first = [serve(waited) for waited in (0.0, 0.1, 0.2, 0.4, 10.0)]
        second = [serve(waited) for waited in (0.0, 0.1)]
        assert (first, second, serve(0.0)) == ([200] * 5, [200] * 2, 429)


def test_too_many_wrong_keys_lock_their_address_out_and_no_key_that_was_right(
    alice: ApiClient, bob: ApiClient, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 2
    monkeypatch.setattr(AccountThrottle, "THROTTLE_RATES", {"account": "100/min"})
    login_throttle._accepted.clear()
    with time_machine.travel(datetime(2030, 1, 1, 9, 0, 48, tzinfo=UTC), tick=False) as clock:
        assert alice.get("instances/")[0] == 200
        wrong = {"Authorization": "Bearer uid_wrong"}
        found = [Client().get("/api/v1/instances/", headers=wrong) for _ in range(3)]
        assert [answer.status_code for answer in found] == [401, 401, 429]
        assert found[-1].headers["Retry-After"] == "12"
        assert [alice.get("instances/")[0], bob.get("instances/")[0]] == [200, 429]
        clock.shift(12)
        assert bob.get("instances/")[0] == 200
