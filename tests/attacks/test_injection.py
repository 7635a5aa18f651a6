"""Injection: text that is code somewhere else - in SQL, headers, log lines, spreadsheets, mails and paths of files."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from logging.config import DictConfigurator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.actions import members
from chatapi.monitoring import logging_config
from hooks.http_headers import header_lines
from instances.contract.registry import METHODS
from instances.contract.urls import urlpatterns
from instances.models import Media
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.replays import InvalidReplay, edited_request
from tests.attacks.database import changed, digests_of
from tests.attacks.world import Target
from tests.chatapi.permissions import ADDRESSES
from tests.chatapi.test_permissions import ROWS

pytestmark = pytest.mark.django_db

assert urlpatterns  # whose import fills METHODS
MARK = "zq7x"
# Closes strings, comments, LIKE, JSON paths, arrays and tsqueries; each has the mark.
SQL = (
    f"{MARK}' OR '1'='1", f"{MARK}'; DROP TABLE hooks_hook; --", f"{MARK}') UNION SELECT secret FROM hooks_endpoint --",
    f"{MARK}\\' OR 1=1 --", f"{MARK}$$ || pg_sleep(9) || $$", f'{MARK}" OR "1"="1',
    f"{MARK}%' AND 1=(SELECT 1) --", f"{MARK}/**/OR/**/1",
    f"{MARK}\x00' OR 1=1", f"{MARK}:*|!&<->", f"{MARK}{{}}[]", f"{MARK}%s%(x)s%%", f"{MARK}’ OR ’1’=’1",
)  # fmt: skip
PARAMETERS = (
    "q", "state", "kind", "chat", "message", "after", "before", "from", "until", "order", "page", "o",
    "day", "status", "limit",
    "count", "seen", "chatId", "lastMessageNumber", "min_time", "max_time", "msgId", "cursor", "name",
    "host", "endpoint",
)  # fmt: skip


def all_sql_is_parameters(queries: Any) -> list[str]:
    """The statements in which the mark is outside a quoted literal. Django shows them with their parameters."""
    wrong = []
    for query in queries:
        sql = query["sql"]
        if MARK in sql:
            outside = re.sub(r"E?'(?:[^'\\]|''|\\.)*'", "", sql, flags=re.DOTALL)
            if MARK in outside:
                wrong.append(sql[:300])
    return wrong


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("visitor", ["owner", "staff"])
def test_queries_of_pages_never_become_sql(visitor: str) -> None:
    target = Target()
    client = target.client(visitor)
    names = [
        name
        for name, method in ROWS
        if method == "GET" and not name.startswith(("instances-api:", "contract"))
    ]
    if visitor == "staff":
        names = [name for name in ADDRESSES if name.startswith("admin:") and not ADDRESSES[name]]
    wrong, failed = [], []
    for number, name in enumerate(sorted(set(names) - {"bin", "readyz", "account_logout", "admin:logout"})):
        path = target.address(name)
        for text in (SQL[number % len(SQL)], SQL[(number + 5) % len(SQL)]):
            query = urlencode(dict.fromkeys(PARAMETERS, text))
            with CaptureQueriesContext(connection) as seen:
                response = client.get(f"{path}{'&' if '?' in path else '?'}{query}")
            wrong += [f"{name}: {sql}" for sql in all_sql_is_parameters(seen.captured_queries)]
            if response.status_code >= 500:
                failed.append(f"{name} {text!r}: {response.status_code}")
    assert wrong == []
    assert failed == []


@pytest.mark.usefixtures("quiet")
def test_arguments_of_programs_never_become_sql() -> None:
    """The wire contract's methods and REST, with the text in each argument and filter."""
    target = Target()
    wrong, failed = [], []
    path = f"/instance{target.instance.number}"
    rest = target.client("owner", by_key=True)
    before = digests_of(target.people["stranger"].account)
    for number, method in enumerate(sorted(METHODS)):
        if METHODS[method].by_uid or method in ("outputIP", "deleteInstance"):
            continue
        text = SQL[number % len(SQL)]
        fields = {argument.wire: text for argument in METHODS[method].arguments}
        for extra in ({}, {"chatId": target.chat, "phone": "17680561234"}):
            with CaptureQueriesContext(connection) as seen:
                response = Client(raise_request_exception=False).post(
                    f"{path}/{method}?token={target.instance.token}",
                    json.dumps(fields | extra),
                    "application/json",
                )
            wrong += [f"{method}: {sql}" for sql in all_sql_is_parameters(seen.captured_queries)]
            if response.status_code >= 500:
                failed.append(f"{method} {text!r}")
    for text in SQL:
        query = urlencode(dict.fromkeys(PARAMETERS, text))
        paths = [f"/api/v1/{place}/?{query}" for place in ("hooks", "redeliveries", "instances")]
        paths += [
            f"/api/v1/hooks/?message={quote(text)}",
            f"/api/v1/hooks/{quote(text)}/",
            f"/api/v1/instances/{quote(text)}/",
        ]
        for url in paths:
            with CaptureQueriesContext(connection) as seen:
                response = rest.get(url)
            wrong += [f"{url}: {sql}" for sql in all_sql_is_parameters(seen.captured_queries)]
            if response.status_code >= 500:
                failed.append(url)
    assert wrong == []
    assert failed == []
    assert changed(before, digests_of(target.people["stranger"].account)) == []


