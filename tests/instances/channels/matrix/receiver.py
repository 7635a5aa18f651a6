"""Receives as a receiver does, without recording: for tests of what the channel makes of a homeserver's responses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from instances.channels.linking import Found
from instances.channels.matrix import account, media, receiving
from instances.channels.receiving import LinkLost, ReceiveFailed
from instances.channels.requests import Link
from instances.received_events import CredentialsRenewed, Media, MessageReceived, ReceivedEvent
from instances.receiving.network import LoopNetwork

SECONDS = 300.0
VALUES = {"user": "", "password": "", "access_token": "", "homeserver": ""}


@dataclass
class Receiving:
    """One linked account, its cursor, and what was received."""

    link: Link
    cursor: str = ""
    events: list[ReceivedEvent] = field(default_factory=list)

    def until(self, is_enough: Callable[[Sequence[ReceivedEvent]], bool]) -> list[ReceivedEvent]:
        """Receive from the cursor until the events of this call are enough; returns them."""
        return asyncio.run(self.receive_until(is_enough))

    async def receive_until(
        self, is_enough: Callable[[Sequence[ReceivedEvent]], bool]
    ) -> list[ReceivedEvent]:
        network, found = LoopNetwork(), list[ReceivedEvent]()
        try:
            async with asyncio.timeout(SECONDS):
                while not is_enough(found):
                    try:
                        await self.receive_some(network, found, is_enough)
                    except LinkLost:
                        raise
                    except ReceiveFailed:  # as a receiver, it tries again
                        await asyncio.sleep(1.0)
        finally:
            network.close()
        for event in found:
            if isinstance(event, CredentialsRenewed):
                self.link = Link(
                    self.link.number, self.link.own_chat_id, event.credentials, self.link.external_id,
                    self.link.options,
                )  # fmt: skip
        self.events += found
        return found

    async def receive_some(
        self,
        network: LoopNetwork,
        found: list[ReceivedEvent],
        is_enough: Callable[[Sequence[ReceivedEvent]], bool],
    ) -> None:
        batches: Any = receiving.receive(self.link, self.cursor, network)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                self.cursor = batch.cursor
                found += batch.events
                if is_enough(found):
                    return

    def messages(self, count: int) -> list[MessageReceived]:
        """Returns the next messages, as soon as there are so many."""
        found = self.until(lambda events: len(received(events)) >= count)
        return received(found)


def received(events: Sequence[ReceivedEvent]) -> list[MessageReceived]:
    return [event for event in events if isinstance(event, MessageReceived)]


def check(**values: str) -> Found:
    """Returns what the channel finds out about the account with these values. Raises NotLinkable."""

    async def run() -> Found:
        network = LoopNetwork()
        try:
            return await account.check(VALUES | values, network)
        finally:
            network.close()

    return asyncio.run(run())


def fetch(link: Link, found: Media) -> tuple[bytes, str]:
    """Returns the content of a received file, and its type. Raises FileUnavailable."""

    async def run() -> tuple[bytes, str]:
        network = LoopNetwork()
        try:
            fetched = await media.fetch(link, found, network)
            with fetched.content:
                return fetched.content.read(), fetched.content_type
        finally:
            network.close()

    return asyncio.run(run())


def linked(**values: str) -> Receiving:
    """Returns the account of these values, linked."""
    found = check(**values)
    return Receiving(Link(1001, found.own_chat_id, found.credentials, found.external_id, found.options))
