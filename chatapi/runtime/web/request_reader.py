"""Reads requests from the bytes of a connection, within limits of size."""

from typing import TYPE_CHECKING, Any

import httptools

from chatapi.runtime.web import body_rules
from chatapi.runtime.web.received_request import ReceivedRequest

if TYPE_CHECKING:
    from chatapi.runtime.web.connection import Connection

# Limits of a request's head, in bytes, and of its number of headers.
MAX_TARGET = 65_536  # wire contract: whole messages in a query
MAX_HEAD = 131_072
MAX_HEADERS = 100
# Bytes received for each byte of a body: chunks of one byte take six; trailers and extensions of chunks count.
MAX_FRAMING = 8
TOO_MANY_BODIES = "The server receives too many long requests now. Try again in a minute."
UNKNOWN_METHOD = "The request's method is unknown, or the request is not HTTP/1.1."


class RequestReader:
    """Parses HTTP/1.1 by httptools, and passes complete requests, and refusals, to its connection.

    current     the request that is being received, if one has begun
    has_head    whether its head is complete
    rule        the rule for its body, then
    limit       the bytes that its body may have
    """

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.parser: Any = httptools.HttpRequestParser(self)
        self.current: ReceivedRequest | None = None
        self.rule = body_rules.PAGE
        self.limit = 0
        self.has_head = self.is_repeated_head = False
        self.received = 0  # bytes since the last complete request

    def feed(self, data: bytes) -> None:
        """Read the next bytes."""
        self.received += len(data)
        while not self.connection.is_lingering:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                if self.current is not None:
                    self.continue_after_upgrade(self.current)
                if not data:
                    break
            except httptools.HttpParserInvalidMethodError:
                self.connection.refuse(400, UNKNOWN_METHOD)
            except httptools.HttpParserError as error:
                self.connection.refuse(400, f"The request is not valid HTTP/1.1: {describe(error)}.")
        if self.current is not None and not self.connection.is_lingering:
            self.check_size(self.current)

    def check_size(self, request: ReceivedRequest) -> None:
        if not self.has_head:
            if self.received > MAX_HEAD:
                self.connection.refuse(431, f"The headers are longer than {MAX_HEAD} bytes.")
        elif self.received > MAX_HEAD + MAX_FRAMING * request.size:
            self.connection.refuse(400, "The body has too many bytes that are not content.")

    def drop(self) -> None:
        """Forget the request that is being received."""
        if self.current is not None:
            self.connection.server.release(self.current)
            self.current = None

    def continue_after_upgrade(self, request: ReceivedRequest) -> None:
        """Have the new parser expect the request's body.

        `Upgrade: h2c`, which Java's client sends, is just a header here. But the parser stops after such a head.
        """
        framing = b"Transfer-Encoding: chunked" if request.chunked else b"Content-Length: %d" % request.length
        self.is_repeated_head = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self.is_repeated_head = False

    # -- the parser's callbacks; they must not raise

    def on_message_begin(self) -> None:
        if self.is_repeated_head:
            return
        self.current = ReceivedRequest()
        self.has_head = False

    def on_url(self, target: bytes) -> None:
        if self.current is not None and not self.has_head:
            self.current.target += target

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if self.current is not None and not self.has_head:  # afterwards it is a trailer
            self.current.headers.append((name, value or b""))

    def on_headers_complete(self) -> None:
        request = self.current
        if request is None or self.connection.is_lingering or self.has_head:
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
            self.connection.refuse(431, f"A request may have {MAX_HEADERS} headers.")
            return
        if len(request.target) > MAX_TARGET:
            self.connection.refuse(
                414, f"The URL is longer than {MAX_TARGET} bytes. Send the arguments in the body."
            )
            return
        if sentence := request.fault():
            self.connection.refuse(400, sentence)
            return
        self.rule = body_rules.rule_for(request.target)
        self.limit = self.rule.max_bytes()
        self.connection.head_received(request)
        if request.length > self.limit:
            self.body_too_long(request)

    def on_body(self, data: bytes) -> None:
        request = self.current
        if request is None or self.connection.is_lingering:
            return
        if request.size + len(data) > self.limit:
            request.size += len(data)
            self.body_too_long(request)
            return
        if not self.connection.server.add_to_body(request, data):
            self.connection.refuse(503, TOO_MANY_BODIES, retry=60)

    def on_message_complete(self) -> None:
        request = self.current
        if request is None or self.connection.is_lingering:
            return
        if self.parser.should_upgrade() and (request.length or request.chunked):
            return  # continue_after_upgrade
        self.current, self.has_head, self.received = None, False, 0
        self.connection.take(request)

    def body_too_long(self, request: ReceivedRequest) -> None:
        """Refuse the request, or have it served without its body."""
        if not self.rule.omits_body:
            self.connection.refuse(413, f"The request is longer than {self.limit} bytes.")
            return
        self.connection.server.forget(request)
        request.is_omitted = True
        request.size = max(request.size, request.length)
        self.current = None
        self.connection.take_last(request)


def describe(error: Exception) -> str:
    """The parser's words, without the request's bytes."""
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.partition(":")[0][:100]
