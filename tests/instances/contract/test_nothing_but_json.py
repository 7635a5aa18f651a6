"""Every URL of the contract responds with a JSON object, whatever is sent (§1)."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client, override_settings
from hypothesis import HealthCheck, Phase, given, strategies
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import Settings

from accounts.actions.keys import issue_key
from instances.contract.registry import METHODS
from instances.contract.urls import urlpatterns
from instances.models import Instance
from tests.factories import UserFactory

assert urlpatterns  # whose import is what fills METHODS

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*"}
ADDRESSES = (
    "/instance12345", "/instance12345/", "/instance12345/nosuch", "/instance12345/status/more",
    "/instance12a/status", "/instance99999999999999999999/status", "/instance12345/%00", "/instance12345/%ff%fe",
    "/instance12345/sta%0Atus", "/instance12345/" + "x" * 5000, "/instance12345/status?token=wrong",
    "/instance12345/../instance12345/status", "/instance12345/<script>", "/status", "/sendMessage?token=secret",
    "/newInstance", "/status?" + "&".join(f"a{n}=1" for n in range(2000)),
)  # fmt: skip
VERBS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get")


def is_json(response: Any, verb: str = "GET") -> bool:
    if verb == "HEAD":
        return response.headers["Content-Type"] == "application/json"
    return isinstance(json.loads(response.content), dict) and "html" not in response.headers["Content-Type"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address[:40])
def test_every_address_by_every_verb(client: Client, instance: Instance, address: str, verb: str) -> None:
    response = client.generic(verb, address, headers=BROWSER)
    assert response.status_code < 500
    assert is_json(response, verb)


@pytest.mark.parametrize(
    "name", sorted(name for name, method in METHODS.items() if name not in ("qr_code", "screenshot"))
)
def test_every_method_without_arguments_and_with_wrong_ones(
    client: Client, instance: Instance, settings: Settings, name: str
) -> None:
    settings.OUTPUT_IP = "203.0.113.7"  # or it would look for the way out
    for body in (b"", b"{}", b'{"chatId":{"a":[1]},"phone":[[]],"body":{},"name":1e400,"messageId":[{}]}'):
        response = client.generic(
            "POST", f"/instance12345/{name}?token=secret", body, "application/json", headers=BROWSER
        )
        assert response.status_code < 500, response.content
        assert is_json(response)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{" * 50_000),
        ("application/json", b'{"a":' + b"1" * 5000 + b"}"),
        ("application/json", b"\xff\xfe{\x00}\x00"),
        ("application/json", b"\x00"),
        ("application/json; charset=utf-7", b"+ADw-"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(2000))),
        ("application/x-www-form-urlencoded", b"%ff%fe=%00&phone[=1&]=2&[[=3"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"no such boundary"),
        ("multipart/form-data; boundary=\xc3\xbc", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n--x--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--x--',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="b"; filename="x"\r\nContent-Type: a; charset=q\r\n\r\n--x--',
        ),
        (
            "multipart/form-data; boundary=x",
            b"".join(
                b'--x\r\nContent-Disposition: form-data; name="f%d"; filename="f"\r\n\r\n1\r\n' % n
                for n in range(200)
            )
            + b"--x--",
        ),
        ("multipart/mixed; boundary=x", b"--x--"),
        ("nonsense", b"\x00\x01"),
        ("application/octet-stream", bytes(range(256))),
    ],
    ids=range(17),
)
@pytest.mark.parametrize("name", ["sendMessage", "settings", "newInstance"])
def test_bodies_that_are_broken(
    client: Client, instance: Instance, name: str, kind: str, body: bytes
) -> None:
    response = client.generic("POST", f"/{name}?instanceId=12345&token=secret", body, kind, headers=BROWSER)
    assert response.status_code < 500
    assert is_json(response)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", ""])
def test_a_content_length_that_is_none(client: Client, instance: Instance, length: str) -> None:
    response = client.generic("POST", "/instance12345/settings?token=secret", CONTENT_LENGTH=length)
    assert response.status_code < 500
    assert is_json(response)


@override_settings(ALLOWED_HOSTS=["chat.example.com"])
def test_a_host_that_is_not_served(client: Client, instance: Instance) -> None:
    response = client.get(
        "/instance12345/status?token=secret", headers=BROWSER, HTTP_HOST="other.example.com"
    )
    assert is_json(response)


def test_a_fault_before_the_view(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request does not reach the contract's view, but the response is a JSON object as well."""
    monkeypatch.setattr("chatapi.program_requests.ProgramHandler.resolve_request", lambda *_: 1 / 0)
    response = Client(raise_request_exception=False).get(
        "/instance12345/status?token=secret", headers=BROWSER
    )
    assert (response.status_code, response.json()) == (
        500,
        {"error": "Internal error. It was logged on the server."},
    )


def test_what_django_refuses_by_itself(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(ALLOWED_HOSTS=["chat.example.com"], SECURE_SSL_REDIRECT=True):
        response = Client().get("/instance12345/status", headers=BROWSER, HTTP_HOST="other.example.com")
    assert response.status_code == 400
    assert is_json(response)


def test_whoever_is_signed_in_on_the_pages_is_nobody_here(client: Client, instance: Instance) -> None:
    client.force_login(UserFactory(email="bob@example.org"))
    client.cookies["sessionid"] = quote("\x00not a session\xff")
    response = client.get("/instance12345/status?token=secret", headers=BROWSER)
    assert (response.status_code, response.json()) == (200, {"accountStatus": "authenticated"})
    assert "Set-Cookie" not in response.headers


def test_a_database_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(*_: object) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr("instances.fast_lookup.by_number", away)
    response = client.get("/instance12345/status?token=secret", headers=BROWSER)
    assert (response.status_code, response.headers["Retry-After"], response.json()) == (
        503,
        "5",
        {"error": "The database is not available. Try again in a few seconds."},
    )


ANYTHING = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False)
    | strategies.text(max_size=30)
    | strategies.sampled_from(
        ["17680561234", "17680561234@c.us", "17680561234-1479621234@g.us", "https://example.com", "1", "\x00"]
    ),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("name", sorted({method.name for method in METHODS.values()}))
def test_no_method_fails_whatever_its_arguments_are(
    instance: Instance, name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTPUT_IP = "203.0.113.7"
    monkeypatch.setattr("instances.contract.views.limits.check_lockout", lambda *_: None)
    method = METHODS[name]
    key = issue_key(instance.owner, acting_user=None)[1]
    wires = [argument.wire for argument in method.arguments] + ["phone"]

    @given(arguments=strategies.fixed_dictionaries({}, optional=dict.fromkeys(wires, ANYTHING)))
    @hypothesis_settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def try_one(arguments: dict[str, object]) -> None:
        with transaction.atomic():
            response = Client().generic(
                "POST",
                f"/instance12345/{name}?token=secret&uid={key}",
                json.dumps(arguments),
                "application/json",
            )
            transaction.set_rollback(True)
        assert response.status_code < 500, arguments
        if response.status_code != 200 or name not in ("qr_code", "screenshot"):
            assert isinstance(response.json(), dict)

    try_one()
