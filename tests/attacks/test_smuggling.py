"""Requests that two parsers could read as a different number of requests, over raw sockets.

A proxy and this server that disagree would let one client put a request in front of another client's. So whatever is
ambiguous gets 400, and the connection closes. Behind nginx, Caddy and HAProxy, the server sees only requests
that the proxy knows of, each of which the proxy has marked.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse

from chatapi.runtime.web import body_rules
from tests import proxies
from tests.chatapi.runtime.web.serving import Running, serving

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n" + SMUGGLED
SECONDS = 60.0  # for the server to close a connection, on a busy machine


def post(headers: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    return b"POST /first HTTP/%b\r\nHost: a\r\n%b\r\n%b" % (version, headers, body)


def get(head: bytes) -> bytes:
    """A request of these raw lines, and another one behind it."""
    return head + b"\r\n\r\n" + SMUGGLED


def both(framing: bytes) -> bytes:
    """A framing that some parsers read as chunked, and others as the length beside it."""
    return post(framing + LENGTH, END)


AMBIGUOUS: dict[str, bytes] = {
    # -- two framings
    "CL.TE": post(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\nG"),
    "CL.TE, the length includes another request": post(b"Content-Length: %d\r\n" % len(END) + CHUNKED, END),
    "TE.CL": post(CHUNKED + b"Content-Length: 4\r\n", b"22\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"),
    "TE.CL 0": post(CHUNKED + b"Content-Length: 0\r\n", END),
    "TE twice": post(CHUNKED * 2, END),
    "TE chunked and identity": post(CHUNKED + b"Transfer-Encoding: identity\r\n", END),
    "TE identity and chunked": post(b"Transfer-Encoding: identity\r\n" + CHUNKED, END),
    "TE chunked and cow": post(CHUNKED + b"Transfer-Encoding: cow\r\n", END),
    "TE chunked in HTTP/1.0": post(CHUNKED, END, b"1.0"),
    # -- values of Transfer-Encoding
    **{
        f"TE: {value!r}": both(b"Transfer-Encoding: " + value + b"\r\n")
        for value in (
            b"xchunked", b"chunked, identity", b"identity, chunked", b"gzip, chunked", b"chunked, chunked",
            b"chunked;q=1",
            b"\"chunked\"", b"'chunked'", b"chunked\x00", b"\x0bchunked", b"chunked\x0b", b"chunked\x0c",
            b"chunk", b"chunkedd",
            b"chunked,", b",chunked", b"x chunked", b"chunked x", b"", b"identity", b"chunked\xa0",
            b"CHUNKED", b"chunked",
            b"\tchunked", b"  chunked  ",
        )
    },
    **{
        f"TE alone: {value!r}": post(b"Transfer-Encoding: " + value + b"\r\n", END)
        for value in (
            b"xchunked", b"chunked, identity", b"identity", b"gzip, chunked", b"chunked\x0b", b"",
            b"chunked\xa0",
        )
    },
    # -- names and lines of Transfer-Encoding
    "TE with a space before the colon": both(b"Transfer-Encoding : chunked\r\n"),
    "TE with a tab before the colon": both(b"Transfer-Encoding\t: chunked\r\n"),
    "TE with a space in front": both(b"X: y\r\n Transfer-Encoding: chunked\r\n"),
    "TE with a tab in front": both(b"X: y\r\n\tTransfer-Encoding: chunked\r\n"),
    "TE folded": both(b"Transfer-Encoding:\r\n chunked\r\n"),
    "TE folded twice": both(b"Transfer-Encoding:\r\n \r\n chunked\r\n"),
    "TE behind a bare LF": both(b"X: y\nTransfer-Encoding: chunked\r\n"),
    "TE behind a bare CR": both(b"X: y\rTransfer-Encoding: chunked\r\n"),
    "TE behind a NUL": both(b"X: y\x00\r\nTransfer-Encoding: chunked\r\n"),
    "TE with a NUL in the name": both(b"Transfer-Encoding\x00: chunked\r\n"),
    "TE with an 8-bit name": both(b"Transfer-Enc\xf6ding: chunked\r\n"),
    "TE ended by LF": both(b"Transfer-Encoding: chunked\n"),
    "TE in the first header, with a space": (
        b"POST /first HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n" + LENGTH + b"\r\n" + END
    ),
    # -- Content-Length
    "CL twice": post(b"Content-Length: 0\r\n" + LENGTH, SMUGGLED),
    "CL twice the same": post(LENGTH * 2, SMUGGLED),
    **{
        f"CL: {value!r}": post(b"Content-Length: " + value + b"\r\n", SMUGGLED)
        for value in (
            b"+35", b"-1", b"0x23", b"35, 35", b"35,0", b"3 5", b"35;", b"35.0", b"1e1", b"", b" ",
            b"\"35\"", b"35\x00",
            b"35\x0b", b"\xd9\xa3\xd9\xa5", b"99999999999999999999999999", b"18446744073709551616",
            b"9223372036854775808",
            b"_35", b"3_5", b"NaN",
        )
    },
    "CL with a space before the colon": post(b"Content-Length : 35\r\n", SMUGGLED),
    "CL folded": post(b"Content-Length:\r\n 35\r\n", SMUGGLED),
    "CL behind a bare CR": post(b"X: y\rContent-Length: 35\r\n", SMUGGLED),
    # -- chunks
    **{
        f"chunk size {size!r}": post(CHUNKED, size + b"\r\nhello\r\n" + END)
        for size in (
            b"-5", b"+5", b"0x5", b"5 5", b" 5", b"_5", b"", b"g", b"5\x00", b"5\x0b", b"FFFFFFFFFFFFFFFFF",
            b"10000000000000005",
            b"5,", b"\xef\xbc\x95", b"5.0",
        )
    },
    "a chunk longer than its size": post(CHUNKED, b"3\r\nhello\r\n" + END),
    "a chunk without its end": post(CHUNKED, b"5\r\nhello" + END),
    "a chunk ended by LF": post(CHUNKED, b"5\r\nhello\n" + END),
    "a size ended by LF": post(CHUNKED, b"5\nhello\r\n" + END),
    "a size ended by CR": post(CHUNKED, b"5\rhello\r\n" + END),
    "an extension with LF": post(CHUNKED, b"5;a\nb\r\nhello\r\n" + END),
    "an extension with CR": post(CHUNKED, b"5;a\rb\r\nhello\r\n" + END),
    "an extension with NUL": post(CHUNKED, b"5;a=\x00\r\nhello\r\n" + END),
    "the last chunk ended by LF": post(CHUNKED, b"0\n\n" + SMUGGLED),
    "the trailers ended by LF": post(CHUNKED, b"0\r\n\n" + SMUGGLED),
    "a trailer with a length": post(CHUNKED, b"0\r\nContent-Length: 35\r\n\r\n" + SMUGGLED),
    "a trailer with a bare LF": post(CHUNKED, b"0\r\nX: y\nZ: z\r\n\r\n" + SMUGGLED),
    "a trailer with a space before the colon": post(CHUNKED, b"0\r\nX : y\r\n\r\n" + SMUGGLED),
    # -- lines
    "all lines ended by LF": b"GET /first HTTP/1.1\nHost: a\n\n" + SMUGGLED,
    "all lines ended by CR": b"GET /first HTTP/1.1\rHost: a\r\r" + SMUGGLED,
    "the head ended by LF": b"GET /first HTTP/1.1\r\nHost: a\r\n\n" + SMUGGLED,
    "the request line ended by LF": get(b"GET /first HTTP/1.1\nHost: a"),
    "a header ended by CRCRLF": get(b"GET /first HTTP/1.1\r\nHost: a\r\r\nX: y"),
    "a header without a colon": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX"),
    "a header without a name": get(b"GET /first HTTP/1.1\r\nHost: a\r\n: x"),
    "a name with a space": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX Y: x"),
    "a name with a slash": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX/Y: x"),
    "a name with a bracket": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX(: x"),
    "a folded header": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX: a\r\n b"),
    "a value with NUL": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX: a\x00b"),
    "a value with CR": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX: a\rb"),
    "a value with a control character": get(b"GET /first HTTP/1.1\r\nHost: a\r\nX: a\x01b"),
    # -- the host
    "no host": get(b"GET /first HTTP/1.1\r\nX: y"),
    "two hosts": get(b"GET /first HTTP/1.1\r\nHost: a\r\nHost: b"),
    "two hosts, one with a space": get(b"GET /first HTTP/1.1\r\nHost: a\r\nHost : b"),
    # -- the request line
    "a tab": get(b"GET\t/first\tHTTP/1.1\r\nHost: a"),
    "a space in the target": get(b"GET /fir st HTTP/1.1\r\nHost: a"),
    "a NUL in the target": get(b"GET /fir\x00st HTTP/1.1\r\nHost: a"),
    "a CR in the target": get(b"GET /fir\rst HTTP/1.1\r\nHost: a"),
    "no version": get(b"GET /first\r\nHost: a"),
    "HTTP/0.9": get(b"GET /first HTTP/0.9\r\nHost: a"),
    "HTTP/2.0": get(b"GET /first HTTP/2.0\r\nHost: a"),
    "HTTP/1.2": get(b"GET /first HTTP/1.2\r\nHost: a"),
    "HTTP/1.10": get(b"GET /first HTTP/1.10\r\nHost: a"),
    "HTTP/01.1": get(b"GET /first HTTP/01.1\r\nHost: a"),
    "http/1.1": get(b"GET /first http/1.1\r\nHost: a"),
    "more behind the version": get(b"GET /first HTTP/1.1 x\r\nHost: a"),
    "a space in front": get(b" GET /first HTTP/1.1\r\nHost: a"),
    "a header in front": get(b"X: y\r\nGET /first HTTP/1.1\r\nHost: a"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "a method in lower case": get(b"get /first HTTP/1.1\r\nHost: a"),
    "an unknown method": get(b"GETX /first HTTP/1.1\r\nHost: a"),
    "CONNECT": get(b"CONNECT a:80 HTTP/1.1\r\nHost: a"),
    "a target without a slash": get(b"GET first HTTP/1.1\r\nHost: a"),
    "a target of another scheme": get(b"GET ftp://a/first HTTP/1.1\r\nHost: a"),
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40) + SMUGGLED,
}  # fmt: skip


def exchange(port: int, data: bytes) -> tuple[bytes, bool]:
    """Sends the bytes. Returns all that came, and whether the server closed the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        found = b""
        try:
            client.sendall(data)
            while block := client.recv(65_536):
                found += block
        except TimeoutError:
            return found, False
        except OSError:
            pass
        return found, True


