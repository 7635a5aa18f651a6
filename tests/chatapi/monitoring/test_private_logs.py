"""No phone number and no body of a third party is in a log line, and no line is longer than 2 KB.

The last tests plant them in the running product: through the contract, REST, pages, hooks that fail, and errors.
"""

from __future__ import annotations

import json
import logging
import logging.config
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from chatapi.monitoring.error_text import exception_text, without_details, without_messages
from chatapi.monitoring.logging_config import MAX_LINE_BYTES, logging_config, without_phones
from chatapi.monitoring.request_log import MAX_PATH, shown_path
from instances.models import Chat
from tests.factories import InstanceFactory
from tests.product import ROOT, Product, product_environment

PHONE, WORDS = "17680561234", "Hello dear Ann, the code is blue"


@pytest.fixture(params=[False, True], ids=["text", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, StringIO]]:
    """A logger as the product sets it up, and what it wrote."""
    config = logging_config("DEBUG", as_json=request.param)
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["line"])
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logger = logging.Logger("of.this.test")
    logger.addHandler(handler)
    yield logger, written


def lines_of(written: StringIO) -> list[str]:
    return written.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /api/v1/instances/1234567890/sandbox/contacts/17680561234/",
         "GET /api/v1/instances/1234567890/sandbox/contacts/…/"),
        ("GET /instance1234567890/status", "GET /instance1234567890/status"),
        ("Instance 1234567890 was created", "Instance 1234567890 was created"),
        ("sent to +4915112345678.", "sent to ….") ,
        ("pid 4194304, 10:26:00.123456", "pid 4194304, 10:26:00.123456"),
        ("request 12345678-0d12-4a56-8f00-1234567890ab", "request 12345678-0d12-4a56-8f00-1234567890ab"),
        ("hook 0192f3a4b5c6d7e8f901234567890abc", "hook 0192f3a4b5c6d7e8f901234567890abc"),
    ],
)  # fmt: skip
def test_phone_numbers_are_cut_out(text: str, shown: str) -> None:
    assert without_phones(text) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/instances/1234567890/messages/", "/instances/1234567890/messages/"),
        ("/media/key/photo of Ann.jpg", "/media/key/…"),
        (f"/instance1/{WORDS}", "/instance1/…"),
        ("/Привет", "/…"),
        ("/a\nb/c", "/…/c"),
        ("", ""),
    ],
)
def test_a_path_shows_names_and_ids_alone(path: str, shown: str) -> None:
    assert shown_path(path) == shown


def test_a_long_path_is_cut() -> None:
    assert len(shown_path("/a" * 50_000)) == MAX_PATH + 1
    assert shown_path("/" + "a" * 100_000) == "/……"


# -- errors


def test_a_database_error_names_the_constraint_and_no_value(db: None) -> None:
    instance = InstanceFactory()
    Chat.objects.create(instance=instance, chat_id=f"{PHONE}@c.us", name="Ann")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Chat.objects.create(instance=instance, chat_id=f"{PHONE}@c.us", name="Ann")
    assert PHONE in str(caught.value)  # what was logged before
    text = exception_text(caught.value)
    assert text.startswith("IntegrityError: (23505 UniqueViolation, constraint ")
    assert PHONE not in text
    assert "Key (" not in text


def test_an_error_of_a_statement_quotes_no_literal(db: None) -> None:
    for sql in (f"SELECT '{WORDS}'::int", f"SELECT '{WORDS}'::jsonb", f"SELECT '{WORDS}'::varchar(3)::int"):
        with pytest.raises(Exception) as caught, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
        assert WORDS not in exception_text(caught.value)
        assert WORDS not in without_details(str(caught.value)).partition("\n")[2]


def test_a_lost_connection_says_why() -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")
    assert "refused" in exception_text(caught.value)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError(f"invalid literal: {WORDS!r}"), "ValueError: invalid literal: '…'"),
        (ValueError("unknown: Hello\nsecond line"), "ValueError: unknown: Hello"),
        (KeyError("webhook_url"), "KeyError: 'webhook_url'"),
        (KeyError(WORDS), "KeyError: '…'"),
        (AttributeError("'X' object has no attribute 'pk'"), "AttributeError: 'X' object has no attribute 'pk'"),
        (RuntimeError(), "RuntimeError"),
    ],
)  # fmt: skip
def test_a_message_loses_what_it_quotes(error: Exception, shown: str) -> None:
    assert exception_text(error) == shown


def raise_chain() -> None:
    try:
        int(WORDS)
    except ValueError as error:
        raise LookupError(f"no chat “{WORDS}” of {PHONE}") from error


def test_a_traceback_keeps_its_places_and_no_data(log: Any) -> None:
    logger, written = log
    try:
        raise_chain()
    except LookupError:
        logger.exception("It failed")
    text = written.getvalue()
    assert WORDS not in text
    assert PHONE not in text
    assert "in raise_chain" in text
    assert "ValueError: invalid literal" in text
    assert "LookupError: no chat" in text


