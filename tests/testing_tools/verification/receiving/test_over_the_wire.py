"""What a bin shows of requests that the real web server received, byte for byte."""

import json
import select
import socket
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from tests.product import Product
from tests.product_shell import shell

NEW_BIN = """
from accounts.models import Account
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
from instances.actions.lifecycle import create_instance
print(open_bin(create_instance(Account.objects.order_by("id").first(), name="wire")).key)
"""
CAPTURES = """
import json
from testing_tools.verification.models import Capture
from testing_tools.verification.exports import to_object
captures = Capture.objects.filter(bin__key={key!r}).order_by("number")
print(json.dumps([to_object(capture) for capture in captures]))
"""
DELAY = """
from testing_tools.verification.actions.bins import set_response
from testing_tools.verification.models import Bin
from testing_tools.verification.responses import ConfiguredResponse
set_response(Bin.objects.get(key={key!r}), response=ConfiguredResponse(delay={seconds}), acting_user=None)
"""
CLOSE = b"Connection: close"
MIB = 1024 * 1024


@pytest.fixture
def key(product: Product) -> str:
    return shell(product.environment, NEW_BIN).strip()


def exchange(product: Product, request: bytes) -> bytes:
    """Sends these bytes; returns all that the server sends until it closes."""
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as connection:
        connection.sendall(request)
        response = b""
        while part := connection.recv(65536):
            response += part
    return response


