"""Durations in words."""

from datetime import timedelta

import pytest

from chatapi.ui import durations


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "under 1 s"),
        (45, "45 s"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (187_200, "2 days 4 h"),
        (86_400, "1 day"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, words: str) -> None:
    assert durations.in_words(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "immediately"),
        (5, "5 s"),
        (60, "1 min"),
        (110, "2 min"),
        (3600, "1 h"),
        (5400, "1.5 h"),
        (43_200, "12 h"),
        (234_360, "65.1 h"),
    ],
)
def test_the_largest_unit_is_hours(seconds: float, words: str) -> None:
    assert durations.in_largest_unit(timedelta(seconds=seconds)) == words


def test_milliseconds_are_whole() -> None:
    assert [durations.milliseconds(ms) for ms in (0.2, 1, 12.6)] == ["under 1 ms", "1 ms", "13 ms"]
