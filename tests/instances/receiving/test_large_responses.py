"""A messenger's server that responds with megabytes is not read by the event loop that serves all instances."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hooks.http import Response
from hooks.models import Outcome
from instances.channels.large_responses import MAX_VALUES, read_response
from instances.channels.linking import NotLinkable
from instances.channels.matrix import account as matrix
from instances.channels.matrix import receiving as matrix_receiving
from instances.channels.receiving import MAX_RESPONSE_BYTES, Batch, Network, ReceiveFailed, ResponseTooLarge
from instances.channels.requests import Link, Request
from instances.channels.responses import LARGE_BYTES, json_object, json_objects, json_value
from instances.channels.telegram import linking as telegram
from instances.channels.telegram import polling
from instances.channels.waha import history
from instances.channels.waha import linking as waha
from instances.channels.whatsapp_cloud import linking as whatsapp
from instances.received_events import MessageReceived
from instances.receiving.network import LoopNetwork

OTHERS = 20
SMALL = b'{"ok": true}'
LARGE = b'{"result": [' + b'{"a": {}}, ' * (MAX_RESPONSE_BYTES // 4) + b"{}]}"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    body = SMALL if b"/small" in head.splitlines()[0] else LARGE
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    try:
        await writer.drain()
    except ConnectionError:
        pass  # it was not read to the end
    writer.close()


def matrix_link(url: str) -> Link:
    return Link(1, "", {"access_token": "t"}, options={"base_url": url})


def waha_link(url: str) -> Link:
    return Link(1, "", {"api_key": "key", "hmac_key": "key"}, options={"url": url, "session": "default"})


async def look_at_session(url: str, network: Network) -> None:
    async for _ in history.receive(waha_link(url), "", network):
        raise AssertionError("the response was read")


async def ask_telegram(url: str, network: Network) -> None:
    await telegram.check({"token": "1:a"}, network)


CALLS: dict[str, Callable[[str, Network], Awaitable[Any]]] = {
    "matrix, whoami": lambda url, network: matrix.health(matrix_link(url), network),
    "matrix, sign-in": lambda url, network: matrix.Homeserver(network).find("@bot:example.org", url),
    "whatsapp": lambda url, network: whatsapp.health(Link(1, "", {"token": "t"}, external_id="1"), network),
    "waha, session": lambda url, network: waha.connect(waha_link(url), "", network),
    "waha, health": lambda url, network: waha.health(waha_link(url), network),
    "waha, history": look_at_session,
    "telegram": ask_telegram,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_large_response_is_not_read(
    call: Callable[[str, Network], Awaitable[Any]], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others receive meanwhile is all that is read."""
    read: list[int] = []
    loads = json.loads

    def count(text: Any, **options: Any) -> Any:
        read.append(len(text))
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", count)

    async def main() -> None:
        server, network = await asyncio.start_server(serve, "127.0.0.1", 0), LoopNetwork()
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings.WHATSAPP_URL = settings.TELEGRAM_URL = url

        async def small() -> Response:
            return await network.send(Request("GET", f"{url}/small"), seconds=60)

        try:
            found = await asyncio.gather(
                call(url, network), *(small() for _ in range(OTHERS)), return_exceptions=True
            )
        finally:
            network.close()
            server.close()
        assert isinstance(found[0], ReceiveFailed | NotLinkable)
        assert isinstance(found[0], ResponseTooLarge) or "longer than 256 KiB" in str(found[0])
        assert [each.body for each in found[1:] if isinstance(each, Response)] == [SMALL] * OTHERS

    asyncio.run(main())
    assert sum(read) < 1_000


# -- large responses that are read

EVENTS = 2_500
BIG = "a long word " * 40


def matrix_event(number: int) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": f"{number} {BIG}"}
    return {
        "type": "m.room.message",
        "event_id": f"${number}",
        "sender": "@ann:example.org",
        "content": content,
    }


def waha_message(number: int) -> dict[str, Any]:
    return {
        "id": f"false_17680561234@c.us_{number:08}",
        "timestamp": NOW + number,
        "from": "17680561234@c.us",
        "body": f"{number} {BIG}",
    }


def telegram_update(number: int) -> dict[str, Any]:
    person = {"id": 5, "first_name": "Ann"}
    chat = {"id": 5, "type": "private"}
    message = {"message_id": number, "from": person, "chat": chat, "date": NOW, "text": f"{number} {BIG}"}
    return {"update_id": number, "message": message}


