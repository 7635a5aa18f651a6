"""One client's connection: has Django run its requests in threads, writes the responses, and enforces deadlines.

All methods run in the event loop's thread, except those that say "in a thread".
"""

import asyncio
import functools
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatapi.runtime.client_address import client_address, is_trusted, normal_address, trusted_networks
from chatapi.runtime.web import body_rules, response_head
from chatapi.runtime.web.received_request import ReceivedRequest
from chatapi.runtime.web.request_reader import RequestReader
from chatapi.runtime.web.streamed_response import StreamedResponse

if TYPE_CHECKING:
    from chatapi.runtime.web.server import WebServer

log = logging.getLogger(__name__)

# -- seconds
IDLE_SECONDS = 75.0  # between requests; nginx keeps its connections for 60
HEAD_SECONDS = 20.0  # from a request's first byte to the end of its head
# A body, and a response that the client reads, may take GRACE_SECONDS and a second more for every MIN_RATE bytes.
GRACE_SECONDS = 20.0
MIN_RATE = 8_192
BODY_SECONDS = 600.0  # at most, whatever its size
LINGER_SECONDS = 5.0  # for which the rest of a refused body is read, so that the client can read the refusal
LINGER_BYTES = 16 * 1024 * 1024
WITHOUT_BODY = ("1", "204", "304")  # starts of the status

INCOMPLETE_BODY = "The body is incomplete."


