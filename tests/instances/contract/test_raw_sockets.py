"""The habits of §1, sent byte by byte over sockets to the real web server: the table "What real clients send"."""

import ipaddress
import json
from collections.abc import Iterator

import pytest

from tests.instances.contract.raw import FORM, Response, Wire, chunked
from tests.product import Product

SEND = "/instance{id}/sendMessage?token={token}"
HELLO = b'{"phone":17680561234,"body":"hello"}'
STATUSES = ("authenticated", "got qr code")
SENT = "17680561234@c.us"
MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="phone"\r\n\r\n17680561234\r\n'
    b'--x\r\nContent-Disposition: form-data; name="body"\r\n\r\nhello\r\n--x--\r\n'
)


@pytest.fixture
def wire(product: Product) -> Iterator[Wire]:
    with Wire(product) as connection:
        yield connection


def was_sent(answer: Response) -> bool:
    """The reply of a send, whether or not the demo's instance is linked at the moment."""
    assert answer.status == 200
    said = answer.json
    assert list(said) == ["sent", "message", "id", "queueNumber"]
    return said["sent"] is True and SENT in said["message"]


@pytest.mark.parametrize(
    "address",
    [
        "/instance{id}/status?token={token}",
        "/instance{id}/status/?token={token}",
        "//instance{id}//status/?token={token}",
        "///instance{id}///status///?token={token}",
        "/status?instanceId={id}&token={token}",
        "/status/?instanceId={id}&token={token}",
        "//status//?TOKEN={token}&INSTANCEID={id}",
        "http://anywhere.example/instance{id}/status?token={token}",  # as a proxy's client writes it
    ],
)
def test_all_forms_of_an_address(wire: Wire, address: str) -> None:
    answer = wire.ask(f"GET {address}")
    assert (answer.status, answer.json["accountStatus"] in STATUSES) == (200, True)


@pytest.mark.parametrize("address", ["//instance{id}//settings", "/settings/", "/instance{id}/settings/"])
def test_a_post_is_never_redirected(wire: Wire, address: str) -> None:
    answer = wire.ask(
        f"POST {address}?instanceId={{id}}&token={{token}}", "Content-Type: application/json", body=b"{}"
    )
    assert (answer.status, list(answer.json)[:2]) == (200, ["sendDelay", "webhookUrl"])
    assert "location" not in answer.headers


def test_the_token_in_a_header(wire: Wire) -> None:
    token = wire.instance["token"]
    assert wire.ask("GET /instance{id}/me", f"Authorization: Bearer {token}").status == 200
    assert wire.ask("GET /me?instanceId={id}", f"authorization: bearer {token}").status == 200


def test_get_for_everything_with_arguments_in_the_query(wire: Wire) -> None:
    assert was_sent(wire.ask(f"GET {SEND}&phone=17680561234&body=hello"))


def test_get_with_a_json_body(wire: Wire) -> None:
    assert was_sent(wire.ask(f"GET {SEND}", "Content-Type: application/json", body=HELLO))


def test_get_that_says_json_and_has_no_body(wire: Wire) -> None:
    assert wire.ask("GET /instance{id}/status?token={token}", "Content-Type: application/json").status == 200


def test_post_with_arguments_in_the_query_alone(wire: Wire) -> None:
    assert was_sent(wire.ask(f"POST {SEND}&phone=17680561234&body=hello", "Content-Length: 0"))
    assert was_sent(wire.ask(f"POST {SEND}&phone=17680561234&body=hello"))  # not even a length