NOW = 1_900_000_000
ROOM = {"timeline": {"events": [matrix_event(number) for number in range(EVENTS)]}}
RESPONSES: dict[bytes, Any] = {
    b"/account_data/": {"@ann:example.org": ["!room:example.org"]},
    b"/sync": {"next_batch": "s2", "rooms": {"join": {"!room:example.org": ROOM}}},
    b"/api/sessions/": {"status": "WORKING", "me": None, "config": {}},
    b"/overview": [{"id": "17680561234@c.us", "lastMessage": {"timestamp": NOW + EVENTS}}],
    b"/messages": [waha_message(number) for number in range(-1, EVENTS)],  # the first is too old
    b"/getUpdates": {"ok": True, "result": [telegram_update(number) for number in range(EVENTS)]},
}


async def serve_events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
    [found] = [value for path, value in RESPONSES.items() if path in line.partition(b"?")[0]]
    body = json.dumps(found).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


RECEIVED: dict[str, Callable[[str, Network], AsyncIterator[Batch]]] = {
    "matrix": lambda url, network: matrix_receiving.receive(matrix_link(url), "s1", network),
    "waha": lambda url, network: history.receive(waha_link(url), f"[{NOW}]", network),
    "telegram": lambda url, network: polling.receive(Link(1, "", {"token": "99:a"}), "1", network),
}


@pytest.mark.parametrize("receive", RECEIVED.values(), ids=RECEIVED.keys())
def test_large_responses_are_read_beside_the_event_loop(
    receive: Callable[[str, Network], AsyncIterator[Batch]], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither their JSON nor thousands of messages in it are read in the loop, which serves other instances."""
    in_loop: list[int] = []
    loads = json.loads

    def count(text: Any, **options: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            in_loop.append(len(text))
        return loads(text, **options)

    async def main() -> list[str]:
        server, network = await asyncio.start_server(serve_events, "127.0.0.1", 0), LoopNetwork()
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings.TELEGRAM_URL = url
        bodies: list[str] = []
        batches: Any = receive(url, network)
        try:
            async with contextlib.aclosing(batches):
                async for batch in batches:
                    bodies += [event.body for event in batch.events if isinstance(event, MessageReceived)]
                    if bodies:
                        return bodies
        finally:
            network.close()
            server.close()
        raise AssertionError("nothing was received")

    monkeypatch.setattr(json, "loads", count)
    assert asyncio.run(main()) == [f"{number} {BIG}" for number in range(EVENTS)]
    assert max(in_loop, default=0) < MAX_RESPONSE_BYTES


def test_other_threads_run_while_a_large_response_is_read() -> None:
    """json keeps the interpreter's lock from the first byte to the last."""
    values = [{"a": [1.5, True, None, '\u00e9"', {"b": {}}], "n": number} for number in range(60_000)]
    response = Response(Outcome.OK, 200, [], json.dumps(values).encode())
    is_reading, turns = threading.Event(), [0]

    def take_turns() -> None:
        while is_reading.is_set():
            time.sleep(0)
            turns[0] += 1

    is_reading.set()
    other = threading.Thread(target=take_turns)
    other.start()
    try:
        before = turns[0]
        found = json_value(response)
        taken = turns[0] - before
    finally:
        is_reading.clear()
        other.join()
    assert found == values
    assert taken >= 10, "json.loads lets the other thread run once at most"


def test_a_response_made_to_be_slow_is_not_read() -> None:
    body = b"[" + b"[]," * MAX_VALUES + b"[]]"
    response = Response(Outcome.OK, 200, [], body)
    with pytest.raises(ResponseTooLarge, match="more than 2 million values"):
        asyncio.run(read_response(response, json_objects))


@pytest.mark.parametrize("body", [b"[1, 2", b"", b"\xff", b"[" * 100_000, b"1e999999x", b"9" * 5_000])
def test_a_large_response_that_is_no_json_is_none(body: bytes) -> None:
    large = Response(Outcome.OK, 200, [], body + b" " * LARGE_BYTES)
    assert asyncio.run(read_response(large, json_object)) == {}


def test_collections_of_garbage_wait_until_a_large_response_is_read() -> None:
    response = Response(Outcome.OK, 200, [], b"[]" + b" " * LARGE_BYTES)
    enabled: list[bool] = []

    def read(response: Response) -> Any:
        enabled.append(gc.isenabled())
        return json_value(response)

    assert asyncio.run(read_response(response, read)) == []
    assert (enabled, gc.isenabled()) == ([False], True)
