"""Random queries, forms and JSON to every URL: never a 500, and never a page of an error's details.

A fixed number of examples from a fixed seed. The wire contract and REST have schemathesis as well.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import transaction
from django.test import Client
from django.urls import NoReverseMatch, reverse
from hypothesis import HealthCheck, Phase, given, strategies
from hypothesis import settings as hypothesis_settings

from instances.contract import views
from instances.contract.registry import METHODS
from instances.contract.urls import urlpatterns
from tests.attacks.world import EVERYTHING, Target
from tests.chatapi.permissions import ADDRESSES
from tests.chatapi.test_permissions import ROWS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

assert urlpatterns  # whose import fills METHODS
MAX_ERROR = 16 * 1024  # bytes of an error's response
SETTINGS: dict[str, Any] = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "phases": (Phase.generate,),
    "suppress_health_check": list(HealthCheck),
}
NASTY = (
    "", " ", "\x00", "\ud800", "\u202e", "'", '"', "%", "%00", "%ff", "\\", "../", "null", "NaN",
    "Infinity", "-1", "0", "1e309", "1" * 400,
    "9" * 20, "-9223372036854775809", "2147483648", "0x10", "١٢", "１２", "a" * 5000, "\r\n", "=1", "[]",
    "{}", "true", "2026-13-45",
    "9999-12-31T23:59:59+14:00", "0000-00-00", "10000-01-01", "00:00", "http://[", "http://[::1/x",
    "http://\ud800/", "//", "@", "@c.us",
    "17680561234@c.us", "-@g.us", "+", "00", "1" * 14, "data:;base64,", "data:image/png;base64,!",
    "😀" * 50, "e\u0301" * 100, "İ", "ß", "\ufeff",
    "state", "-created_at", "__class__", "pk__in", "(((((", "a{1000000000}", "[a-", "$where", "hook_",
    "hook_zz", "f" * 32,
)  # fmt: skip
texts = strategies.sampled_from(NASTY) | strategies.text(max_size=30)
scalars = (
    texts
    | strategies.none()
    | strategies.booleans()
    | strategies.sampled_from([0, -1, 2**31, 2**63, 2**200, -(2**63) - 1, 1.5, 1e308])
    | strategies.integers()
    | strategies.floats(allow_nan=False, allow_infinity=False)
)
values = strategies.recursive(
    scalars,
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted(
    {
        *EVERYTHING, "q", "instance", "next", "seen", "state", "chat", "after", "before", "until", "page",
        "as", "o", "p", "day",
        "upto", "last", "accepted", "use", "event", "which", "file", "picture", "hook", "limit", "cursor",
        "number", "csrfmiddlewaretoken",
        "caption", "quoted", "forward", "card_name", "card_phone", "from", "id", "minutes", "valid",
        "days", "format", "query", "download",
    }
)  # fmt: skip
fields = strategies.dictionaries(strategies.sampled_from(FIELDS) | texts, texts, max_size=12)
arguments = strategies.dictionaries(
    strategies.sampled_from(sorted({a.wire for method in METHODS.values() for a in method.arguments}))
    | texts,
    values,
    max_size=8,
)

PAGES = sorted(
    (name, method)
    for name, method in ROWS
    if not name.startswith(("instances-api:", "contract"))
    and name not in ("account_logout", "bin", "readyz", "account-delete")
)
REST = sorted((name, method) for name, method in ROWS if name.startswith("instances-api:"))
STAFF = sorted(name for name in ADDRESSES if name.startswith("admin:") and name != "admin:logout")


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    """The exceptions that the contract's view would log pass through: they say more than a 500."""

    def pass_on(*_: object) -> None:
        raise  # noqa: PLE0704  # in an except clause of the view

    monkeypatch.setattr(views.log, "exception", pass_on)
    return Target()


def encoded(given_fields: dict[str, str]) -> str:
    return urlencode(given_fields, errors="replace")


def send(
    client: Client, method: str, path: str, body: str | bytes = b"", kind: str = "", **headers: str
) -> Any:
    """Sends the request and rolls back what it changed. Fails on a 500 and on long errors; exceptions pass through."""
    client.raise_request_exception = True
    with transaction.atomic():
        response: Any = client.generic(
            method, path, body, kind or "application/octet-stream", headers=headers
        )
        if response.streaming:
            b"".join(response.streaming_content)
        transaction.set_rollback(True)
    assert response.status_code < 500 or response.status_code in (503, 507), (
        method,
        path,
        response.status_code,
    )
    if (
        response.status_code >= 400
        and not response.streaming
        and "json" in response.headers.get("Content-Type", "")
    ):
        assert len(response.content) <= MAX_ERROR, (method, path, len(response.content))
    return response