def statuses(received: bytes) -> list[int]:
    """The status of each response. The bodies of these tests contain no status line."""
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def name_of(environ: dict[str, Any]) -> HttpResponse:
    return HttpResponse(f"[{environ['PATH_INFO']}]")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        # These paths belong to no view: a request whose body is on its way would get 404 for its head.
        patch.setattr(body_rules, "check", lambda rule, *_: (None, rule.max_bytes()))
        with serving(name_of) as running:
            yield running


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_gets_400_and_the_connection_closes(server: Running, name: str) -> None:
    server.requests.clear()
    received, is_closed = exchange(server.port, AMBIGUOUS[name])
    assert [found["PATH_INFO"] for found in server.requests] == []
    assert statuses(received) in ([400], [413])  # 413: a length of 20 digits is a number, and too large
    assert is_closed


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_request_behind_an_ordinary_one_is_not_read_differently(server: Running, name: str) -> None:
    """Behind a request that was served, on the same connection, and in pieces of a few bytes."""
    server.requests.clear()
    data = b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n" + AMBIGUOUS[name]
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        try:
            for start in range(0, len(data), 7):
                client.sendall(data[start : start + 7])
            while block := client.recv(65_536):
                received += block
        except ConnectionError:
            pass
    assert [found["PATH_INFO"] for found in server.requests] == ["/before"]
    assert set(statuses(received)) <= {200, 400, 413}


