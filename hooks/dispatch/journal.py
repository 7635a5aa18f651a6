"""Keeps finished attempts in files until they are recorded, so that kill -9 of a dispatcher does not send them again.

What was written to a file survives the process. A batch of results is a file in DATA_DIR, which is emptied when the
batch is in the database. The next dispatcher on the machine records what the files of a dead one contain, before it
frees that one's lanes (database_threads.py); recording a result a second time has no effect.

Measured on a busy machine, in µs of CPU per hook: 7 for the journal, with batches of 400 results. Batches of 50 without
a journal leave as few hooks unrecorded, and take 65 more: 30 in PostgreSQL and 35 in Python.

A file has what the log shows of an attempt, and no secret. If the disk is full, the dispatcher continues without it: it
writes nothing more, as nothing may follow a portion that was written in part.
"""

from __future__ import annotations

import errno
import logging
import marshal
import os
import struct
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import MAGIC_NUMBER
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings

from hooks import metrics, worker_slots
from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.models import Outcome, State, Trigger

log = logging.getLogger(__name__)

SUFFIX = ".results"
BATCH = 500  # results recorded at once
DEAD = f"SELECT owner FROM unnest(%s::bigint[]) AS owner WHERE {worker_slots.is_dead_sql('owner')}"
# Before each portion: the version of Python, whose marshal format it has, and its length.
HEADER = struct.Struct(f"!{len(MAGIC_NUMBER)}sI")


def folder() -> Path:
    return Path(settings.DATA_DIR) / "dispatch"


class Segment:
    """The file of one batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def exists(self) -> bool:
        return os.fstat(self.fd).st_nlink > 0

    def append(self, portion: bytes) -> None:
        """Write a portion. Raises OSError if only a part of it was written: read() would take the next for its rest."""
        if os.write(self.fd, portion) < len(portion):  # the first of two errors when the disk becomes full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def clear(self) -> None:
        os.ftruncate(self.fd, 0)

    def close(self) -> None:
        os.close(self.fd)


class Journal:
    """The files of one dispatcher. The sending thread writes them; the recorder's thread empties them."""

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.numbers = count()
        self.opened: list[Segment] = []
        self.free: deque[Segment] = deque()  # empty files, for the next batches
        self.current: Segment | None = None  # of the batch that is not submitted yet
        self.is_broken = False

    def write(self, results: Sequence[AttemptResult]) -> None:
        """Add results to the file of the current batch."""
        if not results or self.is_broken:
            return
        data = marshal.dumps([values_of(result) for result in results])
        try:
            if self.current is None:
                self.current = self.next_segment()
            self.current.append(HEADER.pack(MAGIC_NUMBER, len(data)) + data)
        except OSError as error:
            self.is_broken = True
            log.warning(
                "The results that are not recorded yet cannot be kept in %s (%s): if the dispatcher is killed, more"
                " hooks are sent twice.",
                folder(),
                error.strerror,
            )

    def next_segment(self) -> Segment:
        while self.free:
            segment = self.free.popleft()
            if segment.exists():
                return segment
            # Another dispatcher took this one for dead: PostgreSQL was restarted, and the other was connected first.
            self.opened.remove(segment)
            segment.close()
        folder().mkdir(mode=0o700, exist_ok=True)
        segment = Segment(folder() / f"{self.owner}-{next(self.numbers)}{SUFFIX}")
        self.opened.append(segment)
        return segment

    def end_batch(self) -> Segment | None:
        """Returns the file of the batch that ends now, for clear() when it is recorded; None without one."""
        segment, self.current = self.current, None
        return segment

    def clear(self, segment: Segment | None) -> None:
        if segment is not None:
            segment.clear()
            self.free.append(segment)

    def close(self) -> None:
        """Delete the files; those with a batch that could not be recorded stay for the next dispatcher."""
        for segment in self.opened:
            if segment in self.free:
                segment.path.unlink(missing_ok=True)
            segment.close()