@hypothesis_settings(max_examples=200, **SETTINGS)
@given(
    row=strategies.sampled_from(PAGES),
    query=fields,
    form=fields,
    htmx=strategies.booleans(),
    data=strategies.booleans(),
)
def test_pages_never_fail(
    target: Target, row: tuple[str, str], query: dict[str, str], form: dict[str, str], htmx: bool, data: bool
) -> None:
    name, method = row
    client = target.client("owner")
    path = target.address(name)
    query.pop("instance", None)  # the next test
    path += ("&" if "?" in path else "?") + encoded(query)
    headers = {"HX-Request": "true"} if htmx else {}
    given_form = {**EVERYTHING, **form} if data else form
    kept = {key: value for key, value in given_form.items() if isinstance(value, str)}
    kept.pop("url", None)  # nothing is sent from here
    kept |= (
        {"url": ""}
        if name in ("testing:simulation-send", "instances:address-test", "testing:bin-replay")
        else {}
    )
    send(client, method, path, encoded(kept), "application/x-www-form-urlencoded", **headers)


@hypothesis_settings(max_examples=50, **SETTINGS)
@given(
    row=strategies.sampled_from(PAGES),
    text=texts,
    visitor=strategies.sampled_from(["owner", "stranger", "anonymous"]),
)
def test_pages_never_fail_by_the_instance_of_the_query(
    target: Target, row: tuple[str, str], text: str, visitor: str
) -> None:
    name, method = row
    path = target.address(name).partition("?")[0]
    send(target.client(visitor), method, f"{path}?{urlencode({'instance': text}, errors='replace')}")


@hypothesis_settings(max_examples=120, **SETTINGS)
@given(
    row=strategies.sampled_from(REST),
    query=fields,
    body=strategies.dictionaries(strategies.sampled_from(FIELDS), values, max_size=8) | values,
)
def test_rest_never_fails(target: Target, row: tuple[str, str], query: dict[str, str], body: Any) -> None:
    name, method = row
    sent = json.dumps(body)
    response = send(
        target.client("owner", by_key=True),
        method,
        f"{target.address(name)}?{encoded(query)}",
        sent,
        "application/json",
    )
    if response.status_code not in (204, 304):
        assert response.headers["Content-Type"].startswith("application/json")


@hypothesis_settings(max_examples=150, **SETTINGS)
@given(
    method=strategies.sampled_from(sorted(set(METHODS) - {"outputIP"})),
    given_arguments=arguments,
    known=strategies.booleans(),
    how=strategies.sampled_from(["json", "form", "query", "multipart"]),
)
def test_the_contract_never_fails(
    target: Target, method: str, given_arguments: dict[str, Any], known: bool, how: str
) -> None:
    name = "uid" if METHODS[method].by_uid else "token"
    secret = target.keys["owner"] if METHODS[method].by_uid else target.instance.token
    path = f"/instance{target.instance.number}/{method}?{name}={secret}"
    sent = {
        key: value
        for key, value in given_arguments.items()
        if key.lower() not in ("instanceid", "token", "uid")
    }
    if known:
        sent |= {"chatId": target.chat}
    client = Client()
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in sent.items()}
    if how == "json":
        send(client, "POST", path, json.dumps(sent), "application/json")
    elif how == "form":
        send(client, "POST", path, encoded(text), "application/x-www-form-urlencoded")
    elif how == "query":
        send(client, "GET", f"{path}&{encoded(text)}")
    else:
        parts = "".join(
            f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in text.items()
        )
        send(
            client,
            "POST",
            path,
            f"{parts}--x--\r\n".encode(errors="replace"),
            "multipart/form-data; boundary=x",
        )


@pytest.mark.parametrize(
    "form", ["phones=1&phones[]=2", "phones[]=2&phones=1", "=1&[]=2", "chatId=1&chatId[]=2&chatId[a][b]=3"]
)
def test_a_key_may_be_sent_with_and_without_brackets(target: Target, form: str) -> None:
    path = f"/instance{target.instance.number}/group?token={target.instance.token}&groupName=x"
    send(Client(), "POST", path, form, "application/x-www-form-urlencoded")


