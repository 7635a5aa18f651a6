"""Rows of contract.md's table "What more clients were found to need" and media links, as bytes over real sockets."""

import base64
import json
from collections.abc import Iterator

import pytest

from tests.instances.contract.raw import FORM, Response, Wire
from tests.product import Product

NAMES = [
    "sendDelay", "webhookUrl", "instanceStatuses", "webhookStatuses", "statusNotificationsOn", "ackNotificationsOn",
    "chatUpdateOn", "videoUploadOn", "proxy", "guaranteedHooks", "ignoreOldMessages", "oldMessagesPeriod",
    "processArchive", "disableDialogsArchive", "parallelHooks",
]  # fmt: skip


@pytest.fixture
def wire(product: Product) -> Iterator[Wire]:
    with Wire(product) as connection:
        yield connection


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "address",
    [
        "/instance{id}/settings/NAME?token={token}",
        "//instance{id}//settings//NAME/?token={token}",
        "//settings//NAME//?instanceId={id}&token={token}",
    ],
)
def test_settings_by_name_over_the_wire(wire: Wire, name: str, address: str) -> None:
    head = address.replace("NAME", name)
    whole = wire.ask("GET /instance{id}/settings?token={token}").json
    assert list(whole) == NAMES
    assert wire.ask(f"GET {head}").json == whole
    body = json.dumps({name: whole[name]}).encode()
    answer = wire.ask(f"POST {head}", "Content-Type: application/json", body=body)
    assert answer.body.endswith(b',"update":{},"updated":{}}')
    assert list(answer.json) == [*NAMES, "update", "updated"]
    answer = wire.ask(f"POST {head}", f"Content-Type: {FORM}", body=f"{name}=".encode())
    assert answer.json == {**whole, "update": {}, "updated": {}}


def test_acks_are_switched_on_as_five_clients_do(wire: Wire) -> None:
    head = "/instance{id}/settings/ackNotificationsOn?token={token}"
    for given, kept in ((b"0", b"false"), (b"1", b"true")):
        changed = b'{"ackNotificationsOn":' + kept + b"}"
        wire.ask(f"POST {head}", f"Content-Type: {FORM}", body=b"ackNotificationsOn=" + given)
        answer = wire.ask("GET /instance{id}/settings?token={token}")
        assert changed[1:-1] in answer.body


def test_a_pasted_number_over_the_wire(wire: Wire) -> None:
    body = '{"phone":"\u202a+1\u00a0768\u2011056\u20111234\u202c","body":"hello"}'.encode()
    answer = wire.ask(
        "POST /instance{id}/sendMessage?token={token}", "Content-Type: application/json", body=body
    )
    assert "17680561234@c.us" in answer.json["message"]
    answer = wire.ask("GET /instance{id}/sendMessage?token={token}&phone=%E2%80%AA0017680561234&body=x")
    assert "17680561234@c.us" in answer.json["message"]
    answer = wire.ask("GET /instance{id}/sendMessage?token={token}&phone=07680561234&body=x")
    assert answer.json["sent"] is False


def test_an_array_where_a_text_belongs_over_the_wire(wire: Wire) -> None:
    body = b'{"phone":17680561234,"body":["a","b"]}'
    answer = wire.ask(
        "POST /instance{id}/sendMessage?token={token}", "Content-Type: application/json", body=body
    )
    assert answer.body == b'{"sent":false,"message":"body takes a text"}'


# media links


CONTENT = bytes(range(256)) * 4
LONG = 3_000_000  # bytes; a response over 1 MB is streamed


@pytest.fixture(scope="module")
def links(product: Product) -> dict[int, str]:
    """The paths of two files that were sent, by their size."""
    with Wire(product) as connection:
        return {size: send_file(connection, size) for size in (len(CONTENT), LONG)}


def send_file(wire: Wire, size: int) -> str:
    content = (CONTENT * (size // len(CONTENT) + 1))[:size]
    uri = f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
    body = json.dumps({"phone": "17680561234", "body": uri, "filename": "clip.mp4"}).encode()
    sent = wire.ask("POST /instance{id}/sendFile?token={token}", "Content-Type: application/json", body=body)
    assert sent.json["sent"] is True
    queue = wire.ask("GET /instance{id}/showMessagesQueue?token={token}").json["first100"]
    messages = wire.ask("GET /instance{id}/messages?token={token}&last=20").json["messages"]
    found = [each["body"] for each in (*messages, *queue) if each["body"].endswith("/clip.mp4")]
    return "/media/" + str(found[-1]).partition("/media/")[2]


def read(wire: Wire, path: str, *headers: str, method: str = "GET") -> Response:
    return wire.ask(f"{method} {path}", *headers)


def test_a_range_over_the_wire(wire: Wire, links: dict[int, str]) -> None:
    for size, path in links.items():
        for asked, first, last in (
            ("0-1", 0, 1), ("100-199", 100, 199), ("-10", size - 10, size - 1), (f"{size - 5}-", size - 5, size - 1),
        ):  # fmt: skip
            answer = read(wire, path, f"Range: bytes={asked}")
            assert (answer.status, answer.headers["content-range"]) == (206, f"bytes {first}-{last}/{size}")
            assert answer.headers["content-length"] == str(last - first + 1)
            assert answer.body == bytes(place % 256 for place in range(first, last + 1))
        answer = read(wire, path, f"Range: bytes={size}-")
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{size}"
        assert read(wire, path, "Range: bytes=0-1,5-6").headers["content-length"] == str(size)


def test_the_rest_of_a_long_file_is_streamed(wire: Wire, links: dict[int, str]) -> None:
    answer = read(wire, links[LONG], "Range: bytes=1000-")
    assert (answer.status, len(answer.body)) == (206, LONG - 1000)
    assert answer.body[:3] == bytes([1000 % 256, 1001 % 256, 1002 % 256])
    assert read(wire, links[LONG]).headers["content-length"] == str(LONG)


def test_head_and_304_over_the_wire(wire: Wire, links: dict[int, str]) -> None:
    path = links[len(CONTENT)]
    head = read(wire, path, method="HEAD")
    assert (head.status, head.headers["content-length"], head.headers["accept-ranges"]) == (
        200,
        "1024",
        "bytes",
    )
    for condition in (
        f"If-None-Match: {head.headers['etag']}", f"If-Modified-Since: {head.headers['last-modified']}",
    ):  # fmt: skip
        wire.send(f"GET {path}", condition)
        assert wire.answer(to_head=True).status == 304
    answer = read(wire, path, "Range: bytes=0-1", f"If-Range: {head.headers['etag']}")
    assert (answer.status, answer.body) == (206, b"\x00\x01")
    assert read(wire, path, "Range: bytes=0-1", 'If-Range: "other"').status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /instance1/status HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n"
            + b"".join(b"X-%d: y\r\n" % each for each in range(300))
            + b"\r\n",
            431,
        ),
    ],
    ids=["no request", "no length", "a line of 70 KB", "300 headers"],
)
def test_what_the_web_server_itself_refuses_is_an_error_in_json(wire: Wire, sent: bytes, status: int) -> None:
    wire.socket.sendall(sent)
    answer = wire.answer()
    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert wire.is_closed
