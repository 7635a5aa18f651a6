"""Which requests the web server passes on, and how; over raw sockets."""

import json
import re
import threading
import time
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from chatapi.runtime.web import body_rules, request_reader
from chatapi.runtime.web.connection import Connection
from chatapi.runtime.web.received_request import ReceivedRequest
from tests.chatapi.runtime.web.serving import receive_all, receive_until, reset, serving, wait_until

HEAD = b"Host: example.org\r\nConnection: close\r\n"


@pytest.fixture(autouse=True)
def without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies are accepted without asking the database; early_refusals has its own tests."""
    monkeypatch.setattr(body_rules, "check", lambda rule, *_: (None, rule.max_bytes()))


def get(target: bytes, *lines: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HEAD + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(framing: bytes, body: bytes) -> bytes:
    return b"POST /page/of/site HTTP/1.1\r\n" + HEAD + framing + b"\r\n\r\n" + body


def test_headers_keep_their_names_values_and_order() -> None:
    with serving() as running:
        running.ask(
            get(
                b"/a%2Fb/%C3%A4?x=%2F",
                b"X_Forwarded_For: 1.2.3.4",
                b"x-EMPTY:",
                b"X-Bytes: \xe4 \xc3\xa4",
                b"A: 1",
            )
        )
    [environ] = running.requests
    assert environ["chatapi.raw_path"] == b"/a%2Fb/%C3%A4?x=%2F"
    assert environ["chatapi.raw_headers"] == [
        (b"Host", b"example.org"),
        (b"Connection", b"close"),
        (b"X_Forwarded_For", b"1.2.3.4"),
        (b"x-EMPTY", b""),
        (b"X-Bytes", b"\xe4 \xc3\xa4"),
        (b"A", b"1"),
    ]
    assert environ["PATH_INFO"].encode("latin-1") == "/a/b/ä".encode()
    assert environ["QUERY_STRING"] == "x=%2F"
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert (environ["HTTP_X_EMPTY"], environ["HTTP_A"]) == ("", "1")


def test_a_header_sent_twice_is_joined_as_http_says() -> None:
    with serving() as running:
        running.ask(get(b"/", b"A: 1", b"a: 2", b"Cookie: x=1", b"Cookie: y=2"))
    [environ] = running.requests
    assert (environ["HTTP_A"], environ["HTTP_COOKIE"]) == ("1, 2", "x=1; y=2")


def test_bodies_are_whole_before_the_application_runs() -> None:
    with serving() as running:
        running.ask(post(b"Content-Length: 5", b"hello"))
        running.ask(
            post(b"Transfer-Encoding: chunked", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n")
        )
    first, second = running.requests
    assert (first["body"], second["body"], second["CONTENT_LENGTH"]) == (b"hello", b"hello", "5")
    assert "HTTP_X_TRAILER" not in second
    assert "HTTP_TRANSFER_ENCODING" not in second


def test_requests_that_come_together_are_answered_in_order() -> None:
    def view(environ: dict[str, Any]) -> HttpResponse:
        return HttpResponse(environ["PATH_INFO"])

    request = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(view) as running, running.connect() as client:
        client.sendall(b"".join(request % number for number in range(50)) + get(b"/last"))
        found = receive_all(client)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in found.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"/%d" % number for number in range(50)] + [b"/last"]


def test_a_response_that_ends_while_later_requests_are_read_does_not_let_the_newest_overtake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = Connection.take

    def take_and_wait(self: Connection, request: ReceivedRequest) -> None:
        take(self, request)
        if request.target == b"/2":  # /1 and /2 are in the queue
            until = time.monotonic() + 30
            while self.is_busy and time.monotonic() < until:
                time.sleep(0.001)

    monkeypatch.setattr(Connection, "take", take_and_wait)
    request = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(lambda environ: HttpResponse(environ["PATH_INFO"])) as running, running.connect() as client:
        client.sendall(b"".join(request % number for number in range(4)) + get(b"/last"))
        found = receive_all(client)
    assert re.findall(rb"\r\n\r\n(/(?:[0-9]|last))", found) == [b"/0", b"/1", b"/2", b"/3", b"/last"]


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_an_upgrade_is_ignored_and_the_body_is_read(framing: bytes) -> None:
    body = b"hello" if b"Length" in framing else b"5\r\nhello\r\n0\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + framing
    with serving() as running:
        running.ask(head + b"\r\n\r\n" + body + get(b"/next"))
    assert [request["body"] for request in running.requests] == [b"hello", b""]


def test_http_1_0_closes_and_gets_no_chunks() -> None:
    def view(environ: dict[str, Any]) -> StreamingHttpResponse:
        return StreamingHttpResponse([b"a", b"b"])

    with serving(view) as running:
        old = running.ask(b"GET / HTTP/1.0\r\n\r\n")
        new = running.ask(get(b"/"))
    assert old.endswith(b"\r\n\r\nab")
    assert new.endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


def test_a_head_request_gets_the_length_and_no_body() -> None:
    with serving() as running:
        found = running.ask(get(b"/").replace(b"GET", b"HEAD"))
    assert b"Content-Length: 2\r\n" in found
    assert found.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status", "sentence"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "The header host is missing."),
        (get(b"/", b"Host: other"), 400, "The header host was sent more than once."),
        (
            get(b"/", b"Authorization: a", b"authorization: b"),
            400,
            "The header authorization was sent more than once.",
        ),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "The request target must be a path."),
        (get(b"/").replace(b"GET", b"FROB"), 400, request_reader.UNKNOWN_METHOD),
        (post(b"Transfer-Encoding: gzip, chunked", b""), 400, "The only transfer coding is chunked."),
        (
            post(b"Transfer-Encoding: chunked", b"").replace(b"HTTP/1.1", b"HTTP/1.0"),
            400,
            "HTTP/1.0 has no transfer codings.",
        ),
        (b"GET /\r\n\r\n", 400, "The version must be HTTP/1.0 or HTTP/1.1."),
        (get(b"/").replace(b"HTTP/1.1", b"HTTP/0.9"), 400, "The version must be HTTP/1.0 or HTTP/1.1."),
        (get(b"/").replace(b"HTTP/1.1", b"HTTP/2.0"), 400, "The version must be HTTP/1.0 or HTTP/1.1."),
        (
            get(b"/" + b"a" * 70_000),
            414,
            "The URL is longer than 65536 bytes. Send the arguments in the body.",
        ),
        (get(b"/", *[b"X: 1"] * 101), 431, "A request may have 100 headers."),
        (get(b"/")[:-2] + b"X: " + b"a" * 200_000, 431, "The headers are longer than 131072 bytes."),
        (post(b"Content-Length: 80000000", b""), 413, "The request is longer than 73400320 bytes."),
    ],
)
def test_what_is_refused(request_bytes: bytes, status: int, sentence: str) -> None:
    with serving() as running:
        found = running.ask(request_bytes)
    assert found.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in found
    assert json.loads(found.partition(b"\r\n\r\n")[2]) == {"error": sentence}
    assert running.requests == []


def test_a_body_of_framing_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless extensions of chunks, or trailers, are no body."""
    start = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving() as running:
        extensions = running.ask(start + b"1;" + b"a" * 400_000)
        trailers = running.ask(start + b"1\r\na\r\n0\r\nX: " + b"a" * 400_000)
    for found in (extensions, trailers):
        assert found.startswith(b"HTTP/1.1 400 ")
    assert running.requests == []


