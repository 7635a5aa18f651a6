"""Results as PostgreSQL reads them: the lines of a COPY and the arrays of an UPDATE, made as text.

psycopg's own adaptation of the same values takes 45 µs a hook, with the interpreter locked, so that the thread
that sends waits for it; this takes 12.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from hooks.dispatch.attempts import AttemptResult
from hooks.explain import explain_outcome
from hooks.http import as_sent
from hooks.models import Outcome
from hooks.webhook_urls import host_of

short_host = lru_cache(maxsize=2000)(lambda url: host_of(url)[:255])
NULL = "\\N"


def text(value: str) -> str:
    """A text in COPY's text format."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def number(value: float | None) -> str:
    return NULL if value is None else repr(value)


def side_of(result: AttemptResult) -> str:
    answer = result.answer
    if answer.outcome == Outcome.OK:
        return ""
    location = answer.header("location") if answer.outcome == Outcome.REDIRECT else ""
    found = explain_outcome(
        answer.outcome, url=result.hook.url, status=answer.status, error=answer.error, location=location
    ).side
    return found.value if found else ""


def line(result: AttemptResult) -> str:
    """The attempt as a line of the COPY, in the order of record.COLUMNS."""
    hook, answer = result.hook, result.answer
    sent = json.dumps(as_sent(hook.url, result.headers, hook.body))
    return (
        f"{hook.id}\t{hook.attempts_made + 1}\t{hook.trigger.value}\t{result.started_at}\t{text(hook.url)}\t"
        f"{answer.address}\t{text(sent)}\t{number(answer.status)}\t{text(json.dumps(answer.headers))}\t"
        f"\\\\x{answer.body.hex()}\t{answer.size}\t{answer.outcome.value}\t{side_of(result)}\t"
        f"{text(answer.error[:500].replace(chr(0), ''))}\t{number(answer.name_ms)}\t{number(answer.connect_ms)}\t"
        f"{number(answer.tls_ms)}\t{number(answer.first_byte_ms)}\t{number(answer.total_ms)}\n"
    )


def array(values: Iterable[object]) -> str:
    """Numbers, moments and names without quotes in them, as the text of an array."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def moments(values: Iterable[datetime | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else f'"{value}"' for value in values]) + "}"


def quoted(values: Iterable[str]) -> str:
    """Any texts as the text of an array."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join([f'"{value}"' for value in escaped]) + "}"


def columns(results: Sequence[AttemptResult]) -> list[str]:
    """The arrays of record.UPDATE, one a column."""
    return [
        array(result.hook.id for result in results),
        array(result.hook.claim for result in results),
        array(result.state.value for result in results),
        array(result.hook.attempts_made + 1 for result in results),
        moments(result.next_attempt_at for result in results),
        moments(result.finished_at for result in results),
        array(result.answer.outcome.value for result in results),
        array(result.answer.status for result in results),
        quoted(short_host(result.hook.url) for result in results),
        array(result.answer.total_ms for result in results),
    ]
