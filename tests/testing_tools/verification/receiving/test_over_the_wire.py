"""What a bin shows of a request that the real web server received, and what it says that it cannot know."""

import json
import socket
from pathlib import Path

from testing_tools.verification.reading.lost_details import EXACT_PARTS, LOST_DETAILS
from tests.faults.product_instance import shell
from tests.product import Product

NEW_BIN = """
from instances.models import Instance
from testing_tools.verification.actions.bins import open_bin
print(open_bin(Instance.objects.first()).key)
"""
NEWEST = """
import json
from testing_tools.verification.models import Capture
from testing_tools.verification.exports import har_entry, to_object
capture = Capture.objects.select_related("bin").order_by("-pk").first()
print(json.dumps(to_object(capture) | {"har": har_entry(capture)["request"]}))
"""


def sent(product: Product, key: str, target: str, lines: list[bytes], body: bytes) -> dict[str, object]:
    """Sends these bytes to the bin; returns the capture as it is exported."""
    head = b"\r\n".join(
        [f"POST /bin/{key}{target} HTTP/1.1".encode(), b"Host: example.org", *lines, b"", b""]
    )
    with socket.create_connection(("127.0.0.1", product.port), timeout=20) as connection:
        connection.sendall(head + body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    found: dict[str, object] = json.loads(shell(product.environment, NEWEST))
    return found


def test_a_request_is_shown_as_far_as_the_web_server_passes_it_on(product: Product) -> None:
    key = shell(product.environment, NEW_BIN).strip()
    capture = sent(
        product,
        key,
        "/a%2Fb/c%20d?x=%2F&y=%C3%A4&x=1",
        [
            b"X_Under: one",
            b"X-Empty:",
            "X-Umlaut: ä".encode(),
            b"Alpha: 1",
            b"Alpha: 2",
            b"Content-Type: text/plain",
            b"Content-Length: 3",
            b"Connection: close",
        ],
        b"\xff\x00a",
    )
    headers = [tuple(pair) for pair in capture["headers"]]  # type: ignore[attr-defined]
    assert sorted(headers) == [
        ("alpha", "1,2"),
        ("connection", "close"),
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("host", "example.org"),
        ("x-empty", ""),
        ("x-umlaut", ""),
        ("x-under", "one"),
    ]
    assert (capture["path"], capture["query"]) == ("/a/b/c%20d", "x=%2F&y=%C3%A4&x=1")
    assert capture["bodyBase64"] == "/wBh"
    har_headers = capture["har"]["headers"]  # type: ignore[index]
    assert {"name": "x-umlaut", "value": "", "comment": "empty, or not ASCII"} in har_headers


def test_a_chunked_request_has_no_length(product: Product) -> None:
    key = shell(product.environment, NEW_BIN).strip()
    lines = [b"Transfer-Encoding: chunked", b"Connection: close"]
    capture = sent(product, key, "", lines, b"3\r\nabc\r\n0\r\n\r\n")
    assert sorted(capture["headers"]) == [  # type: ignore[call-overload]
        ["connection", "close"],
        ["host", "example.org"],
        ["transfer-encoding", "chunked"],
    ]
    assert (capture["body"], capture["size"]) == ("abc", 3)


def test_the_documentation_says_the_same_as_the_page() -> None:
    text = " ".join(Path("docs/testing-your-bot.md").read_text().split())
    for sentence in (*LOST_DETAILS, EXACT_PARTS):
        assert sentence in text
