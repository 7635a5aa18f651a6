"""When a failed hook is retried, and when retries end."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.models import GUARANTEED_ATTEMPTS, RETRY_DELAYS
from hooks.retries import MAX_RETRY_AFTER, next_attempt, retry_after_delay

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)


def due(made: int, allowed: int = 20, status: int | None = 500, retry_after: str = "") -> float | None:
    """Seconds until the next attempt."""
    found = next_attempt(NOW, made=made, allowed=allowed, status=status, retry_after=retry_after)
    return None if found is None else (found - NOW).total_seconds()


def test_the_schedule_is_twenty_attempts_in_65_hours() -> None:
    assert GUARANTEED_ATTEMPTS == 20
    assert sum(RETRY_DELAYS, timedelta()).total_seconds() == 234_530
    assert sum(RETRY_DELAYS, timedelta()) == timedelta(hours=65, minutes=8, seconds=50)
    assert [delay.total_seconds() for delay in RETRY_DELAYS] == [
        0, 5, 15, 30, 60, 120, 300, 600, 1200, 1800,
        3600, 7200, 10800, 14400, 21600, 21600, 28800, 36000, 43200, 43200,
    ]  # fmt: skip


def test_the_attempts_follow_the_schedule(no_jitter: None) -> None:
    assert [due(made) for made in range(1, 21)] == [
        5, 15, 30, 60, 120, 300, 600, 1200, 1800,
        3600, 7200, 10800, 14400, 21600, 21600, 28800, 36000, 43200, 43200, None,
    ]  # fmt: skip


def test_a_hook_without_guarantee_has_one_attempt() -> None:
    assert due(1, allowed=1) is None


@pytest.mark.parametrize("made", range(1, 20))
def test_the_jitter_is_a_fifth_at_most(made: int) -> None:
    planned = RETRY_DELAYS[made].total_seconds()
    found = [due(made) for _ in range(200)]
    assert all(seconds is not None and 0.8 * planned <= seconds <= 1.2 * planned for seconds in found)
    assert len(set(found)) > 1


def test_410_ends_the_hook() -> None:
    assert due(1, status=410) is None


@pytest.mark.parametrize("status", [None, 301, 404, 429, 500, 503])
def test_no_other_response_ends_the_hook(no_jitter: None, status: int | None) -> None:
    assert due(1, status=status) == 5


def test_a_resend_restarts_the_schedule(no_jitter: None) -> None:
    # 20 made, 20 more allowed: after the 21st, 5 s again
    assert [due(made, allowed=40) for made in (21, 22, 39, 40)] == [5, 15, 43200, None]
    # ended by a 410 after 3
    assert [due(made, allowed=23) for made in (4, 5, 22, 23)] == [5, 15, 43200, None]


def test_a_resend_without_guarantee_is_one_attempt() -> None:
    assert due(21, allowed=21) is None


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("60", 60),
        (" 60 ", 60),
        ("3", 5),  # never sooner than the schedule
        ("0", 5),
        ("3600", 3600),
        ("3601", 3600),  # never later than an hour
        ("99999999999999999999999", 3600),
        (format_datetime(NOW + timedelta(minutes=10), usegmt=True), 600),
        ("Tue, 01 Jan 2030 13:00:00 +0100", 5),  # that is now
        ("Tue, 01 Jan 2030 12:10:00", 600),  # no zone: UTC
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 5),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), 3600),
    ],
)
def test_retry_after_is_obeyed_up_to_an_hour(no_jitter: None, retry_after: str, seconds: int) -> None:
    assert due(1, status=429, retry_after=retry_after) == seconds


@pytest.mark.parametrize(
    "retry_after",
    [
        "soon", "-5", "1.5", "1e3", "²", "٣", "Wed, 99 Foo 2030", "\x00", ",",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999999",
        "Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -9999",
    ],
)  # fmt: skip
def test_an_invalid_retry_after_is_ignored(no_jitter: None, retry_after: str) -> None:
    assert due(1, retry_after=retry_after) == 5


def test_retry_after_does_not_shorten_the_schedule(no_jitter: None) -> None:
    assert due(12, retry_after="60") == 10800


@given(st.text() | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,30} \d+:\d+:\d+ ([+-]\d{1,30}|GMT)?"))
def test_any_retry_after_is_read_without_an_error(retry_after: str) -> None:
    assert retry_after_delay(NOW, retry_after) >= timedelta()
    seconds = due(1, retry_after=retry_after)
    assert seconds is not None and seconds <= MAX_RETRY_AFTER.total_seconds()
