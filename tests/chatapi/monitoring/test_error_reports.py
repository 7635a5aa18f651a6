"""With SENTRY_DSN, errors are reported: over a real socket, in Sentry's protocol, without private data."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from chatapi.monitoring.error_reports import MAX_PER_MINUTE
from tests.product import ROOT, product_environment

PHONE, WORDS = "17680561234", "Hello dear Ann, the code is blue"
# Django's test client stands for the web server: middleware, request log and errors are the product's.
SETUP = f"""
import logging, sys
import django
django.setup()
from django.conf import settings
from django.test import Client
PHONE, WORDS = {PHONE!r}, {WORDS!r}
log = logging.getLogger("instances.anything")
"""


class Sentry:
    """Sentry's end of the protocol: `events` are those of the envelopes that it was sent."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[str, dict[str, Any], str]] = []  # path, event, everything as text
        found = self.envelopes

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    content = gzip.decompress(content)
                text = content.decode()
                _, kind, event, *_ = text.split("\n")
                if json.loads(kind)["type"] == "event":
                    found.append((self.path, json.loads(event), text + str(self.headers)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://0123456789abcdef@127.0.0.1:{self.server.server_port}/7"

    def __enter__(self) -> Sentry:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with Sentry() as running:
        yield running


@pytest.fixture
def reported(sentry: Sentry, tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Returns a function that runs code with the settings of the product, and returns the events of its process."""

    def run(code: str) -> list[dict[str, Any]]:
        environment = product_environment(
            tmp_path,
            DJANGO_SETTINGS_MODULE="chatapi.settings",
            SENTRY_DSN=sentry.dsn,
            SENTRY_ENVIRONMENT="test",
        )
        done = subprocess.run(
            [sys.executable, "-c", SETUP + code], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        for path, _, text in sentry.envelopes:
            assert path == "/api/7/envelope/"
            for private in (PHONE, WORDS, "dear", "token=", "sessionid"):
                assert private not in text
        return [event for _, event, _ in sentry.envelopes]

    return run


def test_an_error_is_reported_with_its_places_and_no_data(reported: Any) -> None:
    [event] = reported("""
def fail():
    words = WORDS
    try:
        int(words)
    except ValueError as error:
        raise LookupError(f"no chat “{words}” of {PHONE}") from error
try:
    fail()
except LookupError:
    log.exception("The chat %s of %s failed", PHONE, "ann@example.org")
""")
    assert (event["level"], event["logger"], event["environment"]) == ("error", "instances.anything", "test")
    assert event["logentry"]["message"] == "The chat … of …@… failed"
    cause, error = event["exception"]["values"]
    assert (cause["type"], cause["value"]) == ("ValueError", "invalid literal for int() with base 10: '…'")
    assert (error["type"], error["value"]) == ("LookupError", "no chat '…' of …")
    assert [frame["function"] for frame in error["stacktrace"]["frames"]] == ["<module>", "fail"]
    assert "vars" not in json.dumps(event)


def test_what_the_product_logs_by_itself_keeps_its_values(reported: Any) -> None:
    [event] = reported("""
import structlog
structlog.contextvars.bind_contextvars(ip="192.0.2.7", request_id="r1")
structlog.get_logger("worker").error("The cluster ended", pids=[1, 2], chat=f"{PHONE}@c.us")
""")
    assert event["logentry"]["message"] == "The cluster ended"
    assert event["extra"] == {"pids": [1, 2], "chat": "…@…", "request_id": "r1"}


def test_a_failed_request_is_reported_once_without_its_query(reported: Any) -> None:
    [event] = reported("""
def fail(request):
    raise LookupError(f"no chat {WORDS!r}")

from chatapi import urls
from django.urls import path
urls.urlpatterns.insert(0, path("fails/", fail))
client = Client(raise_request_exception=False, headers={"User-Agent": WORDS, "Host": "localhost"})
assert client.get("/fails/", {"token": "0123456789abcdef", "words": WORDS}).status_code == 500
""")
    assert event["extra"]["request"] == "GET /fails/"
    [error] = event["exception"]["values"]
    assert (error["type"], error["stacktrace"]["frames"][-1]["function"]) == ("LookupError", "fail")
    assert "request" not in event


def test_warnings_are_not_reported_and_a_flood_of_errors_is_cut_off(reported: Any) -> None:
    events = reported(f"""
log.warning("A warning")
for number in range({MAX_PER_MINUTE} + 50):
    log.error("Error %s", number)
""")
    assert [event["logentry"]["message"] for event in events] == [
        f"Error {number}" for number in range(MAX_PER_MINUTE)
    ]


def test_nothing_is_loaded_without_a_dsn(tmp_path: Path) -> None:
    environment = product_environment(tmp_path, DJANGO_SETTINGS_MODULE="chatapi.settings")
    code = SETUP + "log.error('An error'); assert 'sentry_sdk' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "An error" in done.stderr


def test_a_wrong_dsn_stops_no_command_but_is_said(tmp_path: Path) -> None:
    environment = product_environment(tmp_path, SENTRY_DSN="https://sentry.example.com/1")
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "SENTRY_DSN: it is not a URL with a key and the number of a project." in done.stderr
