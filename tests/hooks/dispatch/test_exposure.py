"""How many hooks would be sent twice if the dispatcher were killed."""

from __future__ import annotations

import pytest

from hooks.dispatch import exposure
from hooks.dispatch.exposure import MAX_EXPOSED, SLOW_SECONDS, STEP, Exposure


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """time.monotonic() as the module reads it; the test moves it."""
    now = [1000.0]
    monkeypatch.setattr(exposure, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])}))
    return now


def test_requests_in_flight_take_the_room(clock: list[float]) -> None:
    exposed = Exposure()
    requests = [exposed.add(0.005) for _ in range(30)]
    assert exposed.room() == MAX_EXPOSED - 30
    for request in requests[10:20]:
        assert request is not None
        request.end()
        request.end()  # once is enough
    assert exposed.room() == MAX_EXPOSED - 20


def test_requests_that_have_ended_are_forgotten(clock: list[float]) -> None:
    exposed = Exposure()
    for _ in range(1000):
        request = exposed.add(0.0)
        assert request is not None
        request.end()
        exposed.room()
    assert len(exposed.requests) <= 1


def test_slow_endpoints_take_no_room(clock: list[float]) -> None:
    exposed = Exposure()
    assert exposed.add(SLOW_SECONDS) is None
    assert exposed.room() == MAX_EXPOSED


def test_a_request_without_a_response_for_long_takes_no_room(clock: list[float]) -> None:
    """Otherwise endpoints that hang would stop all others."""
    exposed = Exposure()
    hanging = exposed.add(0.0)
    clock[0] += SLOW_SECONDS + 0.01
    assert exposed.add(0.0) is not None
    assert exposed.room() == MAX_EXPOSED - 1
    assert hanging is not None
    hanging.end()
    assert exposed.room() == MAX_EXPOSED - 1


def test_the_limit_grows_while_the_loop_waits_and_shrinks_afterwards(clock: list[float]) -> None:
    exposed = Exposure()
    exposed.grow(1000)
    assert exposed.room() == MAX_EXPOSED + STEP
    for _ in range(100):
        exposed.grow(1000)
    assert exposed.room() == 1000
    for _ in range(20):
        exposed.shrink()
    assert exposed.room() == MAX_EXPOSED
    exposed.grow(100)  # HOOKS_WINDOW is smaller
    assert exposed.room() == MAX_EXPOSED
