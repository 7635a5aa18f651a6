"""One client's connection: parses requests within limits, has Django run them in a thread, writes the responses.

All methods run in the event loop's thread, except those that say "in a thread".
"""

import asyncio
import functools
import logging
import os
import socket
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httptools

from chatapi.runtime.client_address import client_address, is_trusted, normal_address, trusted_networks
from chatapi.runtime.web import body_rules, response_head
from chatapi.runtime.web.received_request import ReceivedRequest

if TYPE_CHECKING:
    from chatapi.runtime.web.server import WebServer

log = logging.getLogger(__name__)

# -- limits of a request's head, in bytes, and of its number of headers
MAX_TARGET = 65_536  # wire contract: whole messages in a query
MAX_HEAD = 131_072
MAX_HEADERS = 100
# -- seconds
IDLE_SECONDS = 75.0  # between requests; nginx keeps its connections for 60
HEAD_SECONDS = 20.0  # from a request's first byte to the end of its head
# A body, and a response that the client reads, may take GRACE_SECONDS and a second more for every MIN_RATE bytes.
GRACE_SECONDS = 20.0
MIN_RATE = 8_192
BODY_SECONDS = 600.0  # at most, whatever its size
LINGER_SECONDS = 5.0  # for which the rest of a refused body is read, so that the client can read the refusal
LINGER_BYTES = 16 * 1024 * 1024
STREAM_BLOCK = 262_144  # bytes of a streamed response that a thread produces at a time
WITHOUT_BODY = ("1", "204", "304")  # starts of the status

INCOMPLETE_BODY = "The body is incomplete."