# -- headers

CRLF = (
    "x\r\nSet-Cookie: planted=1",
    "x\nX-Planted: 1",
    "x\rX-Planted: 1",
    "x\r\n\r\n<b>",
    "x\x00y",
    "x\u010d\u010aX-Planted: 1",
    "x\u2028y",
)


@pytest.mark.usefixtures("quiet")
def test_no_text_becomes_a_header_of_a_response() -> None:
    """Names of instances, files and bins come back in Content-Disposition, Location and HX-… headers."""
    target = Target()
    client = target.client("owner")
    anonymous = Client(raise_request_exception=False)
    seen = []
    for text in CRLF:
        coded = quote(text)
        client.post(target.address("instances:rename"), {"name": text[:100]})
        seen += [
            client.get(target.address(name))
            for name in ("log:export", "testing:bin-export", "testing:bin-body", "instances:detail")
        ]
        seen += [
            anonymous.post(f"{reverse('account_login')}?next=/{coded}", {"login": text, "password": text}),
            anonymous.get(f"/accounts/login/?next=/{coded}"),
            anonymous.get(f"/instances/?next={coded}"),
            anonymous.get(f"/{coded}"),
            anonymous.get(f"/media/x/{coded}"),
            anonymous.get(f"/bin/{target.bin.key}/{coded}"),
            anonymous.get(f"/instance{target.instance.number}/{coded}"),
            anonymous.options(
                "/status",
                headers={"Access-Control-Request-Headers": "".join(one for one in text if one.isprintable())},
            ),
            client.post(
                f"{reverse('testing:phone-contacts')}?instance={target.instance.number}",
                {"phone": "17680561200", "name": text},
            ),
            client.post(
                target.address("testing:bin-response"),
                {
                    "status": "200",
                    "headers": f"X-Own: {text.splitlines()[0]}",
                    "body": "x",
                    "delay": "0",
                    "content_type": text,
                },
            ),
            anonymous.get(f"/bin/{target.bin.key}"),
        ]
    for response in seen:
        assert response.status_code < 500
        names = {name.lower() for name in response.headers}
        assert "x-planted" not in names
        assert "planted" not in response.cookies
        for value in response.headers.values():
            assert not set(value) & set("\r\n\x00"), value


LINE_BREAKS = ["a\r\nX-Planted: 1", "a\nX-Planted: 1", "a\rb", "a\x00b", "a\x0bb"]  # fmt: skip


