"""Reports errors to Sentry, or to any service that takes its protocol, if SENTRY_DSN is set.

What is logged as an error is reported, with the same text: errors as error_text.py writes them, values without private
data (logging_config.clean). The SDK's own integrations are off, since they would add request headers, URLs with tokens
and local variables with bodies. Reports are sent by a thread and a connection of their own in each process.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentry_sdk
import structlog
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.utils import BadDsn, Dsn

from chatapi import __version__
from chatapi.monitoring.error_text import MAX_FRAMES, chain_of, message_of
from chatapi.monitoring.logging_config import clean, exception_in, without_private_data

if TYPE_CHECKING:
    from sentry_sdk.types import Event

MAX_PER_MINUTE = 60  # reports of one process: when the database is away, each task fails
CLOSE_SECONDS = 2  # for what was not sent when the process ends
CODE = f"{Path(__file__).resolve().parents[2]}/"  # the clone, or the folder of an environment's packages
OWN_PACKAGES = ("accounts/", "chatapi/", "hooks/", "instances/", "testing_tools/")
# said elsewhere in the event, or about a person
LEFT_OUT = {"event", "exc_info", "level", "logger", "ip", "user_agent"}


class ErrorReports(logging.Handler):
    """A handler of Python's logging. With a wrong DSN it reports nothing: the system checks say so (dsn_error)."""

    def __init__(self, dsn: str) -> None:
        super().__init__(logging.ERROR)
        self.dsn = "" if dsn_error(dsn) else dsn
        self.minute, self.reported = 0, 0
        self.start_client()

    def start_client(self) -> None:
        """Start the client of this process. A forked one has its parent's, with the same TLS connection to Sentry."""
        self.process = os.getpid()
        sentry_sdk.init(
            self.dsn,
            release=__version__,
            default_integrations=False,
            integrations=[AtexitIntegration(callback=lambda pending, timeout: None)],
            shutdown_timeout=CLOSE_SECONDS,
            max_breadcrumbs=0,
        )

    def emit(self, record: logging.LogRecord) -> None:
        minute = int(time.monotonic() // 60)
        if minute != self.minute:
            self.minute, self.reported = minute, 0
        self.reported += 1
        if self.reported > MAX_PER_MINUTE or record.name.startswith("sentry_sdk"):
            return
        try:
            if self.process != os.getpid():
                self.start_client()
            sentry_sdk.capture_event(event_of(record))
        except Exception:  # noqa: BLE001 - as logging does: what is logged must not fail because of the log
            self.handleError(record)


def dsn_error(dsn: str) -> str | None:
    """Returns what is wrong with the value of SENTRY_DSN, without the value, which has a key; None if it is right."""
    try:
        Dsn(dsn)
    except BadDsn:
        return "it is not a URL with a key and the number of a project"
    return None


def event_of(record: logging.LogRecord) -> Event:
    """Returns Sentry's event of one line of the log."""
    values: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
    error = exception_in(values.get("exc_info") or record.exc_info)
    values = structlog.contextvars.get_contextvars() | values
    event: Event = {
        "level": "fatal" if record.levelno >= logging.CRITICAL else "error",
        "logger": record.name,
        "logentry": {"message": clean(values["event"])},
        "extra": {key: clean(value) for key, value in values.items() if key not in LEFT_OUT},
    }
    if error is not None:
        event["exception"] = {"values": [exception_value(one) for one, _ in chain_of(error)]}
    return event


def exception_value(error: BaseException) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "module": type(error).__module__,
        "value": without_private_data(message_of(error)),
        "stacktrace": {"frames": [frame_value(frame) for frame in frames_of(error)]},
    }


def frames_of(error: BaseException) -> list[traceback.FrameSummary]:
    return traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]


def frame_value(frame: traceback.FrameSummary) -> dict[str, Any]:
    """Returns Sentry's frame. It shows the frames of the product first (`in_app`)."""
    name = frame.filename.removeprefix(CODE)
    return {
        "filename": name,
        "function": frame.name,
        "lineno": frame.lineno,
        "context_line": frame.line,
        "in_app": name.startswith(OWN_PACKAGES),
    }
