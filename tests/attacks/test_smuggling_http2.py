"""Requests over HTTP/2 that would be two if a proxy wrote them down as HTTP/1.1 without a check.

In HTTP/2, the length of each text is known, so a header's value, a path or a method may contain line ends, and a
`content-length` or `transfer-encoding` says nothing about where the body ends. nginx, Caddy and HAProxy speak HTTP/2
with the client and HTTP/1.1 with this server.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from chatapi.runtime.web import body_rules
from tests import proxies
from tests.attacks.test_smuggling import END, MARKED, SMUGGLED, name_of
from tests.chatapi.runtime.web.serving import Running, serving

SECONDS = 30.0
Headers = list[tuple[bytes, bytes]]
AGAIN = b" HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nX: "
LENGTH = b"%d" % len(SMUGGLED)


def request(*more: tuple[bytes, bytes], body: bytes = b"", **pseudo: bytes) -> tuple[Headers, bytes]:
    """Returns the header list and the body of a POST with these headers; `pseudo` replaces pseudo-headers."""
    values = {b":method": b"POST", b":scheme": b"https", b":authority": b"localhost", b":path": b"/first"}
    values |= {b":" + name.encode(): value for name, value in pseudo.items()}
    return [*values.items(), *more], body


ATTACKS: dict[str, tuple[Headers, bytes]] = {
    # -- line ends and other separators in texts
    **{
        f"a header's value with {end!r}": request(
            (b"x-a", end.join((b"b", b"Transfer-Encoding: chunked", b"X: y"))), body=END
        )
        for end in (b"\r\n", b"\n", b"\r", b"\x00")
    },
    "a request in a header's value": request((b"x-a", b"b\r\n\r\n" + SMUGGLED)),
    "a request in a header's name": request((b"x-a: b\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\nx", b"y")),
    "a header's name with a colon": request((b"transfer-encoding: chunked\r\nx", b"y"), body=END),
    "a header's name with a space": request((b"transfer-encoding ", b"chunked"), body=END),
    "a header's name in upper case": request((b"Transfer-Encoding", b"chunked"), body=END),
    "an empty name": request((b"", b"chunked"), body=SMUGGLED),
    "a path with a space": request(path=b"/first x"),
    "a path with a version": request(path=b"/first HTTP/1.1"),
    "a request in the path": request(path=b"/first" + AGAIN + b"y"),
    "a path with a tab": request(path=b"/first\tHTTP/1.1"),
    "a path with LF": request(path=b"/first\nX: y"),
    "an empty path": request(path=b""),
    "a path without a slash": request(path=b"first"),
    "a request in the method": request(method=b"GET /first" + AGAIN + b"y\r\n\r\nGET"),
    "a method with a space": request(method=b"GET /smuggled"),
    "a request in the authority": request(authority=b"localhost\r\n\r\n" + SMUGGLED),
    "an authority with a space": request(authority=b"localhost /smuggled"),
    "a request in the scheme": request(scheme=b"https://a/first" + AGAIN + b"y\r\n\r\nGET "),
    # -- framings that HTTP/2 does not have
    "TE": request((b"transfer-encoding", b"chunked"), body=END),
    "TE and a length": request((b"transfer-encoding", b"chunked"), (b"content-length", b"5"), body=END),
    "TE with a value that is unknown": request((b"transfer-encoding", b"xchunked"), body=END),
    "a header of the connection that names the length": request((b"connection", b"content-length"), body=SMUGGLED),
    "an upgrade to h2c": request((b"connection", b"upgrade"), (b"upgrade", b"h2c"), body=SMUGGLED),
    # -- lengths that are not the body's
    "a length of 0": request((b"content-length", b"0"), body=SMUGGLED),
    "a length that is too small": request((b"content-length", b"3"), body=b"xyz" + SMUGGLED),
    "a length that is too large": request((b"content-length", b"500"), body=SMUGGLED),
    "two lengths": request((b"content-length", b"0"), (b"content-length", LENGTH), body=SMUGGLED),
    "two lengths in one": request((b"content-length", b"0, " + LENGTH), body=SMUGGLED),
    **{
        f"a length {value!r}": request((b"content-length", value), body=SMUGGLED)
        for value in (b"+" + LENGTH, b"-1", b"0x23", b"", b"3 5", b"18446744073709551651", LENGTH + b"\x00")
    },
    # -- pseudo-headers
    "two paths": ([*request()[0], (b":path", b"/smuggled")], b""),
    "a path behind the headers": ([*request()[0][:3], (b"x", b"y"), (b":path", b"/first")], b""),
    "an unknown pseudo-header": ([(b":smuggled", b"/smuggled"), *request()[0]], b""),
    "two hosts": request((b"host", b"other.example"), (b"host", b"a")),
    "a host with a request": request((b"host", b"a\r\n\r\n" + SMUGGLED)),
}  # fmt: skip


@dataclass
class Found:
    """What came: statuses and bodies of responses, and whether the stream or the connection was ended."""

    statuses: list[bytes]
    body: bytes
    is_refused: bool


class Client:
    """An HTTP/2 connection that sends any headers and bodies."""

    def __init__(self, port: int, authority: trustme.CA) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.http2 = H2Connection(
            H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.http2.initiate_connection()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def exchange(self, headers: Headers, body: bytes) -> Found:
        """Sends a request, and returns what came until its stream or the connection ended."""
        found = Found([], b"", False)
        stream = self.http2.get_next_available_stream_id()
        self.http2.send_headers(stream, headers, end_stream=not body)
        if body:
            self.http2.send_data(stream, body, end_stream=True)
        try:
            self.socket.sendall(self.http2.data_to_send())
            while block := self.socket.recv(65_536):
                for event in self.http2.receive_data(block):
                    match event:
                        case ResponseReceived():
                            found.statuses.append(dict(event.headers)[b":status"])
                        case DataReceived():
                            found.body += event.data
                            self.http2.acknowledge_received_data(
                                event.flow_controlled_length, event.stream_id
                            )
                        case StreamReset() | ConnectionTerminated():
                            found.is_refused = True
                            return found
                        case StreamEnded():
                            return found
                self.socket.sendall(self.http2.data_to_send())
        except (OSError, ProtocolError):
            pass
        found.is_refused = True
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_rules, "check", lambda rule, *_: (None, rule.max_bytes()))  # as in test_smuggling
        with serving(name_of) as running:
            yield running


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module", params=list(MARKED))
def port(
    request: pytest.FixtureRequest,
    server: Running,
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:
    """The port of a proxy in front of `server`, with TLS and HTTP/2."""
    edits = MARKED[request.param] | proxies.UNCHECKED[request.param]
    folder = tmp_path_factory.mktemp(f"{request.param}-http2")
    with proxies.tls_proxy(
        request.param, server.port, folder, authority.issue_cert("localhost"), edits
    ) as front:
        yield front.port


def test_the_server_sees_one_request_for_each_of_http_2_or_none(
    server: Running, authority: trustme.CA, port: int
) -> None:
    """Each request is refused by the proxy, or this server gets it as one: with its own path, or none of it.

    The next request, of another client over the connections that the proxy keeps to the server, gets its own response.
    """
    wrong = []
    for name, (headers, body) in ATTACKS.items():
        server.requests.clear()
        with Client(port, authority) as client:
            found = client.exchange(headers, body)
        with Client(port, authority) as client:
            after = client.exchange(request(path=b"/after", method=b"GET")[0], b"")
        seen = [(one["PATH_INFO"], one.get("HTTP_X_MARKED")) for one in server.requests]
        attacks = [path for path, _ in seen if path != "/after"]
        is_own = after.statuses == [b"200"] and after.body == b"[/after]"
        if (
            len(attacks) > 1
            or "/smuggled" in attacks
            or any(mark != "1" for _, mark in seen)
            or found.body == b"[/smuggled]"
            or not is_own
        ):
            wrong.append(f"{name}: the server saw {seen}; the client got {found}, the next one {after}")
    assert wrong == []


def test_an_ordinary_request_over_http_2_is_served(server: Running, authority: trustme.CA, port: int) -> None:
    server.requests.clear()
    with Client(port, authority) as client:
        found = client.exchange(*request((b"content-length", LENGTH), body=SMUGGLED))
    assert (found.statuses, found.body, found.is_refused) == ([b"200"], b"[/first]", False)
    [seen] = server.requests
    assert (seen["PATH_INFO"], seen["body"]) == ("/first", SMUGGLED)
