"""The checks that every channel that pushes or is received from must pass (instances/channels/receiving.py).

As conformance.py: a channel's test provides the other side, PUSHING_CHECKS and RECEIVING_CHECKS are functions of a
channel and its messenger. Each checks one requirement and fails with an AssertionError that names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from django.db import connection

from instances.channels.masking import mask_header
from instances.channels.receiving import (
    KEY_LENGTH,
    Batch,
    CallbackRequest,
    LinkLost,
    Pushing,
    ReceiveFailed,
    Receiving,
    Reply,
    Store,
)
from instances.channels.requests import Link
from instances.received_events import MessageReceived
from instances.receiving.network import LoopNetwork

SECONDS = 60.0  # for what takes milliseconds


class PushingMessenger(Protocol):
    """The other side of a channel that pushes."""

    @property
    def credentials(self) -> Mapping[str, str]: ...

    def callback(self, *, key: str, body: str) -> CallbackRequest:
        """Returns the callback that says that a contact wrote; `key` is the messenger's id of the message."""
        ...

    def handshake(self) -> tuple[CallbackRequest, str] | None:
        """Returns the request that verifies the callback URL and the body that it expects, if there is one."""
        ...


class ReceivingMessenger(Protocol):
    """The other side of a channel that is received from, with one account, on a real socket."""

    @property
    def credentials(self) -> Mapping[str, str]: ...

    def write(self, *, key: str, body: str) -> None:
        """Write to the account as a contact. Called from any thread."""
        ...

    def revoke(self) -> None:
        """Make the credentials invalid."""
        ...


def link_of(messenger: PushingMessenger | ReceivingMessenger) -> Link:
    """Returns the link; a messenger may also have `external_id` and `options`."""
    return Link(
        1234567890,
        "15551234567@c.us",
        messenger.credentials,
        getattr(messenger, "external_id", ""),
        getattr(messenger, "options", {}),
    )


@contextlib.contextmanager
def without_queries() -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise AssertionError("a channel makes no query: it is pure")

    with connection.execute_wrapper(refuse):
        yield


# -- a messenger that pushes


def stores_an_authentic_callback(channel: Pushing, messenger: PushingMessenger) -> None:
    with without_queries():
        checked = channel.check_callback(link_of(messenger), messenger.callback(key="a", body="hello"))
    assert isinstance(checked, Store), "an authentic callback is stored"
    assert 200 <= checked.reply.status < 300, "the messenger would repeat it after another status"
    assert len(checked.key) <= KEY_LENGTH, "the key fits"


def refuses_a_forged_callback(channel: Pushing, messenger: PushingMessenger) -> None:
    """A messenger that does not sign bodies sends the same headers with each; these are its secret."""
    request = messenger.callback(key="a", body="hello")
    is_signed = request.headers != messenger.callback(key="b", body="other").headers
    forged = dataclasses.replace(request, body=request.body.replace(b"hello", b"forged"))
    without_headers = dataclasses.replace(request, headers=())
    other_values = dataclasses.replace(request, headers=tuple((name, "x") for name, _ in request.headers))
    for wrong in (*([forged] if is_signed else []), without_headers, other_values):
        checked = channel.check_callback(link_of(messenger), wrong)
        assert isinstance(checked, Reply), "what the messenger has not sent is not stored"
        assert checked.status in (401, 403), "and gets 401 or 403"


def completes_the_handshake(channel: Pushing, messenger: PushingMessenger) -> None:
    if (handshake := messenger.handshake()) is None:
        return
    request, expected = handshake
    checked = channel.check_callback(link_of(messenger), request)
    assert isinstance(checked, Reply) and (checked.status, checked.body) == (200, expected), "the handshake"
    wrong = Link(1234567890, "15551234567@c.us", dict.fromkeys(messenger.credentials, "something-else"))
    checked = channel.check_callback(wrong, request)
    assert isinstance(checked, Reply) and checked.status in (401, 403), "not with another account's token"