def test_continue_is_sent_when_the_head_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"POST /page/of/site HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5"
    with serving() as running:
        with running.connect() as client:
            client.sendall(head + b"\r\n\r\n")
            receive_until(client, b"HTTP/1.1 100 Continue\r\n\r\n")
            client.sendall(b"hello")
            receive_all(client)
        refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        monkeypatch.setattr(body_rules, "check", lambda *_: (refusal, 0))
        refused = running.ask(head + b"\r\n\r\n")
    assert [request["body"] for request in running.requests] == [b"hello"]
    assert refused.startswith(b"HTTP/1.1 401 ")


def test_a_long_body_goes_to_a_file_and_arrives_whole() -> None:
    sent = bytes(range(256)) * 20_000
    with serving() as running:
        running.ask(post(b"Content-Length: %d" % len(sent), sent))
        assert (running.web.memory, running.web.disk) == (0, 0)
    assert running.requests[0]["body"] == sent


@pytest.mark.parametrize("limit", ["MAX_DISK", "MAX_DISK_PER_CLIENT"])
def test_the_sum_of_long_bodies_is_limited(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(f"chatapi.runtime.web.server.WebServer.{limit}", 3_000_000)
    half = post(b"Content-Length: 4000000", b"a" * 2_000_000)
    with serving() as running:
        with running.connect() as first:
            first.sendall(half)
            wait_until(lambda: running.web.disk >= 2_000_000)
            refused = running.ask(half)
            reset(first)
        wait_until(lambda: not running.web.connections)
        assert (running.web.disk, running.web.disk_of) == (0, {})
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 60\r\n" in refused


def test_the_check_of_the_head_may_lower_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_rules, "check", lambda *_: (None, 5))
    with serving() as running, running.connect() as client:
        client.sendall(post(b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"))
        wait_until(lambda: any(c.is_checked and not c.is_checking for c in list(running.web.connections)))
        client.sendall(b"3\r\ndef\r\n")
        found = receive_all(client)
    assert found.endswith(b'{"error": "The request is longer than 5 bytes."}')


def test_a_request_whose_client_has_left_is_not_run() -> None:
    begin, end = threading.Event(), threading.Event()

    def view(environ: dict[str, Any]) -> HttpResponse:
        begin.set()
        assert end.wait(60)
        return HttpResponse()

    with serving(view) as running:
        running.web.threads.per_owner = 1
        with running.connect() as busy:
            busy.sendall(get(b"/busy"))
            assert begin.wait(20)
            left = running.connect()
            left.sendall(get(b"/left"))
            wait_until(lambda: sum(connection.is_busy for connection in list(running.web.connections)) == 2)
            reset(left)
            wait_until(lambda: len(running.web.connections) == 1)
            end.set()
            receive_all(busy)
    assert [request["PATH_INFO"] for request in running.requests] == ["/busy"]
