"""What is logged and how: lines for a terminal, or one JSON object per line with LOG_FORMAT=json.

Never a body, a token, a phone number, an e-mail address or a query string: the wire contract's token travels in the
query (contract.md, section 1). Requests are logged by path; successful ones at DEBUG, because pages and bots poll all
day. A line has at most 2 KB: long headers from clients must not fill the disk.
"""

import logging
import re
import sys
from typing import Any

# structlog loads rich for its tracebacks wherever it is installed: 4 MB a process, and ours are plain.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None: "not installed"
import structlog  # noqa: E402

from chatapi.monitoring.error_text import (  # noqa: E402
    exception_text,
    traceback_text,
    without_details,
    without_messages,
)

# The second line of defence: these values are removed from every message, also those of libraries. In the path are the
# token of a shared bin or hook, the key of a file, and those of a mail (password reset, e-mail confirmation).
SECRETS = re.compile(
    r"(?i)\b((?:token|uid|password|secret|sessionid|csrftoken|key)=)[^&\s\"']+|\b(bearer\s+)\S+|\b(whsec_)\S+|\b(uid_)\w{20,}"
    r"|(/(?:shared/hooks|shared|media)/)[\w-]{20,}|(/reset/key/\w+-)(?!set-password\b)[\w-]+|(/confirm-email/)[\w:%-]{10,}"
)


def without_secrets(text: str) -> str:
    """`?token=abc` becomes `?token=…`; likewise account keys, bearer tokens, webhook secrets."""
    return SECRETS.sub(lambda found: next(group for group in found.groups() if group) + "…", text)


# An e-mail address or a chat id (a phone number) in an error of the database or of a mail server.
ADDRESS = re.compile(r"[^\s@\"'`<>()\[\]{},;:=/]{1,64}@[\w-]+(?:\.[\w-]+)*")


def without_addresses(text: str) -> str:
    """`Key (email)=(ann@example.org) already exists` becomes `Key (email)=(…@…) already exists`."""
    return ADDRESS.sub("…@…", text) if "@" in text else text


# A phone number, as in a chat's URL: at least 8 digits, for which an instance's number is no reason to worry. Longer
# words that contain digits are ids.
PHONE = re.compile(r"(?<![0-9A-Za-z])(?<!instances/)(?<!nstance )\+?[0-9]{8,}(?![0-9A-Za-z]|-[0-9a-f]{4}-)")


def without_phones(text: str) -> str:
    """`/phone/contacts/17680561234` becomes `/phone/contacts/…`."""
    return PHONE.sub("…", text)


