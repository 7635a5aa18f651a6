"""The gateway gives requests of senders to open connections: only with the instance's token, and always responds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hooks import http
from hooks.http import Response
from hooks.models import Outcome
from instances.channels.open_streams import (
    NOT_CONNECTED,
    StreamReply,
    is_to_stream,
    stream_request,
    stream_token,
)
from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Failed, Link
from instances.receiving import stream_gateway
from instances.receiving.stream_gateway import StreamGateway
from instances.sending.tries import read_response

NUMBER, OTHER = 1234567890, 1234567891


class Echo:
    """Responds with what it gets."""

    calls = 0

    async def call(self, action: str, body: bytes) -> StreamReply:
        self.calls += 1
        if action == "fail":
            raise RuntimeError("broken")
        if action == "hang":
            await asyncio.sleep(3600)
        return StreamReply(200, action.encode() + b" " + body, "text/plain", 3 if action == "later" else None)


ECHO = Echo()
HEAD = f"POST /{NUMBER}/message HTTP/1.1\r\nAuthorization: Bearer {stream_token(NUMBER)}\r\n".encode()


def link(gateway: StreamGateway, number: int = NUMBER) -> Link:
    return Link(number, "", stream_url=gateway.url, stream_token=stream_token(number))


def send(link: Link, action: str, body: bytes = b"") -> Response:
    request = stream_request(link, action, body, "text/plain")
    return http.send(request.method, request.url, request.headers.items(), body, is_exempt=True)


def run(work: Callable[[StreamGateway], Awaitable[None]]) -> None:
    async def main() -> None:
        gateway = StreamGateway()
        await gateway.offer(NUMBER, ECHO)
        ECHO.calls = 0
        try:
            await work(gateway)
        finally:
            await gateway.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def allowed(settings: Any) -> Iterator[None]:
    settings.HOOKS_ALLOW_NETWORKS = []  # as on a public site: not even loopback
    yield


def test_a_request_is_given_to_the_connection_of_its_instance() -> None:
    async def work(gateway: StreamGateway) -> None:
        response = await asyncio.to_thread(send, link(gateway), "message", b"<message/>" * 1000)
        assert (response.status, response.body[:18]) == (200, b"message <message/>")
        response = await asyncio.to_thread(send, link(gateway), "later")
        assert response.header("retry-after") == "3"

    run(work)


def test_connections_that_open_at_once_share_one_port() -> None:
    async def main() -> None:
        gateway = StreamGateway()
        urls = await asyncio.gather(*(gateway.offer(NUMBER + number, Echo()) for number in range(20)))
        assert set(urls) == {gateway.url}
        await gateway.close()

    asyncio.run(main())


def test_an_address_of_another_machine_is_named(settings: Any) -> None:
    settings.STREAMS_HOST = "192.0.2.1"

    async def main() -> None:
        with pytest.raises(ReceiveFailed, match="STREAMS_HOST"):
            await StreamGateway().offer(NUMBER, Echo())

    asyncio.run(main())


@pytest.mark.parametrize(
    "token", ["", "x", stream_token(OTHER)], ids=["none", "short", "of another instance"]
)
def test_a_wrong_token_is_refused(token: str) -> None:
    async def work(gateway: StreamGateway) -> None:
        response = await asyncio.to_thread(send, replace(link(gateway), stream_token=token), "message")
        assert response.status == 401

    run(work)


def test_an_account_that_is_not_connected_here_has_to_wait() -> None:
    async def work(gateway: StreamGateway) -> None:
        stream = gateway.streams[NUMBER]
        gateway.withdraw(NUMBER, Echo())  # an earlier connection ends: it takes nothing from the later one
        assert (await asyncio.to_thread(send, link(gateway), "message")).status == 200
        gateway.withdraw(NUMBER, stream)
        response = await asyncio.to_thread(send, link(gateway), "message")
        assert (response.status, response.header("retry-after")) == (503, "1")
        gateway.refuse(NUMBER, "The password is wrong.")
        response = await asyncio.to_thread(send, link(gateway), "message")
        assert (response.status, b"The password is wrong." in response.body) == (403, True)
        await gateway.offer(NUMBER, stream)
        assert (await asyncio.to_thread(send, link(gateway), "message")).status == 200

    run(work)


def test_a_connection_that_fails_or_hangs_gets_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_gateway, "CALL_SECONDS", 0.05)

    async def work(gateway: StreamGateway) -> None:
        assert (await asyncio.to_thread(send, link(gateway), "fail")).status == 500
        assert (await asyncio.to_thread(send, link(gateway), "hang")).status == 504

    run(work)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /1/message HTTP/1.1\r\n\r\n",
        b"POST /1/message HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /../x HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Content-Length: 4\r\n\r\nhal",
        HEAD + b"Content-Length: 4\r\n",
        HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nhalf!",
        HEAD + b"Content-Length: 4\r\ncontent-length: 4\r\n\r\nhalf",
        HEAD + b"Content-Length: 4, 4\r\n\r\nhalf",
        HEAD + b"Content-Length: +4\r\n\r\nhalf",
        HEAD + b"Content-Length: -1\r\n\r\nhalf",
        HEAD + b"Content-Length: 0x4\r\n\r\nhalf",
        HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nhalf",
        HEAD + b"Content-Length: 2097153\r\n\r\nhalf",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n",
        HEAD + b"X: " + b"x" * 20_000 + b"\r\nContent-Length: 4\r\n\r\nhalf",
        b"\x16\x03\x01" + b"x" * 100_000,
        b"",
    ],
)
def test_what_is_no_request_of_a_sender_is_closed(sent: bytes) -> None:
    async def work(gateway: StreamGateway) -> None:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert ECHO.calls == 0
        assert (await asyncio.to_thread(send, link(gateway), "message")).status == 200

    run(work)


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"Content-Length: 4\r\n\r\nhal"])
def test_a_request_that_stays_unfinished_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_gateway, "READ_SECONDS", 0.05)

    async def work(gateway: StreamGateway) -> None:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
        assert ECHO.calls == 0
        while gateway.requests:
            await asyncio.sleep(0.01)

    run(work)


def test_connections_over_the_limit_are_closed_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, and so without a request, each would have a file descriptor for READ_SECONDS."""
    monkeypatch.setattr(stream_gateway, "MAX_REQUESTS", 2)

    async def work(gateway: StreamGateway) -> None:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        while len(gateway.requests) < 2:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(host, int(port))
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        for _, each in [*idle, (reader, writer)]:
            each.close()
        while gateway.requests:
            await asyncio.sleep(0.01)
        assert (await asyncio.to_thread(send, link(gateway), "message")).status == 200

    run(work)