def test_no_text_becomes_a_header_of_a_request() -> None:
    """Replays send headers that a user typed or that a stranger sent to a bin."""
    target = Target()
    for text in LINE_BREAKS:
        check_no_text_becomes_a_header_of_a_request(target, text)


def check_no_text_becomes_a_header_of_a_request(target: Target, text: str) -> None:
    forms = [
        {
            "method": "POST",
            "url": "http://example.com/",
            "headers": f"X-Own: {text.splitlines()[0]}",
            "body": "",
        },
        {"method": "POST", "url": f"http://example.com/{text}", "headers": "", "body": ""},
        {"method": text, "url": "http://example.com/", "headers": "", "body": ""},
        {"method": "POST", "url": f"http://exa{text}mple.com/", "headers": "", "body": ""},
    ]
    for form in forms:
        try:
            request = edited_request(form, target.capture)
        except InvalidReplay:
            continue
        lines = [request.method, request.url, *header_lines(request.headers)]
        assert not [line for line in lines if set(line) & set("\r\n\x00")], lines
        assert (
            "x-planted" not in {name.lower() for name, _ in request.headers} or "\n" in text
        )  # a line of its own


# -- log lines


@pytest.mark.parametrize(
    "text",
    ["x\n2026-11-28 [info] forged=1", "x\r\nforged", "x\x1b[31mred", "x\x00y", "x\u2028forged", "x" * 20_000],
)
def test_no_request_writes_a_log_line_of_its_own(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """One event is one line: neither a line break nor a terminal's escape sequence of a request is in it."""
    target = Target()
    anonymous = Client(raise_request_exception=False)
    coded = quote(text)
    with caplog.at_level(logging.DEBUG):
        for path in (
            f"/{coded}",
            f"/instance{target.instance.number}/{coded}",
            f"/bin/{target.bin.key}/{coded}",
            f"/api/v1/{coded}/",
        ):
            anonymous.get(
                path,
                headers={
                    "User-Agent": text,
                    "X-Request-ID": text,
                    "X-Forwarded-For": text,
                    "Host": "testserver",
                },
            )
        anonymous.post(reverse("account_login"), {"login": text, "password": text})
        anonymous.generic("GET", f"/status?token={coded}&instanceId={coded}")
    config = logging_config.logging_config("DEBUG", as_json=True)
    formatters = [build(config, name) for name in config["formatters"]]
    for record in caplog.records:
        for formatter in formatters:
            line = formatter.format(record)
            assert "\x1b[31m" not in line and "\x00" not in line, line
            assert "\n2026-11-28" not in line and "\nforged" not in line and "\r" not in line, line


def build(config: dict[str, Any], name: str) -> logging.Formatter:
    formatter: logging.Formatter = DictConfigurator(config).configure_formatter(config["formatters"][name])
    return formatter


# -- CSV, mails, files

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "=cmd|' /C calc'!A0",
    " =1",
    "＝1",
    "%0A=1",
    '"=1',
    ";=1",
    ",=1",
    "\n=1",
)