@pytest.mark.parametrize("kind", ["Content-Type: application/json", f"Content-Type: {FORM}", "X-No-Type: 1"])
def test_post_settings_with_an_empty_body_means_read(wire: Wire, kind: str) -> None:
    answer = wire.ask("POST /instance{id}/settings?token={token}", kind, "Content-Length: 0")
    assert (answer.status, "update" in answer.json) == (200, False)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"phone=17680561234&body=hello"),
        ("application/json", HELLO),
        ("application/json; charset=utf-8", HELLO),
        (FORM, HELLO),  # curl -d
        (
            "multipart/form-data; boundary=x",
            MULTIPART,
        ),
    ],
)
@pytest.mark.parametrize("frame", ["length", "chunked", "chunked by bytes"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_every_kind_of_body_by_either_verb_in_either_frame(
    wire: Wire, verb: str, frame: str, kind: str, body: bytes
) -> None:
    if frame == "length":
        answer = wire.ask(f"{verb} {SEND}", f"Content-Type: {kind}", body=body)
    else:
        blocks = [body] if frame == "chunked" else [bytes([one]) for one in body]
        answer = wire.ask(
            f"{verb} {SEND}", f"Content-Type: {kind}", "Transfer-Encoding: chunked", body=chunked(*blocks)
        )
    assert was_sent(answer)


def test_a_chunked_body_of_nothing(wire: Wire) -> None:
    answer = wire.ask(
        "POST /instance{id}/settings?token={token}", "Transfer-Encoding: chunked", body=chunked()
    )
    assert (answer.status, "update" in answer.json) == (200, False)


@pytest.mark.parametrize("key", ["chatId", "chatID", "chatid", "CHATID"])
def test_keys_in_any_case(wire: Wire, key: str) -> None:
    body = json.dumps({key: SENT, "BODY": "hello"}).encode()
    assert was_sent(wire.ask(f"POST {SEND}", "Content-Type: application/json", body=body))


@pytest.mark.parametrize(
    "phone", ['"17680561234@c.us"', '"+17680561234"', "17680561234", '"17680561234"', "1.7680561234e10"]
)
def test_phones_in_every_spelling(wire: Wire, phone: str) -> None:
    body = f'{{"phone":{phone},"body":"hello"}}'.encode()
    assert was_sent(wire.ask(f"POST {SEND}", "Content-Type: application/json", body=body))


@pytest.mark.parametrize("value", ["true", '"true"', "1", '"1"'])
def test_booleans_in_every_spelling(wire: Wire, value: str) -> None:
    for sent, kept in ((value, True), ("0", False), ('"0"', False), ("false", False)):
        answer = wire.ask(
            "POST /instance{id}/settings?token={token}",
            "Content-Type: application/json",
            body=f'{{"processArchive":{sent}}}'.encode(),
        )
        assert answer.json["processArchive"] is kept


@pytest.mark.parametrize("phones", [b'"17680561234,19990001122"', b'["17680561234",19990001122]'])
def test_phones_as_a_list(wire: Wire, phones: bytes) -> None:
    body = b'{"phone":17680561234,"body":"hello","mentionedPhones":' + phones + b"}"
    assert was_sent(wire.ask(f"POST {SEND}", "Content-Type: application/json", body=body))


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_an_upgrade_to_h2c_is_ignored(wire: Wire, verb: str) -> None:
    answer = wire.ask(
        f"{verb} {SEND}",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Content-Type: application/json",
        body=HELLO,
    )
    assert was_sent(answer)
    assert wire.ask("GET /instance{id}/status?token={token}").status == 200


def test_expect_100_continue(wire: Wire) -> None:
    """curl waits for it before it sends a body over 1 MB."""
    wire.send(
        f"POST {SEND}",
        "Content-Type: application/json",
        f"Content-Length: {len(HELLO)}",
        "Expect: 100-continue",
    )
    wire.socket.sendall(HELLO)
    answer = wire.answer()
    assert answer.interim in ([], ["HTTP/1.1 100 Continue"])
    assert was_sent(answer)


def test_expect_100_continue_of_a_client_that_waits(wire: Wire) -> None:
    wire.send(
        f"POST {SEND}",
        "Content-Type: application/json",
        f"Content-Length: {len(HELLO)}",
        "Expect: 100-continue",
    )
    assert wire.read.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert wire.read.readline() == b"\r\n"
    wire.socket.sendall(HELLO)
    assert was_sent(wire.answer())


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/instance{id}/status?token={token}", 200),
        ("/instance{id}/status?token=wrong", 401),
        ("/instance{id}/status", 401),
        ("/instance99999/status?token=x", 404),
        ("/instance{id}/nosuch?token={token}", 404),
    ],
)
def test_head_is_get_without_its_body(wire: Wire, address: str, status: int) -> None:
    answer = wire.ask(f"HEAD {address}")
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers["content-type"] == "application/json"
    assert wire.ask(f"GET {address}").status == status  # by the same connection: nothing was left on it