CLOSE = b"Connection: close\r\n"
XX = b"2\r\nxx\r\n0\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n"
# Unusual and clear: the paths that are served, and the body of the first request.
CLEAR: dict[str, tuple[bytes, list[str], bytes]] = {
    "pipelined": (
        post(b"Content-Length: 2\r\n", b"xx") + SMUGGLED + LAST,
        ["/first", "/smuggled", "/last"],
        b"xx",
    ),
    "a request in a body by length": (post(LENGTH, SMUGGLED) + LAST, ["/first", "/last"], SMUGGLED),
    "a request in a chunk": (
        post(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)) + LAST,
        ["/first", "/last"],
        SMUGGLED,
    ),
    "a body of GET": (
        b"GET /first HTTP/1.1\r\nHost: a\r\n" + LENGTH + b"\r\n" + SMUGGLED + LAST, ["/first", "/last"], SMUGGLED
    ),
    "TE in upper case": (post(b"TRANSFER-ENCODING: CHUNKED\r\n", XX) + LAST, ["/first", "/last"], b"xx"),
    "sizes with zeros": (post(CHUNKED, b"0002\r\nxx\r\n000\r\n\r\n") + LAST, ["/first", "/last"], b"xx"),
    "an extension": (post(CHUNKED, b'2;a="b";c\r\nxx\r\n0;d\r\n\r\n') + LAST, ["/first", "/last"], b"xx"),
    "trailers": (
        post(CHUNKED, b"2\r\nxx\r\n0\r\nHost: evil\r\nX-Trailer: 1\r\n\r\n") + LAST,
        ["/first", "/last"],
        b"xx",
    ),
    "TE with _": (post(b"Transfer_Encoding: chunked\r\n" + LENGTH, SMUGGLED) + LAST, ["/first", "/last"], SMUGGLED),
    "CL with _": (post(b"Content_Length: 0\r\n" + LENGTH, SMUGGLED) + LAST, ["/first", "/last"], SMUGGLED),
    "an upgrade to h2c": (
        post(H2C + LENGTH, SMUGGLED) + LAST,
        ["/first", "/last"],
        SMUGGLED,
    ),
    "an upgrade to a websocket": (
        b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + LAST,
        ["/first", "/last"],
        b"",
    ),
    "two spaces": (b"GET  /first HTTP/1.1\r\nHost: a\r\n\r\n" + LAST, ["/first", "/last"], b""),
    "an absolute target": (
        b"GET http://b.example/first?x=1 HTTP/1.1\r\nHost: a\r\n\r\n" + LAST, ["/first", "/last"], b""
    ),
    "an empty line in front": (b"\r\nGET /first HTTP/1.1\r\nHost: a\r\n\r\n" + LAST, ["/first", "/last"], b""),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAR)
