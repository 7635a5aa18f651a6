"""What channels read from a messenger's response: its JSON, its words, and how long it asks to wait. Nothing raises."""

from __future__ import annotations

import json
import json.scanner
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from hooks.http import Response
from hooks.retries import retry_after_delay

MAX_WAIT_SECONDS = 86_400.0  # the sender tries a message for a day
# Of a body that is read at once, in up to 30 ms if it is made to be slow; in 1 ms otherwise.
LARGE_BYTES = 256 * 1024
MAX_WORDS = 500  # characters of the messenger's words that are kept


class PatientDecoder(json.JSONDecoder):
    """Decodes in Python what json does in C: 5 times as long, and other threads run meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def is_large(body: bytes) -> bool:
    """Whether the body is read in a thread (large_responses.py)."""
    return len(body) > LARGE_BYTES


def json_value(response: Response) -> Any:
    """Returns the JSON value in the body. Raises ValueError, RecursionError."""
    return json.loads(response.body, cls=PatientDecoder if is_large(response.body) else None)


def json_object(response: Response) -> dict[str, Any]:
    """Returns the JSON object in the body; empty if there is none."""
    try:
        found = json_value(response)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def json_objects(response: Response) -> list[dict[str, Any]]:
    """Returns the objects of the JSON array in the body; empty if there is none."""
    try:
        found = json_value(response)
    except (ValueError, RecursionError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def words(found: object) -> str:
    """Returns a text of the messenger as one line of at most MAX_WORDS characters; empty if it is no text."""
    if not isinstance(found, str):
        return ""
    printable = "".join(letter if letter.isprintable() else " " for letter in found[: 4 * MAX_WORDS])
    return " ".join(printable.split())[:MAX_WORDS]


def date_of(response: Response) -> datetime | None:
    """Returns the Date of a response, by the messenger's clock; None if it is missing or invalid."""
    try:
        found = parsedate_to_datetime(response.header("date"))
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def retry_after(response: Response) -> float | None:
    """Returns the seconds of Retry-After, at most MAX_WAIT_SECONDS; None if it is missing, invalid or past.

    An HTTP date is compared with the response's own Date, so this is a pure function.
    """
    given = response.header("retry-after")
    now = datetime.min.replace(tzinfo=UTC) if given.strip().isdigit() else date_of(response)
    if now is None:
        return None
    seconds = retry_after_delay(now, given).total_seconds()
    return min(seconds, MAX_WAIT_SECONDS) or None