def test_a_report_of_a_failed_task_keeps_its_places_and_no_data(log: Any) -> None:
    import traceback

    logger, written = log
    try:
        raise_chain()
    except LookupError as error:
        logger.error(f"Failed 'instances.tasks.x' (name) - {error} : {traceback.format_exc()}\n{WORDS}")
    text = written.getvalue()
    assert WORDS not in text
    assert PHONE not in text
    assert "Failed 'instances.tasks.x' (name)" in text
    assert "in raise_chain" in text
    assert "LookupError" in text


def test_text_without_a_traceback_stays() -> None:
    assert without_messages("Retention: 5 hooks - done") == "Retention: 5 hooks - done"


def test_an_exception_as_an_argument_is_named_without_data(log: Any) -> None:
    logger, written = log
    error = IntegrityError(f"duplicate key\nDETAIL:  Key (chat_id)=({PHONE}@c.us, {WORDS}) already exists.")
    logger.warning("The write failed: %s", error)
    assert WORDS not in written.getvalue()
    assert "The write failed: duplicate key" in written.getvalue()


CRASH = """
import sys, threading
sys.argv[1:] = ["worker"]
import django
django.setup()
WORDS = sys.stdin.read()
thread = threading.Thread(target=int, args=[WORDS])
thread.start()
thread.join()
int(WORDS)
"""


def test_an_error_that_ends_a_service_is_logged_without_data(tmp_path: Path) -> None:
    environment = product_environment(tmp_path, DJANGO_SETTINGS_MODULE="chatapi.settings")
    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=ROOT, env=environment, input=WORDS, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("The process or thread ended with an error") == 2
    assert done.stderr.count("ValueError: invalid literal for int() with base 10: '…'") == 2
    assert "dear" not in done.stdout + done.stderr


# -- length


@pytest.mark.parametrize("value", ["x" * 100_000, "ж" * 100_000, "🙂" * 100_000, '"\\' * 50_000])
def test_a_long_line_is_cut_and_says_so(log: Any, value: str) -> None:
    logger, written = log
    logger.info("Received %s", value)
    [line] = lines_of(written)
    assert len(line.encode()) <= MAX_LINE_BYTES
    assert "characters cut]" in line
    if line.startswith("{"):
        assert json.loads(line)["level"] == "info"


def test_many_long_values_are_cut(log: Any) -> None:
    import structlog

    logger, written = log
    with structlog.contextvars.bound_contextvars(**{f"name{number}": "ж" * 5_000 for number in range(60)}):
        logger.info("Received")
    [line] = lines_of(written)
    assert len(line.encode()) <= MAX_LINE_BYTES
    assert "all other values" in line


def test_a_deep_recursion_is_cut(log: Any) -> None:
    logger, written = log

    def recurse(number: int) -> None:
        if number == 0:
            raise ValueError("x" * 100_000)
        recurse(number - 1)

    try:
        recurse(500)
    except ValueError:
        logger.exception("It failed")
    assert max(len(line.encode()) for line in lines_of(written)) <= MAX_LINE_BYTES
    assert "ValueError" in written.getvalue()
    assert "It failed" in written.getvalue()


def test_a_value_with_a_line_break_makes_no_line_of_its_own(log: Any) -> None:
    import structlog

    logger, written = log
    with structlog.contextvars.bound_contextvars(request="GET /x\n10:00:00 [info] forged"):
        logger.info("Received")
    assert len(lines_of(written)) == 1


# -- the running product


