"""The process's copy of the database's clock, between and at its readings."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hooks import database_clock

START = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds of the clock that cannot be set."""
    now = [100.0]
    monkeypatch.setattr(database_clock.time, "clock_gettime", lambda clock: now[0])
    monkeypatch.setattr(database_clock, "_read", None)
    database_clock.start_using()
    yield now
    database_clock.stop_using()


def read(ticks: list[float], *, after: float, late: float = 0.0, set_by: float = 0.0) -> datetime:
    """A reading `after` seconds, whose response took `late`, after the database's clock was set by `set_by`."""
    ticks[0] += after
    database_clock.update(START + timedelta(seconds=ticks[0] - 100.0 - late + set_by))
    return database_clock.now()


def test_a_late_response_does_not_set_the_clock_back(ticks: list[float]) -> None:
    before = read(ticks, after=0.0)
    assert read(ticks, after=1.0, late=0.2) - before == timedelta(seconds=1) - database_clock.SLEW


def test_an_early_response_after_a_late_one_sets_the_clock_right(ticks: list[float]) -> None:
    read(ticks, after=0.0, late=0.3)
    assert read(ticks, after=1.0) == START + timedelta(seconds=1)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, -1.5])
def test_a_clock_that_was_set_is_followed_at_once(ticks: list[float], seconds: float) -> None:
    read(ticks, after=0.0)
    assert read(ticks, after=1.0, set_by=seconds) == START + timedelta(seconds=1 + seconds)


def test_a_clock_that_is_slower_than_this_machine_is_followed(ticks: list[float]) -> None:
    read(ticks, after=0.0)
    for second in range(1, 601):
        found = read(ticks, after=1.0, set_by=-second * 100e-6)
    assert abs(found - (START + timedelta(seconds=600 - 600 * 100e-6))) < database_clock.SLEW