def repeated_callbacks_have_the_same_key(channel: Pushing, messenger: PushingMessenger) -> None:
    def key(request: CallbackRequest) -> str:
        checked = channel.check_callback(link_of(messenger), request)
        assert isinstance(checked, Store)
        return checked.key or request.digest()

    first = key(messenger.callback(key="a", body="hello"))
    assert first == key(messenger.callback(key="a", body="hello")), "a repeated callback is stored once"
    assert first != key(messenger.callback(key="b", body="hello")), "another callback is stored too"


def reads_the_events_of_what_is_stored(channel: Pushing, messenger: PushingMessenger) -> None:
    link, request = link_of(messenger), messenger.callback(key="a", body="hello")
    stored = dataclasses.replace(
        request, headers=tuple((name, mask_header(name, value, link)) for name, value in request.headers)
    )
    with without_queries():
        events = list(channel.read_callback(link, stored))
        assert events == list(channel.read_callback(link, stored)), "the same request gives the same events"
    [event] = events
    assert isinstance(event, MessageReceived), "a contact's message is a MessageReceived"
    assert event.body == "hello", "with its text"
    [other] = channel.read_callback(link, messenger.callback(key="b", body="hello"))
    assert isinstance(other, MessageReceived)
    assert event.key and event.key != other.key, "with the messenger's id of the message"


def responds_to_garbage(channel: Pushing, messenger: PushingMessenger) -> None:
    for body in (b"", b"{", b"\xff\x00", b"[]", b"null", b'{"entry": 1}'):
        for method in ("GET", "POST"):
            request = CallbackRequest(method, "hub.mode=subscribe&x=%ff", (("X-Header", "\xff"),), body)
            try:
                checked = channel.check_callback(link_of(messenger), request)
            except Exception as error:
                raise AssertionError(f"check_callback raises {error!r} for {method} {body!r}") from error
            assert isinstance(checked, Reply) and checked.status >= 400, "garbage is not stored"


PUSHING_CHECKS: Iterable[Callable[[Pushing, PushingMessenger], None]] = (
    stores_an_authentic_callback,
    refuses_a_forged_callback,
    completes_the_handshake,
    repeated_callbacks_have_the_same_key,
    reads_the_events_of_what_is_stored,
    responds_to_garbage,
)


# -- a messenger that is polled or has a stream

Body = Callable[[Callable[[str], AsyncGenerator[Batch]]], Awaitable[None]]