def test_options_answers_a_preflight_of_any_origin(wire: Wire) -> None:
    answer = wire.ask(
        "OPTIONS /instance{id}/sendMessage",
        "Origin: https://example.com",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    )
    assert (answer.status, answer.json) == (200, {})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "content-type"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /instance{id}/sendMessage?token=wrong", 401),
        ("POST /instance99999/sendMessage?token=wrong", 404),
        ("POST /instance{id}/nosuch?token={token}", 404),
        ("PUT /instance{id}/sendMessage?token={token}", 405),
        ("POST /nowhere/at/all", 400),  # pages know their host names, and x is none of them
        ("POST /newInstance?uid=wrong", 401),
    ],
)
def test_the_connection_stays_open_after_a_refusal(wire: Wire, head: str, status: int) -> None:
    for _ in range(2):
        answer = wire.ask(head, "Content-Type: application/json", body=HELLO)
        assert (answer.status, list(answer.json)) == (status, ["error"])
    assert wire.ask("GET /instance{id}/status?token={token}").status == 200


def test_a_body_that_is_not_json(wire: Wire) -> None:
    answer = wire.ask(f"POST {SEND}", "Content-Type: application/json", body=b'{"a": oops}')
    assert (answer.status, answer.json) == (
        400,
        {"error": "The body is not JSON: Expecting value: line 1 column 7 (char 6)"},
    )
    assert wire.ask("GET /instance{id}/status?token={token}").status == 200


def test_a_body_that_is_too_long(wire: Wire) -> None:
    wire.send(f"POST {SEND}", "Content-Type: application/json", "Content-Length: 99999999999")
    answer = wire.answer()
    assert (answer.status, list(answer.json)) == (413, ["error"])


def test_a_host_that_is_nobodys(wire: Wire) -> None:
    wire.socket.sendall(
        wire.fill_in("GET /instance{id}/status?token={token} HTTP/1.1\r\nHost: \r\n\r\n").encode()
    )
    assert wire.answer().json["accountStatus"] in STATUSES


def test_http_1_0_without_a_host(wire: Wire) -> None:
    wire.socket.sendall(wire.fill_in("GET /instance{id}/status?token={token} HTTP/1.0\r\n\r\n").encode())
    assert wire.answer().json["accountStatus"] in STATUSES
    assert wire.is_closed


def test_two_requests_in_one_packet(wire: Wire) -> None:
    request = wire.fill_in("GET /instance{id}/status?token={token} HTTP/1.1\r\nHost: x\r\n\r\n").encode()
    wire.socket.sendall(request * 2)
    assert [wire.answer().status, wire.answer().status] == [200, 200]


def test_a_query_that_is_not_utf_8(wire: Wire) -> None:
    answer = wire.ask(f"GET {SEND}&phone=17680561234&body=%ff%fe%00")
    assert was_sent(answer)


def test_output_ip_is_an_address_of_this_machine(wire: Wire) -> None:
    answer = wire.ask("GET /instance{id}/outputIP?token={token}")
    assert list(answer.json) == ["address"]
    ipaddress.ip_address(answer.json["address"])


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_the_accounts_key_by_either_verb(wire: Wire, verb: str) -> None:
    answer = wire.ask(f"{verb} //listInstances/?uid={{uid}}")
    assert answer.json["result"][0]["id"] == wire.instance["id"]


def test_neither_token_nor_key_is_in_the_log(wire: Wire, product: Product) -> None:
    wire.ask("GET /instance{id}/nosuch?token={token}")
    wire.ask("GET /newInstance?uid={uid}&type=pigeon")
    wire.ask("GET /instance{id}/status?token=" + "wrong-token-in-full")
    written = "\n".join(product.lines)
    for secret in (wire.instance["token"], wire.uid, "wrong-token-in-full"):
        assert secret not in written


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /instance1/status HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["no request", "no version", "a line of 70 KB", "no length", "TLS"],
)
def test_what_is_no_http_is_refused_by_the_web_server_itself(wire: Wire, sent: bytes) -> None:
    """With a sentence in JSON, as the contract's own errors."""
    wire.socket.sendall(sent)
    answer = wire.answer()
    assert (400 <= answer.status < 500, list(answer.json)) == (True, ["error"])
    assert wire.is_closed
