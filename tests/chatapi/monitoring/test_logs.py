"""What is never logged: query strings, tokens, keys."""

import json
import logging
import logging.config
from io import StringIO

import pytest
import requests
from django.test import RequestFactory

from chatapi.monitoring.logging_config import logging_config, without_addresses, without_secrets
from chatapi.monitoring.request_log import RequestLog
from tests.product import Product


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /instance1/status?token=abc123&full=1", "GET /instance1/status?token=…&full=1"),
        ("GET /media/0123456789abcdef0123456789abcdef0123456789abcdef/a.jpg", "GET /media/…/a.jpg"),
        ("GET /accounts/password/reset/key/1a-d2b-0123456789/", "GET /accounts/password/reset/key/1a-…/"),
        ("/accounts/password/reset/key/1a-set-password/", "/accounts/password/reset/key/1a-set-password/"),
        ("GET /accounts/confirm-email/MQ:1vB-jbc:SIszh_P7GA/", "GET /accounts/confirm-email/…/"),
        ("/newInstance?uid=uid_0123456789abcdefghijklmn", "/newInstance?uid=…"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret whsec_…"),
        ("account uid_0123456789abcdefghijklmn called", "account uid_… called"),
        ("the token is wrong", "the token is wrong"),
    ],
)
def test_secrets_are_cut_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "DETAIL:  Key (email)=(ann.b+c@example.org) already exists.",
            "DETAIL:  Key (email)=(…@…) already exists.",
        ),
        ("{'ann@straße.example': (550, b'no such user')}", "{'…@…': (550, b'no such user')}"),
        ("<root@localhost>, Ann <ann@xn--strae-oqa.example>", "<…@…>, Ann <…@…>"),
        ("submission://user:password@mail.example.org:587", "submission://user:…@…:587"),
        ("chat 4915112345678@c.us", "chat …@…"),
        ("@transaction.atomic", "@transaction.atomic"),
        ("a @ b", "a @ b"),
    ],
)
def test_addresses_are_cut_out(text: str, shown: str) -> None:
    assert without_addresses(text) == shown


def test_a_long_text_without_spaces_is_searched_fast() -> None:
    text = "x" * 100_000 + "@"
    assert without_addresses(text) == text


def test_a_request_is_named_by_its_path_alone() -> None:
    request = RequestFactory().post("/instance1/sendMessage?token=abc", {"body": "hello"})
    assert RequestLog.format_request(request) == "POST /instance1/sendMessage"


def test_a_body_that_is_too_long_for_a_page_is_no_fault_of_ours(product: Product) -> None:
    before = len(product.lines)
    with requests.Session() as session:
        session.get(f"{product.url}/accounts/login/", timeout=60)  # for the cookie that comes with the form
        answer = session.post(f"{product.url}/accounts/login/", data={"login": "x" * 2_200_000}, timeout=60)
    assert answer.status_code == 413
    requests.get(f"{product.url}/behind/it", timeout=60)
    product.wait_for("/behind/it")
    assert [line for line in product.lines[before:] if "Traceback" in line or "[error" in line.lower()] == []


@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_shows_neither_local_variables_nor_secrets(as_json: bool) -> None:
    config = logging_config("INFO", as_json=as_json)
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["line"])
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    log = logging.Logger("of.this.test")
    log.addHandler(handler)
    hidden = "a-local-secret"
    try:
        raise ValueError(f"no such address ?token={hidden}")
    except ValueError:
        log.exception("It failed for uid=%s", hidden)
    line = written.getvalue()
    assert hidden not in line
    assert "ValueError: no such address ?token=…" in line
    assert "It failed for uid=…" in line
    if as_json:
        assert json.loads(line)["level"] == "error"


def test_no_token_stands_in_what_the_running_product_printed(product: Product) -> None:
    [one] = product.demo["instances"]
    for method in ("status", "noSuchMethod"):
        requests.get(
            f"{one['apiUrl'].replace('localhost', '127.0.0.1')}{method}?token={one['token']}", timeout=60
        )
    requests.get(f"{product.url}/nowhere?token={one['token']}", timeout=60)
    assert one["token"] not in "\n".join(product.lines)
    assert product.demo["uid"] not in "\n".join(product.lines)