class Connection(asyncio.Protocol):
    """A connection is idle, receives a request, is busy with one (queued, in a thread, being written), or lingers."""

    __slots__ = (
        "address", "body_since", "can_keep", "current", "discarded", "due", "has_head", "head_bytes", "is_busy",
        "is_checked", "is_checking", "is_eof", "is_from_proxy", "is_lingering", "is_lost",
        "is_reading_paused", "is_writing_paused", "loop", "parser", "peer", "queue", "rule", "server", "sock", "stream",
        "transport", "write_since", "written",
    )  # fmt: skip

    def __init__(self, server: "WebServer") -> None:
        self.server = server
        self.loop = server.loop
        self.transport: Any = None
        self.sock: socket.socket | None = None
        self.parser: Any = httptools.HttpRequestParser(self)
        self.peer = ("", 0)
        self.address = ""
        self.current: ReceivedRequest | None = None
        self.queue: deque[ReceivedRequest] = deque()  # complete requests that were sent before a response
        self.stream: Stream | None = None
        self.rule = body_rules.PAGE
        self.has_head = self.is_checked = self.is_checking = False
        self.is_busy = self.is_lingering = self.is_lost = self.is_eof = False
        self.is_reading_paused = self.is_writing_paused = False
        self.is_from_proxy = False
        self.can_keep = True
        self.head_bytes = self.discarded = self.written = 0
        self.body_since = self.write_since = 0.0
        self.due = 0.0  # loop time at which the current state ends; 0 while busy

    # -- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        found = transport.get_extra_info("peername")
        self.peer = (str(found[0]), int(found[1])) if isinstance(found, tuple) else ("", 0)
        self.address = normal_address(self.peer[0]) or self.peer[0]
        self.is_from_proxy = normal_address(self.peer[0]) is not None and is_trusted(
            self.address, trusted_networks()
        )
        self.due = self.loop.time() + IDLE_SECONDS
        self.server.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self.sock = None
        self.server.remove(self)
        for request in (self.current, *self.queue):
            if request is not None:
                self.release(request)
        self.current = None
        self.queue.clear()
        if self.stream is not None:
            self.server.threads.submit(self.address, self.stream.close)
            self.stream = None

    def eof_received(self) -> bool:
        """The client sends no more. Returns whether it still gets a response."""
        self.is_eof, self.can_keep = True, False
        if self.is_lingering:
            return False
        if self.current is not None and not self.is_busy:
            self.refuse(400, INCOMPLETE_BODY)
            return True
        return self.is_busy

    def pause_writing(self) -> None:
        self.is_writing_paused = True

    def resume_writing(self) -> None:
        self.is_writing_paused = False
        if self.stream is not None:
            self.stream.continue_if_idle()
        elif not self.is_busy:
            self.serve_next()

    def data_received(self, data: bytes) -> None:
        if self.is_lingering:
            self.discarded += len(data)
            if self.discarded > LINGER_BYTES:
                self.transport.abort()
            return
        if not self.has_head:
            self.head_bytes += len(data)
            if self.current is None and not self.is_busy:
                self.due = self.loop.time() + HEAD_SECONDS
        self.feed(data)
        request = self.current
        if request is None or self.is_lingering:
            return
        if not self.has_head:
            if self.head_bytes > MAX_HEAD and not self.is_busy:
                self.refuse(431, f"The headers are longer than {MAX_HEAD} bytes.")
        elif not self.is_checked and not self.is_busy:
            self.check()

    def feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:  # an `Upgrade` header is just a header here
                data = data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                if not data or self.is_lingering:
                    return
            except httptools.HttpParserInvalidMethodError:
                self.refuse(400, "The request's method is unknown, or the request is not HTTP/1.1.")
                return
            except httptools.HttpParserError as error:
                self.refuse(400, f"The request is not valid HTTP/1.1: {describe(error)}.")
                return

    # -- the parser's callbacks; they must not raise

    def on_message_begin(self) -> None:
        self.current = ReceivedRequest()
        self.has_head = self.is_checked = False

    def on_url(self, target: bytes) -> None:
        if self.current is not None:
            self.current.target += target

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if self.current is not None and not self.has_head:  # afterwards it is a trailer
            self.current.headers.append((name, value or b""))

    def on_headers_complete(self) -> None:
        request = self.current
        if request is None or self.is_lingering:
            return
        self.has_head = True
        request.method = self.parser.get_method().decode("ascii")
        request.version = self.parser.get_http_version()
        request.keep_alive = self.parser.should_keep_alive()
        for name, value in request.headers:
            lower = name.lower()
            if lower == b"content-length":
                request.length = int(value[:19])  # the parser has checked that these are digits
            elif lower == b"transfer-encoding":
                request.chunked = True
            elif lower == b"expect":
                request.is_expecting_continue = value.lower() == b"100-continue"
        if len(request.headers) > MAX_HEADERS:
            self.refuse(431, f"A request may have {MAX_HEADERS} headers.")
            return
        if len(request.target) > MAX_TARGET:
            self.refuse(414, f"The URL is longer than {MAX_TARGET} bytes. Send the arguments in the body.")
            return
        if sentence := request.fault():
            self.refuse(400, sentence)
            return
        self.rule = body_rules.rule_for(request.target)
        self.body_since = self.loop.time()
        self.due = self.body_since + BODY_SECONDS
        if request.length > self.rule.max_bytes():
            self.body_too_long(request)

    def on_body(self, data: bytes) -> None:
        request = self.current
        if request is None or self.is_lingering:
            return
        server = self.server
        if request.size + len(data) > self.rule.max_bytes():
            request.size += len(data)
            self.body_too_long(request)
            return
        server.memory -= request.counted_memory
        server.disk -= request.counted_disk
        request.add(data, to_disk=server.memory > server.MAX_MEMORY)
        server.memory += request.counted_memory
        server.disk += request.counted_disk
        if server.disk > server.MAX_DISK:
            self.refuse(
                503, "The server receives too many long requests now. Try again in a minute.", retry=60
            )

    def on_message_complete(self) -> None:
        request = self.current
        if request is None or self.is_lingering:
            return
        self.current, self.has_head, self.head_bytes = None, False, 0
        if self.is_busy or self.is_checking or self.is_writing_paused:
            self.queue.append(request)
            self.pause_reading()
            self.serve_next()  # a thread may have ended the earlier request in the meantime
        else:
            self.serve(request)

    # -- receiving

    def body_too_long(self, request: ReceivedRequest) -> None:
        limit = self.rule.max_bytes()
        if not self.rule.omits_body:
            self.refuse(413, f"The request is longer than {limit} bytes.")
            return
        self.forget(request)
        request.is_omitted = True
        request.size = max(request.size, request.length)
        request.keep_alive = self.can_keep = False
        self.current = None
        self.is_lingering = True  # the rest of the body is discarded
        self.serve(request)

    def check(self) -> None:
        """Ask, without the body, whether the request is refused anyway; the head is complete and the body is not."""
        self.is_checked = True
        request = self.current
        assert request is not None
        self.is_checking = True
        self.pause_reading()
        self.locate(request)
        self.server.threads.submit(self.address, functools.partial(self.run_check, request))

    def run_check(self, request: ReceivedRequest) -> None:
        """In a thread."""
        refusal = None
        if not self.is_lost:
            try:
                refusal = body_rules.check(self.rule, request, self.environ(request))
            except Exception:
                log.exception("A request could not be checked before its body was read")
        self.loop.call_soon_threadsafe(self.checked, request, refusal)

    def checked(self, request: ReceivedRequest, refusal: bytes | None) -> None:
        self.is_checking = False
        if self.is_lost or self.is_lingering:
            return
        if refusal is not None:
            self.end_with(refusal)
            return
        self.accept_body(request)
        self.resume_reading()
        self.serve_next()

    def accept_body(self, request: ReceivedRequest) -> None:
        if request.is_expecting_continue and request.size == 0:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.body_since = self.loop.time()

    def refuse(self, status: int, sentence: str, retry: int = 0) -> None:
        """Send an error in place of the application's response, and end the connection."""
        more = (("Retry-After", str(retry)),) if retry else ()
        self.end_with(response_head.refusal(status, sentence, *more))

    def end_with(self, response: bytes) -> None:
        if self.is_lost or self.is_lingering:
            return
        if self.current is not None:
            self.release(self.current)
            self.current = None
        self.can_keep = False
        self.is_lingering = True
        if (
            self.is_busy or self.queue
        ):  # the responses to earlier requests come first; this one is not awaited
            return
        self.transport.write(response)
        self.linger()

    def linger(self) -> None:
        """Close when the client has closed, or soon: a closed socket with unread bytes resets the connection."""
        self.due = self.loop.time() + LINGER_SECONDS
        self.resume_reading()
        if self.is_eof:
            self.transport.close()
        else:
            self.transport.write_eof()

    def pause_reading(self) -> None:
        if not self.is_reading_paused and not self.is_lost:
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_reading_paused and not self.is_lost:
            self.is_reading_paused = False
            self.transport.resume_reading()

    def forget(self, request: ReceivedRequest) -> None:
        """Take the body out of the server's sums."""
        self.server.memory -= request.counted_memory
        self.server.disk -= request.counted_disk
        request.is_counted = False

    def release(self, request: ReceivedRequest) -> None:
        self.forget(request)
        request.discard_body()

    # -- serving

    def locate(self, request: ReceivedRequest) -> None:
        """Set `address`, whose turn the request takes."""
        if self.is_from_proxy:
            values = [
                v.decode("latin-1") for name, v in request.headers if name.lower() == b"x-forwarded-for"
            ]
            self.address = client_address(self.peer[0], values, trusted_networks())

    def serve(self, request: ReceivedRequest) -> None:
        self.is_busy = True
        self.due = 0.0
        if self.sock is None:
            self.sock = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        self.locate(request)
        self.server.threads_for(request).submit(self.address, functools.partial(self.run, request))

    def serve_next(self) -> None:
        """Serve the next request that was sent before the last response, or wait for one."""
        if self.is_busy or self.is_checking or self.is_writing_paused:
            return
        if self.queue:
            self.serve(self.queue.popleft())
            return
        if self.is_lingering or not self.can_keep:
            self.linger()
            return
        self.resume_reading()
        if self.current is None:
            self.due = self.loop.time() + IDLE_SECONDS

    def environ(self, request: ReceivedRequest) -> dict[str, Any]:
        return request.environ(self.peer, self.server.address, multiprocess=self.server.is_multiprocess)

    def run(self, request: ReceivedRequest) -> None:
        """In a thread: let the application respond."""
        if self.is_lost:
            request.discard_body()
            return
        environ = self.environ(request)
        environ["wsgi.input"] = request.open_body()
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            response = self.server.application(environ, lambda *given: begun.append((given[0], given[1])))
            status, headers = begun[0]
            keep = request.keep_alive and self.can_keep and not self.server.is_stopping
            bare = request.method == "HEAD" or status.startswith(WITHOUT_BODY)
            if response.streaming and not bare:
                chunked = request.version == "1.1" and not response.has_header("Content-Length")
                keep = keep and (chunked or request.version == "1.1")
                top = response_head.head(status, headers, close=not keep, length=None, chunked=chunked)
                stream = Stream(self, response, top, chunked=chunked, keep=keep)
                self.loop.call_soon_threadsafe(self.start_stream, request, stream)
                return
            body = b"" if response.streaming else response.content
            delay = getattr(response, "send_after", 0.0)
            response.close()
            length = None if status.startswith(WITHOUT_BODY) or (response.streaming and bare) else len(body)
            data = response_head.head(status, headers, close=not keep, length=length, chunked=False)
            if not bare:
                data += body
            if keep and not delay and self.send_now(request, data):
                return
            self.loop.call_soon_threadsafe(self.respond, request, data, keep, delay)
        except Exception:
            log.exception("The web server could not respond")
            self.loop.call_soon_threadsafe(
                self.respond, request, response_head.refusal(500, "Internal error."), False
            )

    def send_now(self, request: ReceivedRequest, data: bytes) -> bool:
        """In a thread: send the response without waking the event loop; returns whether it was sent.

        A duplicate of the socket is used: the transport may close its own meanwhile, and the kernel would give its
        number to another client.
        """
        if len(data) > 65_536 or request.is_counted:
            return False
        sock = self.sock
        if sock is None or self.is_lost or self.transport.get_write_buffer_size():
            return False
        try:
            sent = sock.send(data)
        except OSError:
            return False
        if sent < len(data):
            self.loop.call_soon_threadsafe(self.respond, request, data[sent:], True)
            return True
        self.due = self.loop.time() + IDLE_SECONDS
        self.is_busy = False
        if (
            self.queue or not self.can_keep or self.is_reading_paused
        ):  # set meanwhile by the loop, which waits for us
            self.loop.call_soon_threadsafe(self.serve_next)
        return True

    def respond(self, request: ReceivedRequest, data: bytes, keep: bool, delay: float = 0.0) -> None:
        if delay and not self.is_lost and not self.server.is_stopping:
            self.release(request)
            self.loop.call_later(delay, self.respond, ReceivedRequest(), data, keep)
            return
        self.release(request)
        if self.is_lost:
            return
        self.is_busy = False
        self.write(data)
        self.can_keep = self.can_keep and keep
        self.serve_next()

    def write(self, data: bytes) -> None:
        if not self.transport.get_write_buffer_size():
            self.write_since, self.written = self.loop.time(), 0
        self.written += len(data)
        self.transport.write(data)

    def start_stream(self, request: ReceivedRequest, stream: "Stream") -> None:
        self.release(request)
        if self.is_lost:
            self.server.threads.submit(self.address, stream.close)
            return
        self.stream = stream
        self.write(stream.head)
        stream.continue_if_idle()

    def end_stream(self, keep: bool) -> None:
        self.stream = None
        self.is_busy = False
        self.can_keep = self.can_keep and keep
        self.serve_next()

    # -- deadlines

    def sweep(self, now: float) -> None:
        """Called every second: end what is over its time."""
        left = self.transport.get_write_buffer_size()
        if left:
            if now - self.write_since > GRACE_SECONDS + (self.written - left) / MIN_RATE:
                self.transport.abort()  # the client does not read its response
            return
        if not self.due or self.is_checking:
            return
        if self.has_head and self.current is not None and not self.is_lingering:
            if now > min(self.due, self.body_since + GRACE_SECONDS + self.current.size / MIN_RATE):
                self.refuse(408, "The body was sent too slowly.")
        elif now > self.due:
            if self.is_lingering or self.current is None:
                self.transport.close() if not self.is_lingering else self.transport.abort()
            else:
                self.refuse(408, "The request was sent too slowly.")

    def stop(self) -> None:
        """End the connection as soon as nothing is left to respond to."""
        self.can_keep = False
        if not self.is_busy and not self.is_checking and not self.queue and self.current is None:
            self.transport.close()


