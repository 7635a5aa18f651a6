"""Look-ups of groups: each once, tried again if the messenger does not respond, and beside all else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from instances.channels.receiving import GroupLookup, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.received_events import GroupChanged, ReceivedEvent
from instances.receiving import group_lookups
from instances.receiving.group_lookups import GroupLookups, wanted_lookups

GROUP, OTHER = "telegram:-5@g.us", "telegram:-6@g.us"
LINK = Link(1234567890, "", external_id="700")


class Asked:
    """A channel that is asked for the group of each event. `failures` are raised first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.asked = list(failures), list[str]()

    def lookups(self, events: Sequence[ReceivedEvent]) -> list[GroupLookup]:
        changes = [event for event in events if isinstance(event, GroupChanged)]
        return [GroupLookup(one.chat_id, is_repeated=one.name == "new") for one in changes]

    async def look_up(self, link: Link, lookup: GroupLookup, network: Network) -> list[ReceivedEvent]:
        self.asked.append(lookup.chat_id)
        if self.failures:
            raise self.failures.pop(0)
        return [GroupChanged(lookup.chat_id, "found")]


class Thread:
    """Takes the place of the database."""

    def __init__(self) -> None:
        self.recorded: list[ReceivedEvent] = []

    async def submit(self, call: object, instance: object, link: Link, events: list[ReceivedEvent]) -> None:
        assert call is group_lookups.record
        self.recorded += events


def run(channel: Asked, work: Callable[[Callable[..., Awaitable[None]], Thread], Awaitable[None]]) -> None:
    async def main() -> None:
        thread: Any = Thread()
        other: Any = SimpleNamespace()
        lookups = GroupLookups(other, thread)

        async def report(*events: ReceivedEvent) -> None:
            lookups.start(wanted_lookups(other, LINK, channel, events))
            await asyncio.gather(*lookups.tasks)

        async with asyncio.timeout(30):
            await work(report, thread)
            await lookups.end()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_lookups, "PAUSES", (0.0, 0.0))


def test_a_group_is_asked_for_once_unless_something_has_happened() -> None:
    channel = Asked()

    async def work(report: Callable[..., Awaitable[None]], thread: Thread) -> None:
        for events in (
            [GroupChanged(GROUP)],
            [GroupChanged(GROUP), GroupChanged(OTHER)],
            [GroupChanged(GROUP, "new")],
        ):
            await report(*events)
        assert channel.asked == [GROUP, OTHER, GROUP]
        assert thread.recorded == [GroupChanged(one, "found") for one in channel.asked]

    run(channel, work)


def test_a_messenger_that_does_not_respond_is_asked_three_times_and_with_the_next_event() -> None:
    channel = Asked(*[ReceiveFailed("It does not respond.")] * 3)

    async def work(report: Callable[..., Awaitable[None]], thread: Thread) -> None:
        await report(GroupChanged(GROUP))
        assert (len(channel.asked), thread.recorded) == (3, [])
        await report(GroupChanged(GROUP))
        assert (len(channel.asked), thread.recorded) == (4, [GroupChanged(GROUP, "found")])

    run(channel, work)


def test_a_messenger_that_does_not_respond_delays_only_its_own_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_lookups, "MAX_WAITING", 2)
    monkeypatch.setattr(group_lookups, "AT_ONCE", 1)
    monkeypatch.setattr(group_lookups, "SLOT_SECONDS", 0.01)

    class Silent(Asked):
        async def look_up(self, link: Link, lookup: GroupLookup, network: Network) -> list[ReceivedEvent]:
            self.asked.append(lookup.chat_id)
            await asyncio.Event().wait()
            return []

    async def main() -> None:
        thread: Any = Thread()
        other: Any = SimpleNamespace()
        lookups, silent, channel = GroupLookups(other, thread), Silent(), Asked()
        many = [GroupChanged(f"telegram:-{number}@g.us") for number in range(10)]
        lookups.start(wanted_lookups(other, LINK, silent, many))
        lookups.start(wanted_lookups(other, replace(LINK, number=2), channel, [GroupChanged(GROUP)]))
        async with asyncio.timeout(30):
            while not thread.recorded:
                await asyncio.sleep(0)
        assert (lookups.waiting[LINK.number], len(silent.asked)) == (2, 1), (
            "one of the two waits for the other"
        )
        await lookups.end()
        assert not (lookups.waiting or lookups.turns)

    asyncio.run(main())


def test_an_error_of_a_channel_ends_nothing() -> None:
    channel = Asked(ValueError("a bug"))

    async def work(report: Callable[..., Awaitable[None]], thread: Thread) -> None:
        await report(GroupChanged(GROUP), GroupChanged(OTHER))
        assert thread.recorded == [GroupChanged(OTHER, "found")]

    run(channel, work)


def test_other_channels_are_not_asked() -> None:
    instance: Any = SimpleNamespace()
    assert wanted_lookups(instance, LINK, object(), [GroupChanged(GROUP)]) == []
