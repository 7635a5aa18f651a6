"""Takes requests of senders for the open connections of this receiver, over HTTP (instances/channels/open_streams.py).

    POST /{number of the instance}/{action}        Authorization: Bearer …

It listens on STREAMS_HOST, on a port that is free, once the first connection accepts requests. A request has its own
TCP connection, which ends with the response: the sender does not reuse one that its address policy did not check.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import re
from http import HTTPStatus

from django.conf import settings

from instances.channels.open_streams import OpenStream, StreamReply, stream_token
from instances.channels.receiving import ReceiveFailed

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 2 * 1024 * 1024  # a message of 100 000 characters, each escaped
READ_SECONDS = 10.0  # for the request
WRITE_SECONDS = 10.0  # for the sender to read the response
CALL_SECONDS = 9.0  # for the response: within the sender's deadline
# At once; further ones get 503. Those that are still to be read count too: each has a file descriptor.
MAX_REQUESTS = 5_000

REQUEST_LINE = re.compile(rb"POST /([0-9]{1,19})/([a-z-]{1,40}) HTTP/1\.[01]")
LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*([^\r]*)", re.IGNORECASE)
BEARER = re.compile(rb"\r\nAuthorization:[ \t]*Bearer ([0-9A-Za-z]{1,200})[ \t]*\r\n", re.IGNORECASE)


def text_reply(status: int, sentence: str, *, retry_after: int | None = None) -> StreamReply:
    return StreamReply(status, f"{sentence}\n".encode(), "text/plain; charset=utf-8", retry_after)


NOT_CONNECTED = text_reply(503, "The account is not connected to this receiver.", retry_after=1)
TOO_LATE = text_reply(504, f"The messenger did not confirm it within {CALL_SECONDS:.0f} s.")
FAILED = text_reply(500, "The receiver could not handle this.")
UNAUTHORIZED = text_reply(401, "The bearer token is not that of this instance.")
BUSY = text_reply(503, "The receiver has too many requests.", retry_after=1)


class StreamGateway:
    """Of one receiver, in its event loop. `url` is empty until the first connection is offered."""

    def __init__(self) -> None:
        self.streams: dict[int, OpenStream] = {}  # by the number of the instance
        self.lost: dict[int, str] = {}  # why an account has to be linked again
        self.server: asyncio.Server | None = None
        self.url = ""
        self.starting = asyncio.Lock()
        self.requests: set[asyncio.Task[None]] = set()

    async def offer(self, number: int, stream: OpenStream) -> str:
        """Take requests for this connection from now on; returns the URL for senders. Raises ReceiveFailed."""
        async with self.starting:
            if self.server is None:
                await self.listen()
        self.lost.pop(number, None)
        self.streams[number] = stream
        return self.url

    async def listen(self) -> None:
        host = settings.STREAMS_HOST
        try:
            server = await asyncio.start_server(self.serve, host, 0, limit=MAX_HEAD_BYTES, backlog=1_000)
        except OSError as error:
            raise ReceiveFailed(
                f"STREAMS_HOST is not an address of this machine: {error.strerror or error}."
            ) from None
        port = server.sockets[0].getsockname()[1]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.server = server

    def refuse(self, number: int, sentence: str) -> None:
        """Tell senders that the account has to be linked again, until it is connected."""
        self.lost[number] = sentence

    def withdraw(self, number: int, stream: OpenStream) -> None:
        """Take no more requests for this connection; those that are under way get a response."""
        if self.streams.get(number) is stream:
            del self.streams[number]

    async def close(self) -> None:
        if self.server is not None:
            self.server.close()
        for task in self.requests:
            task.cancel()
        if self.requests:
            await asyncio.wait(self.requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.requests.add(task)
        try:
            writer.write(response_bytes(await self.respond(reader)))
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await writer.drain()
            except TimeoutError:
                writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            pass  # it ended, or is none of a sender
        except asyncio.CancelledError:  # the receiver ends
            with contextlib.suppress(OSError):
                writer.write(response_bytes(NOT_CONNECTED))
        finally:
            self.requests.discard(task)
            writer.close()

    async def respond(self, reader: asyncio.StreamReader) -> StreamReply:
        """Read a request and return its response. Raises what a broken connection raises, or ValueError."""
        if len(self.requests) > MAX_REQUESTS:
            return BUSY
        async with asyncio.timeout(READ_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            line = REQUEST_LINE.match(head)
            length = body_length(head)
            if line is None or length > MAX_BODY_BYTES:
                raise ValueError("not a request of a sender")
            number, action = int(line[1]), line[2].decode()
            bearer = BEARER.search(head)
            if bearer is None or not hmac.compare_digest(bearer[1], stream_token(number).encode()):
                return UNAUTHORIZED
            body = await reader.readexactly(length)
        stream = self.streams.get(number)
        if stream is None and number in self.lost:
            return StreamReply(403, json.dumps({"error": self.lost[number]}).encode())
        if stream is None:
            return NOT_CONNECTED
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await stream.call(action, body)
        except TimeoutError:
            return TOO_LATE
        except Exception:  # of one request; the connection stays
            log.exception("A request of a sender to instance %s failed", number)
            return FAILED


def body_length(head: bytes) -> int:
    """Returns the bytes of the body. Raises ValueError if the head does not say it, or more than once."""
    [length] = LENGTH.findall(head)
    if not (length := length.strip(b" \t")).isdigit() or len(length) > 10:
        raise ValueError("not a length")
    return int(length)


def response_bytes(reply: StreamReply) -> bytes:
    retry = f"Retry-After: {reply.retry_after}\r\n" if reply.retry_after is not None else ""
    head = (
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\nContent-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(reply.body)}\r\n{retry}Connection: close\r\n\r\n"
    )
    return head.encode() + reply.body