KINDS = (
    "application/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded",
    "multipart/form-data", "text/plain",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=\"", "application/xml", "a/b; charset=latin-1",
    "", ";", "application/json; charset=", "multipart/mixed; boundary=x", "application/json, text/html",
)  # fmt: skip
BODIES = (
    b"", b"{", b"[", b"{}", b"[]", b"null", b'"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"{}{}",
    b'{"a":1,"a":2}', b"NaN", b"-", b"1e999", b"[1,]", b"--x",
    b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
    b"--x\r\nContent-Disposition: form-data; name=\r\n\r\n1\r\n--x--",
    b'--x\r\nContent-Disposition: form-data; name="body"; filename="\x00"\r\nContent-Type: /\r\n\r\n1\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="body"; filename*=utf-8\'\'%ff\r\n\r\n1\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--x--\r\n',
    b"&&&=&=&", b"%", b"a=%ff&b=%zz", b"=1",
)  # fmt: skip


HEADERS = [
    "Accept",
    "Range",
    "If-Modified-Since",
    "If-None-Match",
    "Authorization",
    "Referer",
    "Cookie",
    "HX-Target",
    "Origin",
]
STARTS = [
    "/",
    "//",
    "/instances/",
    "/log/",
    "/api/v1/",
    "/testing/bins/",
    "/bin/",
    "/media/",
    "/shared/",
    "/admin/",
    "/account/",
    "/instance",
    "/static/",
]
STAFF_FIELDS = [
    "q",
    "o",
    "p",
    "e",
    "all",
    "_popup",
    "_to_field",
    "state__exact",
    "pk__in",
    "owner__id__exact",
    "kind",
    "day",
    "_changelist_filters",
]


@hypothesis_settings(max_examples=150, **SETTINGS)
@given(
    row=strategies.sampled_from(sorted(row for row in ROWS if row[0] not in ("account_logout", "readyz"))),
    kind=strategies.sampled_from(KINDS),
    body=strategies.sampled_from(BODIES) | strategies.binary(max_size=40),
    headers=strategies.dictionaries(
        strategies.sampled_from(HEADERS),
        strategies.sampled_from([text for text in NASTY if text.isascii() and text.isprintable()]),
        max_size=3,
    ),
)  # fmt: skip
def test_no_body_and_no_header_makes_a_url_fail(
    target: Target, row: tuple[str, str], kind: str, body: bytes, headers: dict[str, str]
) -> None:
    name, method = row
    by_key = name.startswith("instances-api:")
    send(target.client("owner", by_key=by_key), method, target.address(name), body, kind, **headers)


@hypothesis_settings(max_examples=80, **SETTINGS)
@given(
    name=strategies.sampled_from(STAFF),
    query=strategies.dictionaries(strategies.sampled_from(STAFF_FIELDS) | texts, texts, max_size=6),
    method=strategies.sampled_from(["GET", "POST"]),
    pk=texts,
)
def test_the_support_desk_never_fails(
    target: Target, name: str, query: dict[str, str], method: str, pk: str
) -> None:
    known = {"app_label": "hooks", "tool": "block"}
    try:
        sent = pk.encode(errors="replace").decode()
        path = reverse(name, kwargs={key: known.get(key, sent) for key in ADDRESSES[name]})
    except NoReverseMatch:
        return
    send(
        target.client("staff"),
        method,
        f"{path}?{encoded(query)}",
        encoded(query),
        "application/x-www-form-urlencoded",
    )


@hypothesis_settings(max_examples=150, **SETTINGS)
@given(
    start=strategies.sampled_from(STARTS),
    rest=strategies.lists(texts, max_size=4),
    visitor=strategies.sampled_from(["owner", "anonymous"]),
    method=strategies.sampled_from(["GET", "POST", "PUT", "OPTIONS", "TRACE", "FROB"]),
)  # fmt: skip
def test_no_path_makes_the_site_fail(
    target: Target, start: str, rest: list[str], visitor: str, method: str
) -> None:
    path = start + "/".join(quote(text, errors="replace") for text in rest)
    send(target.client(visitor), method, path[:8000])