def test_a_sender_that_does_not_read_its_response_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_gateway, "WRITE_SECONDS", 0.05)

    class Talker:
        async def call(self, action: str, body: bytes) -> StreamReply:
            return StreamReply(200, b"x" * 30_000_000)

    async def work(gateway: StreamGateway) -> None:
        await gateway.offer(NUMBER, Talker())
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
        while not gateway.requests:
            await asyncio.sleep(0.01)
        while gateway.requests:
            await asyncio.sleep(0.01)
        writer.close()

    run(work)


def test_messages_wait_when_the_receiver_has_ended() -> None:
    """Without an open breaker: the messenger is not at fault. A receiver that hangs is."""
    known = Link(NUMBER, "", stream_url="http://127.0.0.1:4000", stream_token="x")
    request = stream_request(known, "message", b"", "text/plain")
    sending: Any = SimpleNamespace(request=request, queue=SimpleNamespace(link=known))
    for outcome in (Outcome.REFUSED, Outcome.RESET):
        assert read_response(sending, Response(outcome)) == NOT_CONNECTED
    assert read_response(sending, Response(Outcome.TIMEOUT)) == Failed("")
    sending.request = replace(request, url="https://files.example.org/slot")
    assert read_response(sending, Response(Outcome.REFUSED)) == Failed("")


def test_only_urls_of_the_open_connection_are_exempt_from_the_address_policy() -> None:
    known = Link(NUMBER, "", stream_url="http://127.0.0.1:4000", stream_token="x")
    assert is_to_stream("http://127.0.0.1:4000/1234567890/message", known)
    for url in (
        "http://127.0.0.1:4000/1234567891/message",
        "http://127.0.0.1:4000/1234567890/message/../../1234567891/message",
        "http://127.0.0.1:40001/1234567890/message",
        "http://127.0.0.1:4000@evil.example/1234567890/message",
        "http://127.0.0.1:4000/1234567890/message?x",
        "http://127.0.0.1/1234567890/message",
    ):
        assert not is_to_stream(url, known), url
    assert not is_to_stream("http://127.0.0.1:4000/1234567890/message", replace(known, stream_url=""))
    blocked = http.send("POST", "http://127.0.0.1:4000/1234567890/message", [], b"")
    assert blocked.outcome == Outcome.BLOCKED