def files_of_others(owner: int) -> dict[int, list[Path]]:
    """Returns the files of other dispatchers of this machine, dead or alive."""
    found: dict[int, list[Path]] = {}
    try:
        names = sorted(os.listdir(folder()))
    except OSError:
        return found
    for name in names:
        number = name.partition("-")[0]
        if name.endswith(SUFFIX) and number.isdigit() and int(number) != owner:
            found.setdefault(int(number), []).append(folder() / name)
    return found


def record_left(session: psycopg.Connection[Any], me: int) -> Counter[metrics.Series]:
    """Record the results that dead dispatchers left on this machine; returns the counts for hooks/metrics.py.

    Their lanes must not be freed before: the results of lanes with another owner leave the hooks as they are. `me` is
    the caller's own run. No query if no other dispatcher has files here.
    """
    counted: Counter[metrics.Series] = Counter()
    files = files_of_others(me)
    if not files:
        return counted
    for (owner,) in session.execute(DEAD, [list(files)]).fetchall():
        for path in files[owner]:
            try:
                results = list(read(path))
                for start in range(0, len(results), BATCH):
                    counted += record_attempts(session, results[start : start + BATCH], owner=owner)
            except psycopg.OperationalError:
                raise  # the caller tries again
            except Exception:  # a damaged file must not stop the dispatcher
                log.exception("The results in %s cannot be recorded: their hooks are sent again.", path)
            path.unlink(missing_ok=True)
    return counted


def read(path: Path) -> Iterator[AttemptResult]:
    """Yields the results in a file; not its last portion if the process was killed while it wrote it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # another dispatcher has recorded it
        return
    at = 0
    while at + HEADER.size <= len(data):
        version, length = HEADER.unpack_from(data, at)
        portion = data[at + HEADER.size : at + HEADER.size + length]
        if version != MAGIC_NUMBER or len(portion) < length:
            return
        yield from map(result_of, marshal.loads(portion))
        at += HEADER.size + length


def values_of(result: AttemptResult) -> tuple[Any, ...]:
    """Returns a result as plain values: of the hook only what the log needs, so neither its body nor its secret."""
    hook, response = result.hook, result.response
    return (
        (
            hook.id, hook.webhook_id, hook.endpoint_id, len(hook.body), hook.claim, hook.attempts_made,
            hook.attempts_allowed, hook.trigger.value, hook.simulated, hook.url, hook.parallel, hook.strict,
            hook.instance_id,
        ),
        (
            response.outcome.value, response.status, response.headers, response.body, response.size, response.address,
            response.error, response.name_ms, response.connect_ms, response.tls_ms, response.first_byte_ms,
            response.total_ms,
        ),
        result.headers, result.state.value, seconds_of(result.started_at), seconds_of(result.next_attempt_at),
        seconds_of(result.finished_at),
    )  # fmt: skip


def result_of(values: tuple[Any, ...]) -> AttemptResult:
    """Returns the result with these values; instead of its hook's body zeros, as only the length is logged."""
    hook, response, headers, state, started, due, finished = values
    (
        number,
        webhook_id,
        endpoint,
        size,
        claim,
        made,
        allowed,
        trigger,
        simulated,
        url,
        parallel,
        strict,
        instance,
    ) = hook
    outcome, *rest = response
    return AttemptResult(
        hook=ClaimedHook(
            id=number,
            webhook_id=webhook_id,
            endpoint_id=endpoint,
            body=bytes(size),
            claim=claim,
            attempts_made=made,
            attempts_allowed=allowed,
            trigger=Trigger(trigger),
            simulated=simulated,
            url=url,
            secret="",
            parallel=parallel,
            lease_ends=0.0,
            strict=strict,
            instance_id=instance,
        ),
        started_at=datetime.fromtimestamp(started, UTC),
        headers=headers,
        response=Response(Outcome(outcome), *rest),
        state=State(state),
        next_attempt_at=time_of(due),
        finished_at=time_of(finished),
    )


def seconds_of(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def time_of(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
