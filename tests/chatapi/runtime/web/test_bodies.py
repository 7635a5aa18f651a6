"""Bodies as real clients send them, over a raw socket to the real web server."""

import io
import json
import socket

import pytest
from django.core.exceptions import TooManyFieldsSent

from chatapi.wsgi import MAX_ESCAPES, Request
from tests.product import Product


def raw(product: Product, head: str, body: bytes = b"") -> tuple[str, bytes]:
    """Sends the bytes as they are; the answer's head and body."""
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as connection:
        connection.sendall((head + "Host: x\r\nConnection: close\r\n\r\n").encode() + body)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    top, _, rest = answer.partition(b"\r\n\r\n")
    return top.decode(), rest


def chunked(*blocks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"


def instance(product: Product) -> tuple[str, str]:
    [one] = product.demo["instances"]
    return one["id"], one["token"]


def test_a_chunked_form_without_a_length_is_read(product: Product) -> None:
    number, token = instance(product)
    head, body = raw(
        product,
        f"POST /instance{number}/sendMessage?token={token} HTTP/1.1\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n",
        chunked(b"phone=17680561234&", b"body=in+two+pieces"),
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert json.loads(body)["sent"] is True


def test_an_answer_says_its_length(product: Product) -> None:
    head, body = raw(product, "GET /healthz HTTP/1.1\r\n")
    assert f"content-length: {len(body)}" in head.lower().split("\r\n")
    assert body == b'{"status": "ok"}'


def test_an_upgrade_to_h2c_is_ignored(product: Product) -> None:
    head, body = raw(
        product, "GET /healthz HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert body == b'{"status": "ok"}'


def test_doubled_slashes_reach_the_method(product: Product) -> None:
    number, token = instance(product)
    head, body = raw(product, f"GET //instance{number}//status/?token={token} HTTP/1.1\r\n")
    assert head.startswith("HTTP/1.1 200 ")
    assert json.loads(body) == {"accountStatus": "authenticated"}


def test_a_get_may_have_a_body(product: Product) -> None:
    number, token = instance(product)
    sent = b'{"phone":"17680561234","body":"by GET"}'
    head, body = raw(
        product,
        f"GET /instance{number}/sendMessage?token={token} HTTP/1.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n",
        sent,
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert json.loads(body)["sent"] is True


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("application/json; charset=utf-8", None),  # None: Django's default, which is UTF-8
        ("application/json;charset=UTF-16", None),
        ('application/json; charset="base64"; x=1', None),
        ("application/json; charset=idna", None),
        ("application/json; charset=nonsense", None),
        ("application/json; charset=", None),
        ("application/json; charset=ISO-8859-1", "ISO-8859-1"),
    ],
)
def test_a_charset_counts_only_where_a_query_can_be_read_by_it(kind: str, encoding: str | None) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": kind,
        "QUERY_STRING": "token=a%20b",
        "wsgi.input": io.BytesIO(),
    }
    request = Request(environ)
    assert (request.encoding, request.content_type, request.GET.get("token")) == (
        encoding,
        "application/json",
        "a b",
    )
    assert request.META["CONTENT_TYPE"] == kind


@pytest.mark.parametrize("charset", ["utf-16", "base64", "hex", "punycode", "undefined"])
def test_json_is_read_whatever_charset_is_said_of_it(product: Product, charset: str) -> None:
    number, token = instance(product)
    sent = b'{"phone":"17680561234","body":"in UTF-8"}'
    head, body = raw(
        product,
        f"POST /instance{number}/sendMessage?token={token} HTTP/1.1\r\n"
        f"Content-Type: application/json; charset={charset}\r\nContent-Length: {len(sent)}\r\n",
        sent,
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert json.loads(body)["sent"] is True


class Broken:
    """A connection over which a request comes by halves; `end` says how it breaks off."""

    def __init__(self, product: Product, head: str, body: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", product.port), timeout=60)
        self.socket.sendall((head + "Host: x\r\n\r\n").encode() + body)

    def end_and_read(self) -> tuple[str, bytes]:
        """Closes only its own half, to read the response that a disconnected client would get."""
        self.socket.shutdown(socket.SHUT_WR)
        answer = b""
        with self.socket:
            while block := self.socket.recv(65536):
                answer += block
        top, _, rest = answer.partition(b"\r\n\r\n")
        return top.decode(), rest


def queued(product: Product, number: str, token: str) -> int:
    """The queue number of a message that is sent now: one more for every message accepted."""
    head, body = raw(
        product, f"GET /instance{number}/sendMessage?token={token}&phone=17680561234&body=x HTTP/1.1\r\n"
    )
    assert head.startswith("HTTP/1.1 200 ")
    return int(json.loads(body)["queueNumber"])


MULTIPART = (
    b'--limit\r\nContent-Disposition: form-data; name="phone"\r\n\r\n17680561234\r\n'
    b'--limit\r\nContent-Disposition: form-data; name="body"\r\n\r\nPay 10'
)


@pytest.mark.parametrize(
    ("kind", "half"),
    [
        ("application/x-www-form-urlencoded", b"phone=17680561234&body=Pay+10"),
        ("multipart/form-data; boundary=limit", MULTIPART),
    ],
)
@pytest.mark.parametrize("frame", ["chunked", "length"])
def test_half_a_form_is_not_sent(product: Product, frame: str, kind: str, half: bytes) -> None:
    number, token = instance(product)
    before = queued(product, number, token)
    framing = "Transfer-Encoding: chunked" if frame == "chunked" else f"Content-Length: {len(half) + 20}"
    sent = b"%x\r\n%s\r\n" % (len(half), half) if frame == "chunked" else half

    broken = Broken(
        product,
        f"POST /instance{number}/sendMessage?token={token} HTTP/1.1\r\nContent-Type: {kind}\r\n{framing}\r\n",
        sent,
    )
    head, body = broken.end_and_read()

    assert head.startswith("HTTP/1.1 400 ")
    assert json.loads(body) == {"error": "The body is incomplete."}
    assert queued(product, number, token) == before + 1


def test_a_chunked_form_is_read_while_another_client_breaks_off(product: Product) -> None:
    number, token = instance(product)
    head = (
        f"POST /instance{number}/sendMessage?token={token} HTTP/1.1\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n"
    )
    Broken(product, head, b"5\r\nphone\r\n").end_and_read()

    answer, body = raw(product, head, chunked(b"phone=17680561234&", b"body=whole"))

    assert answer.startswith("HTTP/1.1 200 ")
    assert json.loads(body)["sent"] is True


@pytest.mark.parametrize(("escapes", "refused"), [(MAX_ESCAPES, False), (MAX_ESCAPES + 1, True)])
def test_the_escapes_of_a_form_are_counted(escapes: int, refused: bool) -> None:
    sent = b"a=" + b"%" * escapes
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
    }
    request = Request(environ)
    if refused:
        with pytest.raises(TooManyFieldsSent):
            request.POST  # noqa: B018
    else:
        assert len(request.POST["a"]) == escapes