@pytest.mark.parametrize("size", [100_000, 1])
def test_an_unusual_request_is_read_as_the_standard_says(server: Running, name: str, size: int) -> None:
    """In one piece, and byte by byte."""
    server.requests.clear()
    data, paths, body = CLEAR[name]
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        received = b""
        while block := client.recv(65_536):
            received += block
    assert [found["PATH_INFO"] for found in server.requests] == paths
    assert server.requests[0]["body"] == body
    assert [path in received for path in (b"[%b]" % path.encode() for path in paths)] == [True] * len(paths)
    assert "HTTP_X_TRAILER" not in server.requests[0]
    assert server.requests[0]["HTTP_HOST"] == ("b.example" if "absolute" in name else "a")


def test_a_name_with_an_underscore_is_no_other_header(server: Running) -> None:
    """`X_Forwarded_For` would be the variable of `X-Forwarded-For`, which the proxy sets."""
    server.requests.clear()
    names = (
        b"X_Forwarded_For",
        b"X-Forwarded_For",
        b"X_FORWARDED_PROTO",
        b"Content_Length",
        b"Cookie_",
        b"Host_",
        b"_Host",
    )
    exchange(
        server.port,
        b"GET /first HTTP/1.1\r\nHost: a\r\n"
        + CLOSE
        + b"".join(name + b": 9\r\n" for name in names)
        + b"\r\n",
    )
    [seen] = server.requests
    assert {key for key in seen if "FORWARDED" in key or "COOKIE" in key or key.endswith("_")} == set()
    assert seen["HTTP_HOST"] == "a"
    assert [name for name, _ in seen["chatapi.raw_headers"]][2:] == list(names)


# -- behind a proxy, which keeps its connections to the server