@pytest.mark.usefixtures("quiet")
def test_no_cell_of_an_export_is_a_formula() -> None:
    """What strangers send to a bin, and what contacts and endpoints put into the log."""
    target = Target()
    for text in FORMULAS:
        capture_actions.capture(
            target.bin.key,
            method="POST",
            path=f"/{text}",
            query=text,
            headers=[("X", text), (text, "x")],
            body=text.encode(),
        )
    client = target.client("owner")
    for name in ("testing:bin-export", "log:export"):
        path = target.address(name).replace("as=ndjson", "as=csv")
        response: Any = client.get(path)
        text = (
            b"".join(response.streaming_content).decode() if response.streaming else response.content.decode()
        )
        for row in csv.reader(io.StringIO(text.lstrip("\ufeff"))):
            for cell in row:
                begins = cell.lstrip(" \ufeff")[:1]
                assert not begins or begins not in "=+-@\t\r＝＋－＠" or re.fullmatch(r"-?[0-9.]+", cell), (
                    cell
                )


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: mallory@example.org",
        "x\nBcc: mallory@example.org",
        "x\r\n\r\nVisit http://attacker.example/",
    ],
)
def test_no_name_becomes_a_header_or_a_recipient_of_a_mail(
    text: str, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.EMAIL_URL = "smtp://mail.example"
    with django_capture_on_commit_callbacks(execute=True):
        send_mails(text)
    assert mail.outbox
    for message in mail.outbox:
        assert len(message.to) == 1 and not message.cc and not message.bcc
        assert "mallory@example.org" not in ",".join(message.recipients())
        assert not set(message.subject) & set("\r\n")
        assert "bcc" not in {name.lower() for name in message.message()}
        assert "//attacker.example" not in str(message.body) or text.endswith("attacker.example/")


def send_mails(text: str) -> None:
    target = Target()
    target.client("owner").post(reverse("accounts:rename"), {"name": text})
    target.client("owner").post(reverse("accounts:members"), {"email": "dan@example.org", "role": "viewer"})
    target.client("owner").post(
        reverse("accounts:members"), {"email": f"dan2@example.org{text}", "role": "viewer"}
    )
    Client(raise_request_exception=False).post(
        reverse("account_reset_password"), {"email": f"alice@example.org{text}"}
    )
    Client(raise_request_exception=False).post(
        reverse("account_reset_password"),
        {"email": "alice@example.org"},
        headers={"Host": "attacker.example"},
    )
    members.invite(target.account, email="dave@example.org", role="viewer", acting_user=target.account.owner)


PATHS = [
        "../../../etc/passwd",
        "..\\..\\x.txt",
        "/etc/passwd",
        "a/../../b.txt",
        "x\x00.txt",
        "....//x",
        "%2e%2e%2fx",
        "C:\\x.txt",
        "." * 300,
    ]  # fmt: skip


@pytest.mark.usefixtures("quiet")
def test_no_name_of_a_file_leaves_its_folder(settings: Any, tmp_path: Any) -> None:
    target = Target()
    for name in PATHS:
        check_no_name_of_a_file_leaves_its_folder(target, name, settings, tmp_path)


def check_no_name_of_a_file_leaves_its_folder(
    target: Target, name: str, settings: Any, tmp_path: Any
) -> None:
    path = f"/instance{target.instance.number}/sendFile?token={target.instance.token}"
    outside = set(tmp_path.rglob("*"))
    for filename in (name, f"{name}.jpg"):
        Client().post(
            path,
            json.dumps({"chatId": target.chat, "filename": filename, "body": "data:text/plain;base64,eA=="}),
            "application/json",
        )
    for media in Media.objects.all():
        assert ".." not in media.link.partition("//")[2].split("/")
        assert "\\" not in media.link and "\x00" not in media.link
    assert set(tmp_path.rglob("*")) == outside
    anonymous = Client(raise_request_exception=False)
    for url in (
        f"/media/x/{quote(name)}",
        f"/media/{quote(name, safe='')}/x",
        f"/static/{quote(name)}",
        f"/static/../{quote(name)}",
    ):
        response = anonymous.get(url)
        assert response.status_code in (400, 404), url
        assert b"root:" not in response.content


@pytest.mark.usefixtures("quiet")
def test_templates_evaluate_no_text() -> None:
    target = Target()
    text = "{{7*7}}{% load x %}${7*7}#{7*7}<%= 7*7 %>{{request.user.password}}"
    client = target.client("owner")
    client.post(target.address("instances:rename"), {"name": text})
    client.post(reverse("accounts:rename"), {"name": text})
    for name in ("instances:detail", "instances:list", "accounts:account", "accounts:audit-log"):
        page = client.get(target.address(name)).content.decode()
        assert "49" not in re.findall(r"\{\{7\*7\}\}.{0,40}", page) and "pbkdf2" not in page
