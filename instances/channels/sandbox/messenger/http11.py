"""The smallest HTTP/1.1 server that the sandbox messenger needs: kept connections, and replies that come late or never.

It reads bodies with a Content-Length. Requests of one connection are answered one after the other, also pipelined ones.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 128 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: send RST instead of FIN
PHRASES = {status.value: status.phrase for status in HTTPStatus}
NOT_HTTP = b"\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n"


@dataclass(slots=True)
class Received:
    """A complete request; the names of its headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Reply:
    """What the server does with a request, `delay` seconds after it was read. `when_done` is called once at its end."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hangs: bool = False  # nothing, until the client closes the connection
    resets: bool = False  # a reset (RST)
    is_garbage: bool = False  # bytes that are not HTTP, and the end of the connection
    when_done: Callable[[], None] | None = None

    def to_bytes(self) -> bytes:
        """Returns the response; one with 204 or 304 has no body."""
        body = b"" if self.status in (204, 304) else self.body
        length = f"Content-Length: {len(body)}\r\n" if self.status != 204 else ""
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        phrase = PHRASES.get(self.status, "Unknown")
        return (
            f"HTTP/1.1 {self.status} {phrase}\r\nContent-Type: application/json\r\n{length}{more}\r\n"
        ).encode() + body


class BadRequest(Exception):
    """The bytes are not a request that this server reads; the text names the fault."""


class Connection(asyncio.Protocol):
    """One connection; `respond` returns the reply to a request, without waiting."""

    def __init__(self, respond: Callable[[Received], Reply]) -> None:
        self.respond = respond
        self.buffer = bytearray()
        self.head: Received | None = None  # a request whose body is not complete
        self.missing = 0  # length of that body
        self.reply: Reply | None = None  # not sent yet
        self.timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.serve()

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()
        self.end_reply()

    def serve(self) -> None:
        """Start the reply to the next complete request, unless an earlier one is not sent yet."""
        while self.reply is None and not self.transport.is_closing():
            try:
                request = self.next_request()
            except BadRequest as fault:
                self.transport.write(Reply(400, f'{{"error": "{fault}"}}'.encode()).to_bytes())
                self.transport.close()
                return
            if request is None:
                return
            self.reply = self.respond(request)
            if self.reply.delay:
                self.timer = asyncio.get_running_loop().call_later(self.reply.delay, self.send_later)
            else:
                self.send()

    def send_later(self) -> None:
        self.send()
        self.serve()

    def send(self) -> None:
        """Send the reply, or do what it orders instead."""
        reply = self.reply
        if reply is None or reply.hangs:
            return
        if reply.resets:
            opened: socket.socket = self.transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.transport.abort()
        elif reply.is_garbage:
            self.transport.write(NOT_HTTP)
            self.transport.close()
        else:
            self.transport.write(reply.to_bytes())
        self.end_reply()

    def end_reply(self) -> None:
        if self.reply is not None:
            if self.reply.when_done:
                self.reply.when_done()
            self.reply = None

    def next_request(self) -> Received | None:
        """Returns the next request if all of it has arrived, and removes it from the buffer. Raises BadRequest."""
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > MAX_HEAD_BYTES:
                    raise BadRequest("the headers are too long")
                return None
            self.head = parse_head(bytes(self.buffer[:end]))
            self.missing = content_length(self.head)
            del self.buffer[: end + 4]
            if self.missing > len(self.buffer) and "expect" in self.head.headers:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self.buffer) < self.missing:
            return None
        request, self.head = self.head, None
        request.body = bytes(self.buffer[: self.missing])
        del self.buffer[: self.missing]
        return request


def parse_head(head: bytes) -> Received:
    """Returns the request without its body. Raises BadRequest."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest("the request line is not HTTP/1.1")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest("a header has no colon")
        headers[name.lower()] = value.strip()
    return Received(parts[0], parts[1], headers)


def content_length(request: Received) -> int:
    """Returns the length of the body. Raises BadRequest."""
    if "transfer-encoding" in request.headers:
        raise BadRequest("a body needs a Content-Length")
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
        raise BadRequest("the Content-Length is not valid")
    return int(length)
