"""What is logged and how: lines for a terminal, or one JSON object per line with LOG_FORMAT=json.

Never a body, a token, an e-mail address or a query string: the wire contract's token travels in the query
(contract.md, section 1). Requests are logged by path; successful ones at DEBUG, because pages and bots poll all day.
"""

import logging
import re
import sys
from typing import Any

# structlog loads rich for its tracebacks wherever it is installed: 4 MB a process, and ours are plain.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # None: "not installed"
import structlog  # noqa: E402

# The second line of defence: these values are removed from every message, also those of libraries. The token of a
# shared bin, the key of a file, and those of a mail's link (password reset, e-mail confirmation) are in the path.
SECRETS = re.compile(
    r"(?i)\b((?:token|uid|password|secret|sessionid|csrftoken|key)=)[^&\s\"']+|\b(bearer\s+)\S+|\b(whsec_)\S+|\b(uid_)\w{20,}"
    r"|(/(?:shared|media)/)[\w-]{20,}|(/reset/key/\w+-)(?!set-password\b)[\w-]+|(/confirm-email/)[\w:%-]{10,}"
)


def without_secrets(text: str) -> str:
    """`?token=abc` becomes `?token=…`; likewise account keys, bearer tokens, webhook secrets."""
    return SECRETS.sub(lambda found: next(group for group in found.groups() if group) + "…", text)


# An e-mail address or a chat id (a phone number) in an error of the database or of a mail server.
ADDRESS = re.compile(r"[^\s@\"'`<>()\[\]{},;:=/]{1,64}@[\w-]+(?:\.[\w-]+)*")


def without_addresses(text: str) -> str:
    """`Key (email)=(ann@example.org) already exists` becomes `Key (email)=(…@…) already exists`."""
    return ADDRESS.sub("…@…", text) if "@" in text else text


def cut_secrets(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """structlog processor: removes secrets and addresses from every text of the event, including the traceback."""
    return {
        key: without_addresses(without_secrets(value)) if isinstance(value, str) else value
        for key, value in event.items()
    }


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
]


def logging_config(level: str, as_json: bool) -> dict[str, Any]:
    """Django's LOGGING for a level such as INFO (an unknown one counts as INFO; the system checks report it)."""
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
        shown: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
        stamp = structlog.processors.TimeStamper(fmt="iso")
    else:
        # The plain traceback: rich's would print local variables, and with them tokens and bodies.
        shown = structlog.dev.ConsoleRenderer(
            colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    ending = [structlog.processors.format_exc_info, cut_secrets, shown]
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
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
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
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
