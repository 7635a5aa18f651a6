"""The log as a file: NDJSON, one hook per line with its attempts, as REST returns it; CSV, one row per hook.

Read in batches by key, so that at most BATCH_SIZE hooks are in memory, and no query stays open while a slow client
reads. If more hooks match than a file holds, its last line says so, with the URL of the next file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from django.db.models import prefetch_related_objects
from rest_framework.utils.encoders import JSONEncoder

from chatapi.ui.downloads import csv_line
from hooks.explain.sentences import explain_hook
from hooks.models import Hook
from instances.api.serializers.hooks import HookSerializer, encode_body

EXPORT_MAX = 10_000
BATCH_SIZE = 100


class Newest(Protocol):
    """Returns the newest `limit` hooks with a key below `before` that a file contains."""

    def __call__(self, limit: int, *, before: int | None) -> list[Hook]: ...


def batches(newest: Newest, *, before: int | None, limit: int) -> Iterator[list[Hook]]:
    """The newest `limit` hooks with a key below `before`, with their attempts."""
    left = limit
    while left > 0:
        found = newest(min(BATCH_SIZE, left), before=before)
        prefetch_related_objects(found, "endpoint__instance", "attempts__hook")
        if not found:
            return
        yield found
        left -= len(found)
        before = found[-1].pk


def ndjson_lines(batches: Iterable[list[Hook]]) -> Iterator[str]:
    for batch in batches:
        for hook in HookSerializer(batch, many=True).data:
            yield json.dumps(hook, cls=JSONEncoder, ensure_ascii=False) + "\n"


COLUMNS = (
    "id", "createdAt", "kind", "state", "explanation", "messageId", "chatId", "simulated", "host", "attemptsMade",
    "attemptsAllowed", "lastAnswer", "lastOutcome", "lastMs", "nextAttemptAt", "finishedAt", "skipReason", "body",
)  # fmt: skip


def csv_row(hook: Hook) -> list[Any]:
    return [
        hook.webhook_id, iso(hook.created_at), hook.kind, hook.state, explain_hook(hook), hook.message, hook.chat,
        "yes" if hook.simulated else "no", hook.last_host, hook.attempts_made, hook.attempts_allowed, hook.last_status,
        hook.last_outcome, hook.last_ms, iso(hook.next_attempt_at), iso(hook.finished_at), hook.skip_reason,
        encode_body(hook.body)[0],
    ]  # fmt: skip


def iso(moment: Any) -> str:
    return moment.isoformat(timespec="milliseconds") if moment else ""


def csv_lines(batches: Iterable[list[Hook]]) -> Iterator[str]:
    """Starts with a byte order mark; without it Excel does not read the file as UTF-8."""
    yield "\ufeff" + csv_line(COLUMNS)
    for batch in batches:
        yield "".join(csv_line(csv_row(hook)) for hook in batch)


class Format(NamedTuple):
    name: str
    extension: str
    type: str
    write: Callable[[Iterable[list[Hook]]], Iterator[str]]
    note: Callable[[str], str]  # the last line, with a remark


FORMATS = {
    "ndjson": Format(
        "NDJSON",
        "ndjson",
        "application/x-ndjson",
        ndjson_lines,
        lambda words: json.dumps({"leftOut": words}, ensure_ascii=False) + "\n",
    ),
    "csv": Format(
        "CSV", "csv", "text/csv; charset=utf-8", csv_lines, lambda words: csv_line([f"Left out: {words}"])
    ),
}


def export(
    newest: Newest, format: Format, *, before: int | None, next_url: Callable[[int], str]
) -> Iterator[str]:
    """The file, newest first; `next_url` returns the URL of the file of hooks with a key below its argument."""
    last: int | None = None

    def read() -> Iterator[list[Hook]]:
        nonlocal last
        for batch in batches(newest, before=before, limit=EXPORT_MAX):
            last = batch[-1].pk
            yield batch

    yield from format.write(read())
    if last is not None and newest(1, before=last):
        yield format.note(
            f"older hooks match too, but a file holds {EXPORT_MAX}; the next file is {next_url(last)}"
        )
