"""Every channel that pushes or is received from meets instances/channels/receiving.py, and wrong ones fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from instances.channels import CHANNELS
from instances.channels.base import Channel
from instances.channels.receiving import (
    Batch,
    CallbackRequest,
    LinkLost,
    Network,
    Pushing,
    ReceiveFailed,
    Receiving,
    Reply,
    Store,
)
from instances.channels.requests import Link
from instances.models import Instance
from instances.received_events import ReceivedEvent
from tests.instances.channels import receiving_conformance
from tests.instances.channels.notepad import Pad
from tests.instances.channels.receiving_conformance import PUSHING_CHECKS, RECEIVING_CHECKS
from tests.instances.channels.receiving_messengers import PUSHING_MESSENGERS, RECEIVING_MESSENGERS
from tests.instances.receiving import polling, pushing, streaming
from tests.instances.receiving.all_channels import TEST_CHANNELS
from tests.instances.receiving.polling import PollingChannel
from tests.instances.receiving.pushing import PushingChannel
from tests.instances.receiving.streaming import StreamingChannel

pytestmark = pytest.mark.django_db
EVERY_CHANNEL: dict[str, Channel] = {**CHANNELS, **TEST_CHANNELS}


def test_every_such_channel_has_a_messenger_to_test_it_with() -> None:
    pushing_names = {name for name, channel in EVERY_CHANNEL.items() if isinstance(channel, Pushing)}
    receiving_names = {name for name, channel in EVERY_CHANNEL.items() if isinstance(channel, Receiving)}
    assert pushing_names == set(PUSHING_MESSENGERS)
    assert receiving_names == set(RECEIVING_MESSENGERS)


@pytest.mark.parametrize("check", PUSHING_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", PUSHING_MESSENGERS)
def test_a_channel_that_pushes(name: str, check: Callable[..., None]) -> None:
    check(EVERY_CHANNEL[name], PUSHING_MESSENGERS[name])


@pytest.mark.parametrize("check", RECEIVING_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", RECEIVING_MESSENGERS)
def test_a_channel_that_is_received_from(name: str, check: Callable[..., None]) -> None:
    with RECEIVING_MESSENGERS[name]() as messenger:
        check(EVERY_CHANNEL[name], messenger)


class StoresNothing(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        return Reply()


class QueriesTheDatabase(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        Instance.objects.exists()
        return super().check_callback(link, request)


class RespondsLateToAll(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        checked = super().check_callback(link, request)
        return Store(checked.key, Reply(500)) if isinstance(checked, Store) else checked


class AcceptsForgeries(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        return Store() if request.method == "POST" else super().check_callback(link, request)


class IgnoresTheVerifyToken(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        return Reply(body="4711") if request.method == "GET" else super().check_callback(link, request)


class NumbersCallbacksItself(PushingChannel):
    last = 0

    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        self.last += 1
        checked = super().check_callback(link, request)
        return Store(str(self.last)) if isinstance(checked, Store) else checked


class HasOneKey(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        checked = super().check_callback(link, request)
        return Store("the key") if isinstance(checked, Store) else checked


class ReadsMaskedHeaders(PushingChannel):
    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        if request.header("Authorization") != "Bearer the-messenger's-own":
            raise ValueError("not authorized")
        return super().read_callback(link, request)


class ReadsOnce(PushingChannel):
    def __init__(self, pad: Pad) -> None:
        super().__init__(pad)
        self.seen: set[bytes] = set()

    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        if request.body in self.seen:
            return []
        self.seen.add(request.body)
        return super().read_callback(link, request)


class RaisesForGarbage(PushingChannel):
    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        json.loads(request.body or b"{}")
        return super().check_callback(link, request)


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (StoresNothing, "stores_an_authentic_callback"),
        (QueriesTheDatabase, "stores_an_authentic_callback"),
        (RespondsLateToAll, "stores_an_authentic_callback"),
        (AcceptsForgeries, "refuses_a_forged_callback"),
        (IgnoresTheVerifyToken, "completes_the_handshake"),
        (NumbersCallbacksItself, "repeated_callbacks_have_the_same_key"),
        (HasOneKey, "repeated_callbacks_have_the_same_key"),
        (ReadsMaskedHeaders, "reads_the_events_of_what_is_stored"),
        (ReadsOnce, "reads_the_events_of_what_is_stored"),
        (RaisesForGarbage, "responds_to_garbage"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_wrong_channel_that_pushes_fails_its_check(wrong: type[PushingChannel], check: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        getattr(receiving_conformance, check)(wrong(Pad()), PUSHING_MESSENGERS[pushing.NAME])


class KeepsTheCursor(PollingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        async for batch in super().receive(link, cursor, network):
            yield Batch(cursor, batch.events)


class ConfirmsTooEarly(StreamingChannel):
    """The messenger does not send again what was yielded, whether it was recorded or not."""

    confirmed = ""

    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        async for batch in super().receive(link, cursor or type(self).confirmed, network):
            type(self).confirmed = batch.cursor
            yield batch


class ReversesEvents(PollingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        async for batch in super().receive(link, cursor, network):
            yield Batch(batch.cursor, list(reversed(batch.events)))


class IsSilent(PollingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        async for batch in super().receive(link, cursor, network):
            if batch.events:
                yield batch


class LeavesATask(StreamingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        self.left = asyncio.create_task(asyncio.sleep(30))
        async for batch in super().receive(link, cursor, network):
            yield batch


class Blocks(PollingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        time.sleep(1)
        async for batch in super().receive(link, cursor, network):
            yield batch


class HidesALostLink(StreamingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        try:
            async for batch in super().receive(link, cursor, network):
                yield batch
        except LinkLost as error:
            raise ReceiveFailed(str(error)) from None


class SaysNothing(StreamingChannel):
    async def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        try:
            async for batch in super().receive(link, cursor, network):
                yield batch
        except LinkLost:
            raise LinkLost("401") from None


class CallsAStreamPolls(StreamingChannel):
    keeps_stream = False


@pytest.mark.parametrize(
    ("wrong", "name", "check"),
    [
        (CallsAStreamPolls, streaming.NAME, "receives_in_order_and_continues_after_the_cursor"),
        (KeepsTheCursor, polling.NAME, "receives_in_order_and_continues_after_the_cursor"),
        (ReversesEvents, polling.NAME, "receives_in_order_and_continues_after_the_cursor"),
        (ConfirmsTooEarly, streaming.NAME, "confirms_nothing_before_it_is_recorded"),
        (IsSilent, polling.NAME, "shows_that_an_idle_connection_is_healthy"),
        (LeavesATask, streaming.NAME, "leaves_nothing_behind_when_it_is_closed"),
        (Blocks, polling.NAME, "does_not_block_the_event_loop"),
        (HidesALostLink, streaming.NAME, "says_that_the_link_is_lost"),
        (SaysNothing, streaming.NAME, "says_that_the_link_is_lost"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_wrong_channel_that_is_received_from_fails_its_check(wrong: Any, name: str, check: str) -> None:
    with RECEIVING_MESSENGERS[name]() as messenger, pytest.raises(AssertionError):
        getattr(receiving_conformance, check)(wrong(Pad()), messenger)