class WatchedNetwork(LoopNetwork):
    has_connected = False

    async def connect(
        self, host: str, port: int, *, has_tls: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.has_connected = True
        return await super().connect(host, port, has_tls=has_tls)


def run(channel: Receiving, messenger: ReceivingMessenger, body: Body) -> None:
    """Run `body`, which gets a function that starts receiving after a cursor, in an event loop."""

    async def main() -> None:
        network = WatchedNetwork()

        def start(cursor: str) -> AsyncGenerator[Batch]:
            started: Any = channel.receive(link_of(messenger), cursor, network)
            return started

        try:
            async with asyncio.timeout(SECONDS):
                await body(start)
        finally:
            network.close()
        assert channel.keeps_stream == network.has_connected, "`keeps_stream` is whether it opens a stream"

    with without_queries():
        asyncio.run(main())


async def bodies_until(batches: AsyncGenerator[Batch], last: str) -> tuple[list[str], str]:
    """Returns the messages' bodies up to `last`, as a receiver that records each batch gets them, and the cursor."""
    bodies: list[str] = []
    keys: list[str] = []
    async for batch in batches:
        received = [event for event in batch.events if isinstance(event, MessageReceived)]
        bodies += [event.body for event in received]
        keys += [event.key for event in received]
        assert len(bodies) < 1_000, "events come again and again"
        assert all(keys) and len(set(keys)) == len(keys), "each message has its own key"
        if last in bodies:
            return bodies, batch.cursor
    raise AssertionError(f"it ended before {last} was received")


def receives_in_order_and_continues_after_the_cursor(
    channel: Receiving, messenger: ReceivingMessenger
) -> None:
    async def body(start: Callable[[str], AsyncGenerator[Batch]]) -> None:
        for number in range(12):
            messenger.write(key=f"key {number}", body=str(number))
        async with contextlib.aclosing(start("")) as batches:
            bodies, cursor = await bodies_until(batches, "11")
        assert bodies == [str(number) for number in range(12)], "all events in order"
        assert cursor, "the cursor says how far"
        messenger.write(key="later", body="later")
        async with contextlib.aclosing(start(cursor)) as batches:
            bodies, _ = await bodies_until(batches, "later")
        assert bodies == ["later"], "what was recorded is not received again"

    run(channel, messenger, body)


def confirms_nothing_before_it_is_recorded(channel: Receiving, messenger: ReceivingMessenger) -> None:
    """The process is killed between a batch and its transaction: the next one starts with the old cursor."""

    async def body(start: Callable[[str], AsyncGenerator[Batch]]) -> None:
        for number in range(12):
            messenger.write(key=f"key {number}", body=str(number))
        for _ in range(3):
            async with contextlib.aclosing(start("")) as batches:
                async for batch in batches:
                    if batch.events:
                        break  # not recorded
        async with contextlib.aclosing(start("")) as batches:
            bodies, _ = await bodies_until(batches, "11")
        assert bodies == [str(number) for number in range(12)], "an event that was not recorded comes again"

    run(channel, messenger, body)


def shows_that_an_idle_connection_is_healthy(channel: Receiving, messenger: ReceivingMessenger) -> None:
    async def body(start: Callable[[str], AsyncGenerator[Batch]]) -> None:
        async with contextlib.aclosing(start("")) as batches:
            try:
                async with asyncio.timeout(SECONDS / 4):
                    batch = await anext(batches)
            except TimeoutError:
                raise AssertionError("an empty poll, or an open stream, is a batch without events") from None
        assert not batch.events

    run(channel, messenger, body)


def leaves_nothing_behind_when_it_is_closed(channel: Receiving, messenger: ReceivingMessenger) -> None:
    async def body(start: Callable[[str], AsyncGenerator[Batch]]) -> None:
        before = asyncio.all_tasks()
        for _ in range(3):
            batches = start("")
            await anext(batches)
            waiting = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait([waiting])
            await batches.aclose()
        for _ in range(200):  # tasks that were cancelled end soon, on a busy machine too
            if asyncio.all_tasks() == before:
                break
            await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == before, "a closed generator leaves no task"

    run(channel, messenger, body)


def does_not_block_the_event_loop(channel: Receiving, messenger: ReceivingMessenger) -> None:
    """A thread writes after half a second; meanwhile other connections must be served."""

    async def body(start: Callable[[str], AsyncGenerator[Batch]]) -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        writing = threading.Timer(0.5, lambda: messenger.write(key="late", body="late"))
        writing.start()
        async with contextlib.aclosing(start("")) as batches:
            await bodies_until(batches, "late")
        ticking.cancel()
        writing.join()
        assert ticks >= 5, "nothing blocks the event loop, which serves thousands of instances"

    run(channel, messenger, body)


def says_that_the_link_is_lost(channel: Receiving, messenger: ReceivingMessenger) -> None:
    async def body(start: Callable[[str], AsyncGenerator[Batch]]) -> None:
        messenger.revoke()
        try:
            async with contextlib.aclosing(start("")) as batches:
                await anext(batches)
        except LinkLost as error:
            sentence = str(error)
        except (ReceiveFailed, OSError, StopAsyncIteration) as error:
            raise AssertionError("credentials that are not valid raise LinkLost") from error
        else:
            raise AssertionError("credentials that are not valid raise LinkLost")
        assert sentence.endswith(".") and 10 <= len(sentence) <= 300, f"{sentence!r} is a sentence"

    run(channel, messenger, body)


RECEIVING_CHECKS: Iterable[Callable[[Receiving, ReceivingMessenger], None]] = (
    receives_in_order_and_continues_after_the_cursor,
    confirms_nothing_before_it_is_recorded,
    shows_that_an_idle_connection_is_healthy,
    leaves_nothing_behind_when_it_is_closed,
    does_not_block_the_event_loop,
    says_that_the_link_is_lost,
)