class Stream:
    """A streamed response. A thread produces blocks while the client reads them; no thread waits for the client."""

    def __init__(
        self, connection: Connection, response: Any, head: bytes, *, chunked: bool, keep: bool
    ) -> None:
        self.connection = connection
        self.response = response
        self.head = head
        self.chunked = chunked
        self.keep = keep
        self.blocks: Iterator[bytes] = iter(response)
        self.is_running = False

    def continue_if_idle(self) -> None:
        if not self.is_running and not self.connection.is_writing_paused:
            self.is_running = True
            self.connection.server.threads.submit(self.connection.address, self.produce)

    def produce(self) -> None:
        """In a thread: the next blocks."""
        parts: list[bytes] = []
        size, is_last, failed = 0, False, False
        try:
            while size < STREAM_BLOCK:
                block = next(self.blocks, None)
                if block is None:
                    is_last = True
                    break
                if block:
                    parts.append(b"%x\r\n%b\r\n" % (len(block), block) if self.chunked else block)
                    size += len(block)
        except Exception:
            failed = True
            log.exception("A streamed response failed")
        if is_last and self.chunked:
            parts.append(b"0\r\n\r\n")
        if is_last or failed:
            self.close()
        self.connection.loop.call_soon_threadsafe(self.produced, b"".join(parts), is_last, failed)

    def produced(self, data: bytes, is_last: bool, failed: bool) -> None:
        self.is_running = False
        connection = self.connection
        if connection.is_lost:
            if not (is_last or failed):
                connection.server.threads.submit(connection.address, self.close)
            return
        connection.write(data)
        if failed:
            connection.transport.abort()  # the client must not take it for complete
        elif is_last:
            connection.end_stream(self.keep)
        else:
            self.continue_if_idle()

    def close(self) -> None:
        """In a thread. May be called twice."""
        try:
            self.response.close()
        except Exception:
            log.exception("A streamed response could not be closed")


def describe(error: Exception) -> str:
    """The parser's words, without the request's bytes."""
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.partition(":")[0][:100]