class Connection(asyncio.Protocol):
    """A connection is idle, receives a request, is busy with one (queued, in a thread, being written), or lingers."""

    def __init__(self, server: "WebServer") -> None:
        self.server = server
        self.loop = server.loop
        self.transport: Any = None
        self.sock: socket.socket | None = None
        self.reader = RequestReader(self)
        self.peer = ("", 0)
        self.address = ""
        self.queue: deque[ReceivedRequest] = deque()  # complete requests that were sent before a response
        self.stream: StreamedResponse | None = None
        self.is_checked = self.is_checking = False
        self.is_busy = self.is_lingering = self.is_lost = self.is_eof = False
        self.is_reading_paused = self.is_writing_paused = False
        self.is_from_proxy = False
        self.can_keep = True
        self.discarded = self.written = 0
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
        self.reader.drop()
        for request in self.queue:
            self.server.release(request)
        self.queue.clear()
        if self.stream is not None:
            self.server.threads.submit(self.address, self.stream.close)
            self.stream = None

    def eof_received(self) -> bool:
        """The client sends no more. Returns whether it still gets a response."""
        self.is_eof, self.can_keep = True, False
        if self.is_lingering:
            return False
        if self.reader.current is not None and not self.is_busy:
            self.refuse(400, INCOMPLETE_BODY if self.reader.has_head else "The request is incomplete.")
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
        if self.reader.current is None and not self.is_busy:
            self.due = self.loop.time() + HEAD_SECONDS
        self.reader.feed(data)
        is_partial = self.reader.current is not None and self.reader.has_head
        if is_partial and not (self.is_checked or self.is_busy or self.is_lingering):
            self.check()

    # -- receiving

    def head_received(self, request: ReceivedRequest) -> None:
        self.is_checked = False
        self.locate(request)
        self.body_since = self.loop.time()
        if not self.is_busy:
            self.due = self.body_since + BODY_SECONDS

    def take(self, request: ReceivedRequest) -> None:
        """Serve a complete request, after those that came before it."""
        # A thread may end an earlier request at any time, also while others are in the queue.
        if self.queue or self.is_busy or self.is_checking or self.is_writing_paused:
            self.queue.append(request)
            self.pause_reading()
            self.serve_next()
        else:
            self.serve(request)

    def take_last(self, request: ReceivedRequest) -> None:
        """The same; the rest of what the client sends is discarded."""
        request.keep_alive = self.can_keep = False
        self.is_lingering = True
        self.take(request)

    def check(self) -> None:
        """Ask, without the body, whether the request is refused anyway; the head is complete and the body is not."""
        self.is_checked = True
        request = self.reader.current
        assert request is not None
        self.is_checking = True
        self.pause_reading()
        self.server.threads.submit(request.owner, functools.partial(self.run_check, request))

    def run_check(self, request: ReceivedRequest) -> None:
        """In a thread."""
        refusal, limit = None, self.reader.limit
        if not self.is_lost:
            try:
                refusal, limit = body_rules.check(self.reader.rule, request, self.environ(request))
            except Exception:
                log.exception("A request could not be checked before its body was read")
        self.call_in_loop(self.checked, request, refusal, limit)

    def checked(self, request: ReceivedRequest, refusal: bytes | None, limit: int) -> None:
        self.is_checking = False
        if self.is_lost or self.is_lingering:
            return
        if refusal is not None:
            self.end_with(refusal)
            return
        self.reader.limit = limit
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
        self.reader.drop()
        self.can_keep = False
        self.is_lingering = True
        if self.is_busy or self.queue:
            return  # the responses to earlier requests come first, and then the end
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

    # -- serving

    def locate(self, request: ReceivedRequest) -> None:
        """Set `address` and the request's owner, the client's."""
        if self.is_from_proxy:
            forwarded = [value for name, value in request.headers if name.lower() == b"x-forwarded-for"]
            values = [value.decode("latin-1") for value in forwarded]
            self.address = client_address(self.peer[0], values, trusted_networks())
        request.owner = self.address

    def serve(self, request: ReceivedRequest) -> None:
        self.is_busy = True
        self.due = 0.0
        request.served_at = self.loop.time()
        if self.sock is None:
            self.sock = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        self.server.threads_for(request).submit(request.owner, functools.partial(self.run, request))

    def serve_next(self) -> None:
        """Serve the next request that was sent before the last response, or wait for one."""
        if self.is_busy or self.is_checking or self.is_writing_paused:
            return
        if self.queue:
            self.serve(self.queue.popleft())
            return
        if not self.can_keep:
            if self.is_lingering or self.is_reading_paused:
                self.linger()
            else:
                self.transport.close()
            return
        self.resume_reading()
        if self.reader.current is None:
            self.due = self.loop.time() + IDLE_SECONDS

    def environ(self, request: ReceivedRequest) -> dict[str, Any]:
        return request.environ(self.peer, self.server.address, multiprocess=self.server.is_multiprocess)

    def call_in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """In a thread: call the function in the event loop. A server that has ended has nothing left to do."""
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self.loop.is_closed():
                raise

    def run(self, request: ReceivedRequest) -> None:
        """In a thread: let the application respond."""
        if self.is_lost:
            request.discard_body()
            return
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            environ = self.environ(request)
            environ["wsgi.input"] = request.open_body()
            environ["chatapi.waited"] = request.waited
            response = self.server.application(environ, lambda *given: begun.append((given[0], given[1])))
            status, headers = begun[0]
            keep = (
                request.keep_alive
                and request.version == "1.1"
                and self.can_keep
                and not self.server.is_stopping
            )
            bare = request.method == "HEAD" or status.startswith(WITHOUT_BODY)
            if response.streaming and not bare:
                chunked = request.version == "1.1" and not response.has_header("Content-Length")
                top = response_head.head(status, headers, close=not keep, length=None, chunked=chunked)
                stream = StreamedResponse(self, response, top, chunked=chunked, keep=keep)
                self.call_in_loop(self.start_stream, request, stream)
                return
            body = b"" if response.streaming else response.content
            delay = getattr(response, "send_after", 0.0)
            response.close()
            length = None if status.startswith(WITHOUT_BODY) or (response.streaming and bare) else len(body)
            data = response_head.head(status, headers, close=not keep, length=length, chunked=False)
            if not bare:
                data += body
            repeat = getattr(response, "repeat", None)
            if repeat is not None and not request.size:
                self.call_in_loop(self.wait, request, repeat, data, keep)
                return
            if keep and not delay and self.send_now(request, data):
                return
            self.call_in_loop(self.respond, request, data, keep, delay)
        except Exception:
            log.exception("The web server could not respond")
            self.call_in_loop(self.respond, request, response_head.refusal(500, "Internal error."), False)

    def wait(self, request: ReceivedRequest, repeat: Any, data: bytes, keep: bool) -> None:
        """Serve the request again later (instances/limits/waiting_calls.py), or send its response if too many wait.

        A client that sends no more may have gone, which would show only when a response is sent: it waits no longer.
        """
        is_gone = self.is_lost or self.is_eof
        if is_gone or self.server.is_stopping or not self.server.waiting.acquire(repeat.owner):
            self.respond(request, data, keep)
        else:
            again = functools.partial(self.serve_again, request, repeat.owner, self.loop.time())
            if repeat.key:
                self.server.wakeups.add(repeat.key, request.served_at, repeat.after, again)
            else:
                self.loop.call_later(repeat.after, again)

    def serve_again(self, request: ReceivedRequest, owner: Any, since: float) -> None:
        self.server.waiting.release(owner)
        request.waited += self.loop.time() - since
        self.serve(request)

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
            self.call_in_loop(self.respond, request, data[sent:], True)
            return True
        self.due = self.loop.time() + IDLE_SECONDS
        self.is_busy = False
        # The loop may have set these meanwhile, and waits for the end of this response.
        if self.queue or not self.can_keep or self.is_reading_paused:
            self.call_in_loop(self.serve_next)
        return True

    def respond(self, request: ReceivedRequest, data: bytes, keep: bool, delay: float = 0.0) -> None:
        if delay and not self.is_lost and not self.server.is_stopping:
            self.server.release(request)
            self.loop.call_later(delay, self.respond, ReceivedRequest(), data, keep)
            return
        self.server.release(request)
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

    def start_stream(self, request: ReceivedRequest, stream: StreamedResponse) -> None:
        self.server.release(request)
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
        if not self.due or self.is_busy or self.is_checking:
            return
        if self.reader.has_head and self.reader.current is not None and not self.is_lingering:
            if now > min(self.due, self.body_since + GRACE_SECONDS + self.reader.current.size / MIN_RATE):
                self.refuse(408, "The body was sent too slowly.")
        elif now > self.due:
            if self.is_lingering:
                self.transport.abort()
            elif self.reader.current is None:
                self.transport.close()
            else:
                self.refuse(408, "The request was sent too slowly.")

    def close_if_idle(self) -> None:
        """End the connection if nothing is left to respond to. One that lingers ends itself, after LINGER_SECONDS."""
        is_at_work = self.is_busy or self.is_checking or self.is_lingering
        if not is_at_work and not self.queue and self.reader.current is None:
            self.transport.close()