def post(target: bytes, *lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", b"Host: example.org", *lines, CLOSE, b"", body])


def captures(product: Product, key: str) -> list[dict[str, Any]]:
    """Returns the captures of the bin, as they are exported, oldest first."""
    found: list[dict[str, Any]] = json.loads(shell(product.environment, CAPTURES.format(key=key)))
    return found


def test_headers_are_shown_with_their_order_case_and_values(product: Product, key: str) -> None:
    lines = [
        b"X_Under: one",
        b"x-under: two",
        b"X-Empty:",
        "X-Umlaut: ä→".encode(),
        b"X-Latin: caf\xe9",
        b"ALPHA: 1",
        b"beta: 2",
        b"Alpha: 1, 3",
        b"X_Forwarded_For: 192.0.2.1",
        b"X-Forwarded-For: 192.0.2.2",
        b"Content-Type: text/plain",
        b"Content-Length: 3",
    ]
    request = post(b"/bin/" + key.encode(), *lines, body=b"\xff\x00a")
    assert exchange(product, request).startswith(b"HTTP/1.1 200")
    [capture] = captures(product, key)
    assert capture["headers"] == [
        ["Host", "example.org"],
        ["X_Under", "one"],
        ["x-under", "two"],
        ["X-Empty", ""],
        ["X-Umlaut", "ä→"],
        ["X-Latin", "café"],
        ["ALPHA", "1"],
        ["beta", "2"],
        ["Alpha", "1, 3"],
        ["X_Forwarded_For", "192.0.2.1"],
        ["X-Forwarded-For", "192.0.2.2"],
        ["Content-Type", "text/plain"],
        ["Content-Length", "3"],
        ["Connection", "close"],
    ]
    assert (capture["bodyBase64"], capture["size"]) == ("/wBh", 3)


def test_path_and_query_keep_their_escapes(product: Product, key: str) -> None:
    bin = b"/bin/" + key.encode()
    sent = [
        (bin, ("", "")),
        (bin + b"/", ("/", "")),
        (bin + b"/a%2Fb/%41%c3%A4/../c%20d?x=%2F&y=%c3%a4&x=1", ("/a%2Fb/%41%c3%A4/../c%20d", "x=%2F&y=%c3%a4&x=1")),
        (b"http://example.org" + bin + b"/%61?a=?", ("/%61", "a=?")),
        (b"/%62in%2f" + key.encode() + b"%2Fx", ("%2Fx", "")),
        (bin + b"//?", ("//", "")),
        (bin + b"/a#b?c#d", ("/a#b", "c#d")),
        (bin + b"/" + b"%41" * 20_000, ("/" + "%41" * 20_000, "")),
    ]  # fmt: skip
    for target, _ in sent:
        response = exchange(product, post(target, b"Content-Length: 0"))
        assert response.startswith(b"HTTP/1.1 200"), target
    assert [(one["path"], one["query"]) for one in captures(product, key)] == [shown for _, shown in sent]


def test_a_chunked_request_has_no_length(product: Product, key: str) -> None:
    request = post(
        b"/bin/" + key.encode(), b"Transfer-encoding: Chunked", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert exchange(product, request).startswith(b"HTTP/1.1 200")
    [capture] = captures(product, key)
    assert capture["headers"] == [
        ["Host", "example.org"],
        ["Transfer-encoding", "Chunked"],
        ["Connection", "close"],
    ]
    assert (capture["body"], capture["size"]) == ("abcde", 5)


def test_the_version_is_recorded_and_an_upgrade_is_a_header(product: Product, key: str) -> None:
    target = b"/bin/" + key.encode()
    old = b"POST " + target + b" HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi"
    upgrade = post(target, b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 2", body=b"hi")
    for request in (old, upgrade):
        assert b" 200 OK\r\n" in exchange(product, request)
    found = captures(product, key)
    assert [(one["httpVersion"], one["body"]) for one in found] == [("1.0", "hi"), ("1.1", "hi")]
    assert found[0]["headers"] == [["Content-Length", "2"]]
    assert ["Upgrade", "websocket"] in found[1]["headers"]


def test_a_long_body_is_recorded_with_its_size_only(product: Product, key: str) -> None:
    target = b"/bin/" + key.encode()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    too_long = [
        post(target, b"Content-Length: 5000000", body=b"x" * 5_000_000),
        post(target, b"Content-Length: 9000000000", body=b"x" * 10),  # the rest is not awaited
        post(target, b"Transfer-Encoding: chunked", body=chunk * 17 + b"0\r\n\r\n"),
    ]
    for request in too_long:
        assert exchange(product, request).startswith(b"HTTP/1.1 413")
    found = captures(product, key)
    assert [(one["answer"], one["tooLarge"], one["body"]) for one in found] == [(413, True, "")] * 3
    assert [one["size"] for one in found[:2]] == [5_000_000, 9_000_000_000]
    assert found[2]["size"] > MIB
    assert ["Content-Length", "9000000000"] in found[1]["headers"]


def test_own_cookies_are_left_out_and_others_stay_as_sent(product: Product, key: str) -> None:
    target = b"/bin/" + key.encode()
    request = post(
        target,
        b"Cookie: sessionid=s1;a=1;  b = 2; csrftoken=c1 ;c",
        b"COOKIE: x=1;y=2",
        b"cookie: messages=m; sessionid=s2",
        b"Cookie:",
    )
    assert exchange(product, request).startswith(b"HTTP/1.1 200")
    [capture] = captures(product, key)
    shown = [(name, value) for name, value in capture["headers"] if name.lower() == "cookie"]
    assert shown == [("Cookie", "a=1;  b = 2;c"), ("COOKIE", "x=1;y=2"), ("Cookie", "")]


def test_requests_that_are_not_valid_http_are_refused_and_not_recorded(product: Product, key: str) -> None:
    target = b"/bin/" + key.encode()
    for request in (
        post(target).replace(b"POST", b"FROB", 1),
        post(target + "/ä".encode()),
        post(target, b"Bad Name: 1"),
        post(target, b"Host: second.example"),
        post(target, b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(target, b"Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"),
    ):
        assert exchange(product, request).startswith(b"HTTP/1.1 400"), request
    assert exchange(product, post(target).replace(b"POST", b"PROPFIND", 1)).startswith(b"HTTP/1.1 200")
    assert [one["method"] for one in captures(product, key)] == ["PROPFIND"]


def test_delayed_responses_take_no_thread(product: Product, key: str) -> None:
    shell(product.environment, DELAY.format(key=key, seconds=30))  # the longest delay that a bin may have
    request = post(b"/bin/" + key.encode(), b"Content-Length: 0")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", product.port), timeout=120))
            for _ in range(50)  # the web server has 40 threads
        ]
        for client in clients:
            client.sendall(request)
        for path in ("/healthz", "/accounts/login/", "/bin/aaaaaaaa"):
            status = requests.get(product.url + path, timeout=60).status_code
            assert status == (404 if path.startswith("/bin") else 200), path
        responded, _, _ = select.select(clients, [], [], 0)
        assert responded == []  # all 50 still wait
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert [one["answerNote"] for one in captures(product, key)] == ["after 30 s"] * 50
