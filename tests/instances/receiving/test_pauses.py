"""The pauses between the tries of a connection grow until it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from instances.actions.receiver_states import record_failure
from instances.channels.receiving import Batch
from instances.channels.requests import Link
from instances.receiving import connection
from instances.receiving.connection import JITTER, MAX_BACK_OFF, Connection, back_off


class ClosingChannel:
    """Its server responds once, and then closes the connection."""

    def __init__(self, *, keeps_stream: bool) -> None:
        self.keeps_stream = keeps_stream

    async def receive(self, link: Link, cursor: str, network: Any) -> AsyncIterator[Batch]:
        yield Batch(cursor)


class Recorder:
    """Takes the place of the database: notes the failures in a row that are recorded."""

    def __init__(self, most: int) -> None:
        self.most, self.failures, self.is_done = most, list[int](), asyncio.Event()

    async def submit(self, call: Callable[..., object], *_: object, **given: Any) -> None:
        assert call is record_failure
        self.failures.append(given["failures"])
        if len(self.failures) == self.most:
            self.is_done.set()
            await asyncio.Event().wait()


def failures_in_a_row(*, before: int, keeps_stream: bool) -> list[int]:
    """Returns what is recorded at the first three failures."""

    async def main() -> list[int]:
        state = SimpleNamespace(
            cursor="", failures=before, next_try_at=datetime(2020, 1, 1, tzinfo=UTC), connected_at=None
        )
        stored: Any = SimpleNamespace(
            instance=SimpleNamespace(number=1, receiver_state=state), changed_at=state.next_try_at
        )
        recorder: Any = Recorder(3)
        other: Any = None
        channel: Any = ClosingChannel(keeps_stream=keeps_stream)
        tried = Connection(
            1, stored, Link(1, ""), channel, other, other, recorder, lambda _: None, other, other
        )
        await recorder.is_done.wait()
        await tried.end()
        found: list[int] = recorder.failures
        return found

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "back_off", lambda failures: 0.0)


def test_a_server_that_closes_the_stream_after_each_sign_in_is_tried_less_and_less_often() -> None:
    assert failures_in_a_row(before=4, keeps_stream=True) == [5, 6, 7]


def test_a_stream_that_has_lasted_ends_the_failures_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STEADY_SECONDS", 0.0)
    assert failures_in_a_row(before=4, keeps_stream=True) == [1, 1, 1]


def test_a_poll_that_succeeds_ends_the_failures_in_a_row() -> None:
    """The messenger fails now and then: the next poll is a second later, however soon the last failure was."""
    assert failures_in_a_row(before=4, keeps_stream=False) == [1, 1, 1]


@pytest.mark.parametrize("failures", [1, 9, 10, 1_025, 1_000_000])
def test_the_pause_grows_up_to_its_limit_however_long_the_messenger_is_away(failures: int) -> None:
    assert back_off(failures) <= MAX_BACK_OFF * (1 + JITTER)