def clean(value: Any) -> Any:
    """Returns the value as it may be logged: text without private data, numbers as they are."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [clean(item) for item in value]
    if isinstance(value, BaseException):
        value = exception_text(value)
    return without_private_data(without_details(without_messages(str(value))))


def without_private_data(text: str) -> str:
    return without_phones(without_addresses(without_secrets(text)))


OWN_TEXT = ("exception", "stack")  # without messages already
MULTI_LINE = (*OWN_TEXT, "event")


def cut_secrets(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """structlog processor: removes secrets and private data from every value of the event, the traceback's too.

    Line breaks stay in tracebacks and in libraries' messages only: another value with one could look like a line of
    the log.
    """
    return {key: clean_value(key, value) for key, value in event.items()}


def clean_value(key: str, value: Any) -> Any:
    if key in OWN_TEXT:
        return without_private_data(str(value))
    shown = clean(value)
    if isinstance(shown, str) and key not in MULTI_LINE:
        return shown.replace("\n", "\\n").replace("\r", "\\r")
    return shown


def exception_in(found: Any) -> BaseException | None:
    """Returns the error of `exc_info`: an error, a tuple of sys.exc_info(), or True for the one being handled."""
    if isinstance(found, BaseException):
        return found
    if isinstance(found, tuple):
        return found[1]  # as sys.exc_info()
    return sys.exc_info()[1] if found else None


def explain_exceptions(*, with_source: bool) -> Any:
    """Returns the structlog processor that writes `exc_info` as a traceback without data (error_text.py)."""

    def processor(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        error = exception_in(event.pop("exc_info", None))
        if error is not None:
            event["exception"] = traceback_text(error, with_source=with_source)
        return event

    return processor


MAX_LINE_BYTES = 2048
# Characters that are left of a long value, tried in this order until the line is short enough.
LIMITS = (1000, 500, 250, 100, 40)


def at_most_2_kb(render: Any) -> Any:
    """Returns the structlog processor that renders an event with `render`, in lines of at most MAX_LINE_BYTES bytes.

    Longer values are cut and say so. Of a traceback the end is kept, where the error is. An event of several lines (a
    traceback in text) is cut line by line.
    """

    def fits(text: str) -> bool:
        return len(text) * 4 <= MAX_LINE_BYTES or all(
            len(line.encode(errors="replace")) <= MAX_LINE_BYTES for line in text.split("\n")
        )

    def processor(logger: Any, method: str, event: dict[str, Any]) -> str:
        text: str = render(logger, method, dict(event))
        for limit in LIMITS:
            if fits(text):
                return text
            event = {key: cut_value(key, value, limit) for key, value in event.items()}
            text = render(logger, method, dict(event))
        if fits(text):
            return text
        event = {key: event[key] for key in ("timestamp", "level", "logger", "event") if key in event}
        return str(render(logger, method, event | {"cut": "all other values"}))

    return processor


def cut_value(key: str, value: Any, limit: int) -> Any:
    """Returns the value with at most `limit` characters in each of its lines, or in all if it has no lines."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    if len(text) <= limit:
        return value
    if key in ("exception", "stack"):
        return f"[{len(text) - limit} characters cut]…{text[-limit:]}"
    return f"{text[:limit]}…[{len(text) - limit} characters cut]"


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
]


def logging_config(level: str, *, as_json: bool, sentry_dsn: str = "") -> dict[str, Any]:
    """Django's LOGGING for a level such as INFO (an unknown one counts as INFO; the system checks report it).

    With `sentry_dsn`, errors are also reported there (error_reports.py, which is imported by its path for that).
    """
    level = level if level in logging.getLevelNamesMapping() else "INFO"
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    if as_json:
        render: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
        stamp = structlog.processors.TimeStamper(fmt="iso")
    else:
        render = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    ending = [explain_exceptions(with_source=not as_json), cut_secrets, at_most_2_kb(render)]
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handlers: dict[str, dict[str, Any]] = {"console": {"class": "logging.StreamHandler", "formatter": "line"}}
    if sentry_dsn:
        handlers["reports"] = {"()": "chatapi.monitoring.error_reports.ErrorReports", "dsn": sentry_dsn}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [stamp, remove, *ending],
            }
        },
        "handlers": handlers,
        "root": {"handlers": [*handlers], "level": level},
        "loggers": {
            # The request log has every failure with its traceback; this logger would repeat it.
            "django.request": {"level": "CRITICAL"},
            "django.server": {"level": "ERROR"},
            # A request that is too large is the client's error; the request log has the 400.
            "django.security.RequestDataTooBig": {"level": "CRITICAL"},
            "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
            "django.security.TooManyFilesSent": {"level": "CRITICAL"},
            "django.db.backends": {"level": "INFO"},  # at DEBUG it prints parameters
            "django-q": {"level": "WARNING" if level == "INFO" else level},
            "urllib3": {"level": "INFO"},  # at DEBUG it prints URLs with their queries
        },
    }


# django-structlog's levels: successful requests are logged with LOG_LEVEL=DEBUG only.
REQUEST_LEVELS = {
    "DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL": logging.DEBUG,
    "DJANGO_STRUCTLOG_STATUS_2XX_LOG_LEVEL": logging.DEBUG,
    "DJANGO_STRUCTLOG_STATUS_DEFAULT_LOG_LEVEL": logging.DEBUG,
    "DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL": logging.INFO,
    "DJANGO_STRUCTLOG_STATUS_5XX_LOG_LEVEL": logging.ERROR,
}