# Each request that a proxy makes has this mark.
MARKED = {
    "nginx": {"proxy_pass http://chatapi;": "proxy_pass http://chatapi; proxy_set_header X-Marked 1;"},
    "caddy": {"transport http {": "header_up X-Marked 1\ntransport http {"},
    "haproxy": {
        "option http-buffer-request": "http-request set-header X-Marked 1\n    option http-buffer-request"
    },
}


@pytest.fixture(scope="module", params=list(MARKED))
def proxy(
    request: pytest.FixtureRequest, server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a proxy in front of `server`."""
    folder = tmp_path_factory.mktemp(request.param)
    edits = MARKED[request.param] | proxies.UNCHECKED[request.param]
    with proxies.proxy(request.param, server.port, folder, edits) as port:
        yield port


PAIRS = list((AMBIGUOUS | {name: data for name, (data, _, _) in CLEAR.items()}).items())


def numbered(data: bytes, number: int) -> bytes:
    """The same request with paths of its own, of the same length."""
    own = data.replace(b"/first", b"/f%04d" % number).replace(b"/smuggled", b"/smugg%03d" % number)
    return own.replace(b"/last", b"/l%03d" % number)


def read_until_quiet(clients: dict[socket.socket, int], received: dict[int, bytes]) -> None:
    """Reads until all connections are closed, or nothing has come for two seconds."""
    while clients:
        ready, _, _ = select.select(list(clients), [], [], 2)
        if not ready:
            return
        for client in ready:
            try:
                block = client.recv(65_536)
            except OSError:
                block = b""
            received[clients[client]] += block
            if not block:
                client.close()
                del clients[client]


def paths_of(server: Running) -> list[str]:
    return [found["PATH_INFO"] for found in server.requests]


def compare(served: list[str], received: dict[int, bytes]) -> list[str]:
    """Returns which client has responses of another one, or fewer than the server has served."""
    wrong = []
    for number, (name, _) in enumerate(PAIRS):
        responses = re.findall(rb"\[/[^]]*\]", received[number])
        own = (b"[/f%04d]" % number, b"[/smugg%03d]" % number, b"[/l%03d]" % number)
        seen = sum(served.count(path[1:-1].decode()) for path in own)
        if set(responses) - set(own) or len(responses) < seen:
            wrong.append(f"{name}: {seen} requests, and the responses {responses}")
    return wrong


def test_the_server_sees_only_requests_of_the_proxy(server: Running, proxy: int) -> None:
    """All of them at once, over the few connections that the proxy keeps to the server.

    Each request that the server sees has the proxy's mark, and each client gets the responses to its own requests: as
    many as the server saw, none of another client's. Those who come afterwards get their own, too.
    """
    server.requests.clear()
    clients: dict[socket.socket, int] = {}
    received = dict.fromkeys(range(len(PAIRS)), b"")
    for number, (_, data) in enumerate(PAIRS):
        client = socket.create_connection(("127.0.0.1", proxy), timeout=SECONDS)
        client.sendall(numbered(data, number))
        clients[client] = number
    read_until_quiet(clients, received)
    exchange(proxy, b"GET /probe HTTP/1.1\r\nHost: a\r\n" + CLOSE + b"\r\n")  # behind all of them
    until = time.monotonic() + SECONDS
    while compare(paths_of(server), received) and time.monotonic() < until:
        read_until_quiet(clients, received)  # a busy machine was quiet before all had come
        time.sleep(0.1)
    for client in clients:
        client.close()
    for number in range(20):
        after = b"GET /after%02d HTTP/1.1\r\nHost: a\r\n" % number + CLOSE + b"\r\n"
        found, _ = exchange(proxy, after)
        assert b"[/after%02d]" % number in found, found

    assert [found["PATH_INFO"] for found in server.requests if found.get("HTTP_X_MARKED") != "1"] == []
    assert compare(paths_of(server), received) == []


def test_the_address_that_the_proxy_writes_cannot_be_replaced(server: Running, proxy: int) -> None:
    server.requests.clear()
    exchange(
        proxy,
        b"GET /first HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 9.9.9.9\r\nX-Forwarded_For: 9.9.9.9\r\n"
        b"X-Forwarded-For: 9.9.9.9\r\n" + CLOSE + b"\r\n",
    )
    [seen] = server.requests
    assert seen["HTTP_X_FORWARDED_FOR"].rpartition(",")[2].strip() == "127.0.0.1"
