"""With SENTRY_DSN, errors are reported: over a real socket, in Sentry's protocol, without private data."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatapi.monitoring.error_reports import MAX_PER_MINUTE
from tests.product import ROOT, product_environment
from tests.receiver import Received, Receiver

PHONE, WORDS = "17680561234", "Hello dear Ann, the code is blue"
# Requests are made by Django's test client, without a web server. Middleware and the request log are the product's.
SETUP = f"""
import logging, sys
import django
django.setup()
from django.conf import settings
from django.test import Client
PHONE, WORDS = {PHONE!r}, {WORDS!r}
log = logging.getLogger("instances.anything")
"""
# When a process ends, it waits two seconds for what it has not sent: too short on a slow machine.
SEND_ALL = """
import sentry_sdk
sentry_sdk.flush(60)
"""


@dataclass(frozen=True)
class Envelope:
    """What Sentry is sent in one request: lines with the headers of an envelope and of an item, and an event."""

    request: Received

    @property
    def text(self) -> str:
        is_packed = self.request.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.request.body) if is_packed else self.request.body).decode()

    @property
    def event(self) -> dict[str, Any]:
        _, kind, event, *_ = self.text.split("\n")
        assert json.loads(kind)["type"] == "event"
        found: dict[str, Any] = json.loads(event)
        return found


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with Receiver([(200, {}, b"{}")]) as running:
        yield running


@pytest.fixture
def reported(sentry: Receiver, tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Returns a function that runs code with the settings of the product, and returns the events of its process."""

    def run(code: str) -> list[dict[str, Any]]:
        environment = product_environment(
            tmp_path,
            DJANGO_SETTINGS_MODULE="chatapi.settings",
            SENTRY_DSN=f"http://0123456789abcdef@127.0.0.1:{sentry.port}/7",
            SENTRY_ENVIRONMENT="test",
        )
        done = subprocess.run(
            [sys.executable, "-c", SETUP + code + SEND_ALL],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        envelopes = [Envelope(request) for request in sentry.requests]
        for envelope in envelopes:
            assert envelope.request.path == "/api/7/envelope/"
            for private in (PHONE, WORDS, "dear", "token=", "sessionid"):
                assert private not in envelope.text + str(envelope.request.headers)
        return [envelope.event for envelope in envelopes]

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
from types import SimpleNamespace
from chatapi.monitoring import error_reports
seconds = 120
error_reports.time = SimpleNamespace(monotonic=lambda: seconds)
log.warning("A warning")
for number in range({MAX_PER_MINUTE} + 50):
    log.error("Error %s", number)
seconds = 180
log.error("A minute later")
""")
    assert [event["logentry"]["message"] for event in events] == [
        *(f"Error {number}" for number in range(MAX_PER_MINUTE)),
        "A minute later",
    ]


def test_a_forked_process_reports_on_a_connection_of_its_own(reported: Any, sentry: Receiver) -> None:
    events = reported("""
import os
import sentry_sdk
log.error("parent")
sentry_sdk.flush(60)
child = os.fork()
if not child:
    log.error("child")
    sentry_sdk.flush(60)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
log.error("parent again")
""")
    assert [event["logentry"]["message"] for event in events] == ["parent", "child", "parent again"]
    parent, child, parent_again = [request.client_port for request in sentry.requests]
    assert parent == parent_again != child


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
