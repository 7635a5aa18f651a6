"""The log as a file: NDJSON, each line a hook with its attempts as REST has it; CSV, a line a hook for spreadsheets.

Written in portions by key, so that ten thousand hooks never stand in memory together, and no query lasts while a slow
reader reads. Where more fit than a file takes, its last line says so and where the next file begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from rest_framework.utils.encoders import JSONEncoder

from chatapi.ui.downloads import csv_line
from hooks.explain import explain_hook
from hooks.models import Hook, HookQuerySet
from instances.api.serializers.hooks import HookSerializer, shown

EXPORT_MOST = 10_000
AT_ONCE = 100  # hooks read at once


def portions(hooks: HookQuerySet, *, before: int | None, most: int) -> Iterator[list[Hook]]:
    """The newest `most`, those older than the key `before`, with their attempts."""
    left = most
    whole = hooks.select_related("endpoint__instance").prefetch_related("attempts__hook").order_by("-pk")
    while left > 0:
        found = list((whole if before is None else whole.filter(pk__lt=before))[: min(AT_ONCE, left)])
        if not found:
            return
        yield found
        left -= len(found)
        before = found[-1].pk


def ndjson(hooks: Iterable[list[Hook]]) -> Iterator[str]:
    for portion in hooks:
        for hook in HookSerializer(portion, many=True).data:
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
        shown(hook.body)[0],
    ]  # fmt: skip


def iso(moment: Any) -> str:
    return moment.isoformat(timespec="milliseconds") if moment else ""


def csv_lines(hooks: Iterable[list[Hook]]) -> Iterator[str]:
    """It begins with a byte order mark, without which Excel takes UTF-8 for something else."""
    yield "\ufeff" + csv_line(COLUMNS)
    for portion in hooks:
        yield "".join(csv_line(csv_row(hook)) for hook in portion)


class Format(NamedTuple):
    name: str
    extension: str
    type: str
    write: Callable[[Iterable[list[Hook]]], Iterator[str]]
    note: Callable[[str], str]  # a last line that says something


FORMATS = {
    "ndjson": Format(
        "NDJSON",
        "ndjson",
        "application/x-ndjson",
        ndjson,
        lambda words: json.dumps({"leftOut": words}, ensure_ascii=False) + "\n",
    ),
    "csv": Format(
        "CSV", "csv", "text/csv; charset=utf-8", csv_lines, lambda words: csv_line([f"Left out: {words}"])
    ),
}


def export(
    hooks: HookQuerySet, format: Format, *, before: int | None, next_file: Callable[[int], str]
) -> Iterator[str]:
    """The file, newest first; `next_file` tells the address of the file of those older than a key."""
    last: int | None = None

    def noted() -> Iterator[list[Hook]]:
        nonlocal last
        for portion in portions(hooks, before=before, most=EXPORT_MOST):
            last = portion[-1].pk
            yield portion

    yield from format.write(noted())
    if last is not None and hooks.filter(pk__lt=last).exists():
        yield format.note(
            f"older hooks fit as well, but a file takes {EXPORT_MOST}; the next is {next_file(last)}"
        )