class Planted:
    """Sends phone numbers and words to the product in every way, and then reads all that it wrote."""

    def __init__(self, product: Product) -> None:
        self.product, self.url = product, product.url
        [self.one] = product.demo["instances"]
        self.api = self.one["apiUrl"].replace("localhost", "127.0.0.1")
        self.token = {"token": self.one["token"]}
        self.key = {"Authorization": f"Bearer {product.demo['uid']}"}
        self.rest = f"{product.url}/api/v1/instances/{self.one['id']}"

    def contract(self) -> None:
        for data in (
            {"phone": PHONE, "body": WORDS},
            {"chatId": f"{PHONE}@c.us", "body": WORDS},
            {"phone": WORDS},
        ):
            requests.post(f"{self.api}sendMessage", params=self.token, json=data, timeout=60)
        requests.post(f"{self.api}sendMessage", params=self.token | {"phone": PHONE}, data=WORDS, timeout=60)
        requests.get(f"{self.api}{WORDS}/{PHONE}", params=self.token | {"body": WORDS}, timeout=60)
        requests.get(
            f"{self.api}messages", params=self.token | {"chatId": f"{PHONE}@c.us", "limit": WORDS}, timeout=60
        )
        requests.get(f"{self.api}sendMessage/{PHONE}", params=self.token, timeout=60)
        requests.post(
            f"{self.api}sendFile",
            params=self.token,
            json={"phone": PHONE, "body": f"http://127.0.0.1:1/{WORDS}", "filename": f"{WORDS}.pdf"},
            timeout=30,
        )
        requests.post(f"{self.api}sendMessage?token=wrong", json={"phone": PHONE, "body": WORDS}, timeout=60)

    def rest_api(self) -> None:
        requests.post(
            f"{self.rest}/sandbox/messages/",
            headers=self.key,
            json={"from": PHONE, "body": WORDS},
            timeout=60,
        )
        requests.post(
            f"{self.rest}/sandbox/messages/", headers=self.key, json={"from": WORDS, "body": 7}, timeout=60
        )
        requests.post(
            f"{self.rest}/sandbox/messages/",
            headers=self.key,
            data=f'{{"from": "{PHONE}", {WORDS}',
            timeout=60,
        )
        for path in (
            f"contacts/{PHONE}/",
            f"contacts/{WORDS}/",
            f"chats/{PHONE}@c.us/messages/",
            f"nothing/{PHONE}",
        ):
            requests.get(f"{self.rest}/sandbox/{path}", headers=self.key, timeout=60)

    def pages(self) -> None:
        with requests.Session() as session:
            page = f"{self.url}/accounts/login/"
            session.get(page, timeout=60)
            form = {"login": self.product.demo["email"], "password": self.product.demo["password"],
                    "csrfmiddlewaretoken": session.cookies["csrftoken"]}  # fmt: skip
            session.post(page, data=form, timeout=60)
            number = self.one["id"]
            for path in (
                f"/instances/{number}/messages/{PHONE}@c.us/", f"/instances/{number}/messages/{WORDS}/", f"/{PHONE}",
                f"/log/?instance={number}&chat={PHONE}&text={WORDS}", f"/testing/phone/?contact={PHONE}&text={WORDS}",
                f"/media/{'a' * 48}/{WORDS} {PHONE}.pdf", f"/bin/abcdefgh/{PHONE}/{WORDS}",
            ):  # fmt: skip
                session.get(self.url + path, timeout=60)
            reply = f"{self.url}/instances/{number}/messages/{PHONE}@c.us/reply/"
            form["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
            session.post(reply, data=form | {"text": WORDS}, timeout=60)
            session.post(reply, data={"text": WORDS}, timeout=60)  # without a token

    def failing_hooks(self) -> None:
        for url in (f"http://127.0.0.1:1/{PHONE}?text={WORDS}", f"{self.url}/accounts/login/?to={PHONE}"):
            requests.post(f"{self.api}settings", params=self.token, json={"webhookUrl": url}, timeout=60)
            requests.post(
                f"{self.rest}/sandbox/messages/",
                headers=self.key,
                json={"from": PHONE, "body": WORDS},
                timeout=60,
            )
            self.product.wait_for("Hook failed", 60)

    def long_inputs(self) -> None:
        long = "L" * 100_000
        requests.get(f"{self.url}/{long[:30_000]}", headers={"User-Agent": long[:30_000]}, timeout=60)
        requests.post(
            f"{self.api}sendMessage", params=self.token, json={"phone": PHONE, "body": long}, timeout=60
        )
        requests.post(f"{self.rest}/sandbox/messages/", headers=self.key, json={long: long}, timeout=60)
        requests.get(
            f"{self.url}/nowhere/",
            headers={"X-Request-ID": long[:6_000], "X-Correlation-ID": long[:6_000]},
            timeout=60,
        )

    def written(self) -> dict[str, str]:
        """Returns all log files by name, and what the product printed."""
        files = [path for path in Path(self.product.data_dir).glob("*.log*") if path.is_file()]
        return {path.name: path.read_text(errors="replace") for path in files} | {
            "printed": "\n".join(self.product.lines)
        }


@pytest.fixture(scope="module", params=["text", "json"])
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with Product(tmp_path_factory.mktemp("planted"), LOG_LEVEL="DEBUG", LOG_FORMAT=request.param) as product:
        planted = Planted(product)
        planted.contract()
        planted.rest_api()
        planted.pages()
        planted.failing_hooks()
        planted.long_inputs()
        requests.get(f"{product.url}/the-end/", timeout=60)
        product.wait_for("/the-end/")
        yield planted


@pytest.mark.timeout(400)
def test_no_phone_number_and_no_body_is_in_any_log(planted: Planted) -> None:
    written = planted.written()
    assert {"pg.log", "printed"} <= set(written)
    assert "sendMessage" in written["printed"]  # requests are logged
    for name, text in written.items():
        lines = [line for line in text.split("\n") if PHONE in line or "dear" in line or "code%20is" in line]
        assert lines == [], f"{name}: {lines[:3]}"


@pytest.mark.timeout(400)
def test_no_line_of_any_log_is_longer_than_2_kb(planted: Planted) -> None:
    for name, text in planted.written().items():
        longest = max(text.split("\n"), key=lambda line: len(line.encode()))
        assert len(longest.encode()) <= MAX_LINE_BYTES, f"{name}: {longest[:200]}"


def test_the_user_model_is_named_in_no_error_by_address(db: None) -> None:
    User.objects.create_user("ann@example.org", "x")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        User.objects.create_user("ann@example.org", "x")
    assert "ann" not in exception_text(caught.value)
