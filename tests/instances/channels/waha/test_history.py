"""What was written while events were lost is read from the history, once and in order, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from instances.channels.receiving import Batch, LinkLost
from instances.channels.requests import Link
from instances.channels.waha import history
from instances.channels.waha.channel import WahaChannel
from instances.models import AccountStatus, Substatus
from instances.received_events import (
    AccountFound,
    MessageReceived,
    MessageTyped,
    ReceivedEvent,
    StatusReported,
)
from instances.receiving.network import LoopNetwork
from tests.doubles.waha import Session
from tests.instances.channels.waha.messenger import Writer, writer

CHANNEL = WahaChannel()
ANN, BEN, GROUP = "17680561234@c.us", "4915112345678@c.us", "120363000000000001@g.us"
NOW = 1_900_000_000  # unix seconds of messages; the cursors are before


@pytest.fixture
def account() -> Iterator[Writer]:
    with writer() as found:
        yield found


@pytest.fixture
def session(account: Writer) -> Session:
    return account.session


def link_of(account: Writer) -> Link:
    return Link(1, "15550001111@c.us", account.credentials, options=account.options)


class Received:
    """What a receiver has recorded: the events, and the cursor."""

    def __init__(self, cursor: str = str(history.Position(NOW - 1_000))) -> None:
        self.events: list[ReceivedEvent] = []
        self.cursor = cursor
        self.batches = 0

    @property
    def texts(self) -> list[str]:
        return [event.body for event in self.events if isinstance(event, MessageReceived | MessageTyped)]


def receive(
    account: Writer, until: Callable[[Received], object], received: Received | None = None
) -> Received:
    """Receive until this is so."""
    found = received or Received()

    async def main() -> None:
        network = LoopNetwork()
        batches: Any = CHANNEL.receive(link_of(account), found.cursor, network)
        try:
            async with asyncio.timeout(120), contextlib.aclosing(batches):
                async for batch in batches:
                    take(batch)
                    if until(found):
                        return
        finally:
            network.close()

    def take(batch: Batch) -> None:
        found.cursor = batch.cursor
        found.events += batch.events
        found.batches += 1

    asyncio.run(main())
    return found


def looks(number: int) -> Callable[[Received], bool]:
    """So many batches: the session was looked at, and the history was read or not."""
    return lambda received: received.batches >= number


def test_the_history_is_read_chat_by_chat_and_once(
    account: Writer, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "time", SimpleNamespace(time=lambda: NOW + 10.0))
    for index in range(3):
        for chat in (ANN, BEN):
            session.write(chat, f"{chat[:3]} {index}", timestamp=NOW + index)
    first = receive(account, lambda received: len(received.texts) == 6)
    assert sorted(first.texts[:3]) == first.texts[:3] and sorted(first.texts[3:]) == first.texts[3:]
    again = Received()
    again.cursor = first.cursor
    receive(account, looks(6), again)
    assert again.texts == []
    session.write(ANN, "of the same second", timestamp=NOW + 2)
    assert receive(account, lambda received: received.texts, again).texts == ["of the same second"]


def test_a_long_chat_is_read_in_pages(account: Writer, session: Session) -> None:
    for index in range(250):
        session.write(ANN, str(index), timestamp=NOW + index)
    received = receive(account, lambda received: len(received.texts) >= 250)
    assert received.texts == [str(index) for index in range(250)]


def test_the_history_of_before_is_not_imported(account: Writer, session: Session) -> None:
    session.write(ANN, "long ago", timestamp=int(time.time()) - 100_000)
    session.write(BEN, "new", timestamp=int(time.time()))
    received = receive(account, lambda received: received.texts, Received(cursor=""))
    assert received.texts == ["new"]


def test_a_message_from_the_future_does_not_hide_what_comes_until_then(
    account: Writer, session: Session
) -> None:
    now = int(time.time())
    session.write(ANN, "by a wrong clock", timestamp=now + 100_000)
    received = receive(account, lambda received: received.texts, Received(cursor=""))
    session.write(BEN, "in the next gap", timestamp=now + 1)
    receive(account, lambda received: "in the next gap" in received.texts, received)


def test_a_gap_is_noticed_and_what_came_without_one_is_not_read(account: Writer, session: Session) -> None:
    received = receive(account, looks(4))
    session.write(ANN, "by a callback", timestamp=NOW + 1)
    receive(account, looks(received.batches + 4), received)  # starts to receive: it may have been away
    assert received.texts == ["by a callback"]

    def restarted(found: Received) -> bool:
        if found.batches == start + 5:
            session.write(ANN, "while it was away", timestamp=NOW + 2)
            session.stumbles = 1
        return "while it was away" in found.texts

    start = received.batches
    receive(account, restarted, received)


def test_what_the_api_has_sent_is_not_taken_for_typed(account: Writer, session: Session) -> None:
    session.message(ANN, "by the API", from_me=True, key="3EB0AAAA", source=None, timestamp=NOW)
    session.message(ANN, "on the phone", from_me=True, key="AC12", source=None, timestamp=NOW + 1)
    received = receive(account, lambda received: received.texts)
    assert received.texts == ["on the phone"]
    assert any(isinstance(event, MessageTyped) for event in received.events)


def test_the_state_is_reported_when_it_changes(account: Writer, session: Session) -> None:
    def statuses(received: Received) -> list[ReceivedEvent]:
        return [event for event in received.events if not isinstance(event, MessageReceived)]

    received = receive(account, looks(6))
    assert statuses(received) == [
        AccountFound("15550001111@c.us", "Tea Shop (+15550001111)"),
        StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL),
    ]
    session.log_out_on_phone()
    assert (
        StatusReported(AccountStatus.GOT_QR_CODE, Substatus.EXPIRED)
        in receive(account, lambda found: len(found.events) > 2, received).events
    )


def test_a_session_may_be_made_a_moment_later(account: Writer) -> None:
    gone = account.double.sessions.pop("a-session")

    async def add(after: float) -> None:
        await asyncio.sleep(after)
        account.double.sessions["a-session"] = gone

    async def main() -> Batch:
        network = LoopNetwork()
        adding = asyncio.create_task(add(0.06))
        batches: Any = CHANNEL.receive(link_of(account), "", network)
        try:
            async with contextlib.aclosing(batches):
                found: Batch = await anext(batches)
                return found
        finally:
            await adding
            network.close()

    assert asyncio.run(main()).cursor
    account.double.sessions.clear()
    with pytest.raises(LinkLost, match="does not exist"):
        receive(account, looks(1))


def test_a_new_proxy_is_passed_on_once(account: Writer, session: Session) -> None:
    async def look(proxy: str) -> None:
        network = LoopNetwork()
        link = Link(
            1,
            "",
            account.credentials,
            options=account.options,
            callback_url="http://127.0.0.1:1/x",
            proxy=proxy,
        )
        batches: Any = CHANNEL.receive(link, "", network)
        async with contextlib.aclosing(batches):
            await anext(batches)
        network.close()

    for proxy in ("192.0.2.1:1080", "192.0.2.1:1080", ""):
        asyncio.run(look(proxy))
        assert session.config.get("proxy") == ({"server": f"socks5://{proxy}"} if proxy else None)
    methods = [method for method, _ in account.double.requests]
    assert methods.count("PUT") == 2


def test_the_cursor_follows_while_all_is_well(account: Writer) -> None:
    received = Received()
    received.cursor = str(history.Position(1_700_000_000))
    receive(account, lambda found: history.parse(found.cursor).second > time.time() - 1_000, received)
    assert history.parse(received.cursor).second <= time.time() - history.BEHIND_SECONDS


def test_a_receiver_that_dies_in_between_reads_it_again(account: Writer, session: Session) -> None:
    for chat in (ANN, BEN, GROUP):
        session.write(chat, chat, timestamp=NOW)
    partly = receive(account, lambda received: received.texts)
    assert 1 <= len(partly.texts) < 3
    again = Received()
    again.cursor = partly.cursor
    assert sorted(receive(account, lambda received: len(received.texts) == 3, again).texts) == sorted(
        [
            ANN,
            BEN,
            GROUP,
        ]
    )
