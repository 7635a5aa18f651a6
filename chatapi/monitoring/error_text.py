"""Errors as text for the log: where they happened and what they are, without the data that they were about.

Messages of exceptions quote their input: `Key (chat_id)=(17680561234@c.us) already exists`, `invalid literal for int():
'Hello Ann'`. So a database error is named by its SQLSTATE and constraint, and other messages lose what they quote.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from django.db import Error as DjangoDatabaseError

MAX_FRAMES = 30  # the innermost ones; a recursion has a thousand
MAX_MESSAGE = 300  # characters
# What messages put values in: '…', "…", “…”, `…`, b'…'.
QUOTED = re.compile(r"""b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*"|“[^”]*”|`[^`]*`""")
IDENTIFIER = re.compile(r"\W{0,2}[A-Za-z_][A-Za-z0-9_.]{0,60}\W{0,2}")
# Their messages quote names in the source code, not input.
ABOUT_CODE = (AttributeError, ImportError, KeyError, NameError, TypeError)
# PostgreSQL's classes of errors whose message names no value: connections, resources, the server; names in SQL.
WITHOUT_VALUES = ("08", "25", "26", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "XX")


def exception_text(error: BaseException) -> str:
    """Returns the class and what can be said without data: "UniqueViolation (23505, constraint chat_once)"."""
    name = type(error).__name__
    said = message_of(error)
    return f"{name}: {said}" if said else name


def message_of(error: BaseException) -> str:
    if isinstance(error, DjangoDatabaseError) or hasattr(error, "diag"):
        return database_message(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the log must not fail because of what it logs
        return ""
    lines = text.strip().splitlines()
    if not lines:
        return ""
    first = QUOTED.sub(lambda found: unquoted(found[0], error), lines[0])
    return first if len(first) <= MAX_MESSAGE else f"{first[:MAX_MESSAGE]}…"


def unquoted(quoted: str, error: BaseException) -> str:
    if isinstance(error, ABOUT_CODE) and IDENTIFIER.fullmatch(quoted):
        return quoted
    return "'…'"


def database_message(error: Any) -> str:
    """Returns SQLSTATE, constraint, table and column. The message itself only if its class names no values."""
    cause = error if hasattr(error, "diag") else error.__cause__
    diag = getattr(cause, "diag", None)
    state = getattr(diag, "sqlstate", None) or ""
    if diag is None or not state:  # no connection, or an error of the driver
        return (
            (str(error).strip().splitlines() or [""])[0][:MAX_MESSAGE] if is_about_connection(error) else ""
        )
    parts = [f"{state} {type(cause).__name__}"]
    for what, value in (
        ("constraint", diag.constraint_name),
        ("table", diag.table_name),
        ("column", diag.column_name),
    ):
        if value:
            parts.append(f"{what} {value}")
    said = f" {diag.message_primary}" if state.startswith(WITHOUT_VALUES) else ""
    return f"({', '.join(parts)}){said}"


def is_about_connection(error: BaseException) -> bool:
    return type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout", "PoolTimeout")


def chain_of(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yields the causes, the oldest first, each with the words that lead to the next one."""
    if error.__cause__ is not None:
        yield from chain_of(error.__cause__)
        yield error, "The above exception was the direct cause of the following exception:"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from chain_of(error.__context__)
        yield error, "During handling of the above exception, another exception occurred:"
    else:
        yield error, ""


def traceback_text(error: BaseException, *, with_source: bool) -> str:
    """Returns Python's traceback, with exception_text in place of messages.

    Without source lines it is a third as long, for logs of one line per event.
    """
    parts = []
    for one, words in chain_of(error):
        if words:
            parts.append(f"\n{words}\n" if with_source else words)
        parts.append("Traceback (most recent call last):")
        parts += frames(one.__traceback__, with_source=with_source)
        parts.append(exception_text(one))
    return "\n".join(parts)


def frames(found: TracebackType | None, *, with_source: bool) -> list[str]:
    stack = traceback.extract_tb(found)
    shown = stack[-MAX_FRAMES:]
    outer = [f"  … {len(stack) - len(shown)} outer frames"] if len(stack) > len(shown) else []
    lines = []
    for frame in shown:
        lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        if with_source and frame.line:
            lines.append(f"    {frame.line}")
    return [*outer, *lines]


# -- text of libraries that contains a traceback, such as django-q2's report of a failed task

TRACEBACK = "Traceback (most recent call last):"
FRAME = re.compile(r'  File ".*", line \d+, in ')
LINKS = ("During handling of the above exception", "The above exception was the direct cause")
RAISED = re.compile(r"([A-Za-z_][\w.]*)(: |$)")
# Between what a library says and the traceback, django-q2 puts the exception's message.
BEFORE_MESSAGE = " - "


def without_messages(text: str) -> str:
    """Returns a text with a traceback without the messages of its exceptions, of which only the class is left."""
    if TRACEBACK not in text:
        return text
    head, _, rest = text.partition(TRACEBACK)
    kept = [*head.partition(BEFORE_MESSAGE)[0].strip().splitlines()[:1], TRACEBACK]
    previous, after_frames = "", True
    for line in rest.splitlines()[1:]:
        if FRAME.match(line) or line.startswith((TRACEBACK, *LINKS)):
            kept.append(line)
            after_frames = True
        elif line.startswith("    ") and FRAME.match(previous):
            kept.append(line)
        elif after_frames and (raised := RAISED.match(line)):
            kept.append(raised[1])
            after_frames = False
        previous = line
    return "\n".join(part for part in kept if part)


# PostgreSQL's own lines under a message. psycopg puts them into the text of its errors.
DATABASE_DETAILS = re.compile(r"(?m)^(DETAIL|CONTEXT|HINT|LINE \d+|STATEMENT|QUERY):.*$|(?<=[.)]) ?DETAIL:.*")


def without_details(text: str) -> str:
    """Returns the text of a database error without the lines that contain values and SQL."""
    return DATABASE_DETAILS.sub("", text).rstrip() if ":" in text else text
