"""Runs endless tasks, one per slot over all machines: the slot's lock, the heartbeat, the hand-over, the stop.

A dispatcher, the sender and redelivery are each a django-q2 task that does not return. Each run holds two advisory
locks in a database session of its own: the slot's, so that no second run works beside it, and its own, which says that
it is alive. PostgreSQL releases both as soon as the process dies, however it dies; no timeout has to pass first.

After LOOP_SECONDS, well within django-q2's timeout, a run releases its slot, requests a successor, and finishes what is
in flight while the successor already works.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from hooks.models import Role, Runner

log = logging.getLogger(__name__)

# the first key of each role's advisory locks; the second is the slot
SLOT_LOCK = {Role.DISPATCH: 0x686B_0001, Role.OUTGOING: 0x686B_0002, Role.REDELIVERY: 0x686B_0003}
EXTRA_SLOTS = 100  # `manage.py dispatch` takes the first free slot from here on
HEARTBEAT_SECONDS = 0.9  # at least, between two heartbeats
REPLACE_AFTER = timedelta(seconds=5)  # without a heartbeat, ensure_running() requests a replacement
LOOP_SECONDS = settings.TASK_TIMEOUT * 0.75
REQUEST_EVERY = timedelta(seconds=4)  # at most, between two requests for a run of the same role
MAX_QUEUED_TASKS = (
    20  # with more, no run is requested: the queue of a frozen cluster must not grow without limit
)

# Each statement of these sessions looks up a few rows by index. The planner must not choose otherwise: autovacuum takes
# statistics within a minute, and those of an idle or emptied table promise one row for any condition. See lanes_sql.py.
INDEX_LOOKUPS_ONLY = (
    "SET enable_seqscan = off; SET enable_sort = off; SET enable_incremental_sort = off; SET enable_nestloop = off; "
    "SET enable_mergejoin = off"
)


def connect() -> psycopg.Connection[Any]:
    """Open a database session outside Django's, in autocommit."""
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory", None)
    session = psycopg.connect(**params, autocommit=True)
    session.execute(INDEX_LOOKUPS_ONLY)
    return session


class WorkerSlot:
    """A slot held by one run, and the database session with its locks."""

    def __init__(self, role: Role, slot: int, session: psycopg.Connection[Any]) -> None:
        self.role, self.slot, self.session = role, slot, session
        self.id = secrets.randbits(62)
        self.started = self.last_heartbeat = time.monotonic()

    @property
    def is_handover_due(self) -> bool:
        return time.monotonic() - self.started > LOOP_SECONDS

    def acquire(self) -> None:
        """Take the run's own lock and register the run; the session holds the slot's lock already."""
        self.session.execute("SELECT pg_advisory_lock(%s)", [self.id])
        self.session.execute(
            "INSERT INTO hooks_runner (id, role, slot, pid, host, started_at, heartbeat_at)"
            " VALUES (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())",
            [self.id, self.role, self.slot, os.getpid(), socket.gethostname()[:100]],
        )

    def send_heartbeat(self, in_flight: int = 0) -> None:
        """Write the heartbeat and the number of requests in flight; about once a second however often it is called."""
        if time.monotonic() - self.last_heartbeat >= HEARTBEAT_SECONDS:
            self.session.execute(
                "UPDATE hooks_runner SET heartbeat_at = clock_timestamp(), in_flight = %s WHERE id = %s",
                [in_flight, self.id],
            )
            self.last_heartbeat = time.monotonic()

    def reacquire(self) -> bool:
        """Reconnect and take both locks again; False if another run has the slot.

        Raises psycopg.OperationalError while the database does not respond.
        """
        with contextlib.suppress(psycopg.Error):
            self.session.close()
        self.session = connect()
        row = self.session.execute("SELECT pg_try_advisory_lock(%s)", [self.id]).fetchone()
        return bool(row and row[0]) and try_slot(self.session, self.role, self.slot)

    def release_slot(self) -> None:
        """Let a successor start; what is in flight stays with this run."""
        self.session.execute("SELECT pg_advisory_unlock(%s, %s)", [SLOT_LOCK[self.role], self.slot])
        self.session.execute(
            "UPDATE hooks_runner SET finished_at = clock_timestamp() WHERE id = %s AND finished_at IS NULL",
            [self.id],
        )

    def release(self) -> None:
        """Release the slot and end the session, which releases the run's own lock."""
        with contextlib.suppress(psycopg.Error):
            self.release_slot()
        with contextlib.suppress(psycopg.Error):
            self.session.close()


def try_slot(session: psycopg.Connection[Any], role: Role, slot: int) -> bool:
    """Take the slot's lock if it is free; returns whether it was."""
    row = session.execute("SELECT pg_try_advisory_lock(%s, %s)", [SLOT_LOCK[role], slot]).fetchone()
    return bool(row and row[0])


@contextlib.contextmanager
def hold_slot(role: Role, slots: range) -> Iterator[WorkerSlot | None]:
    """Hold the first free slot during the block; None if all are taken."""
    session = connect()
    free = next((slot for slot in slots if try_slot(session, role, slot)), None)
    if free is None:
        session.close()
        yield None
        return
    worker_slot = WorkerSlot(role, free, session)
    worker_slot.acquire()
    log.info("%s %s started, pid %s", role.label, free, os.getpid())
    try:
        yield worker_slot
    finally:
        worker_slot.release()
        log.info("%s %s ended, pid %s", role.label, free, os.getpid())


def stop_fd() -> int | None:
    """Returns the reading end of a pipe that `manage.py worker` holds open; its end of file means stop.

    The pipe ends when the worker stops and when it dies, kill -9 included, so no loop outlives it.
    """
    given = os.environ.get("WORKER_STOP_FD", "")
    if not given.isdigit():
        return None
    try:
        os.fstat(int(given))
    except OSError:
        return None
    return int(given)


def is_stop_requested(fd: int | None, seconds: float = 0.0) -> bool:
    """Returns whether to stop; waits up to `seconds` for the request."""
    if fd is None:
        time.sleep(seconds)
        return False
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poller.poll(seconds * 1000))


def is_any_slot_held(role: Role) -> bool:
    """Returns whether a process on any machine holds a slot of this role.

    It reads the locks, not the heartbeats: PostgreSQL knows immediately that a process has died, and a run that has not
    written its first heartbeat counts. For pages and probes see models.runners.is_alive().
    """
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = %s)",
            [SLOT_LOCK[role]],
        )
        return bool(cursor.fetchone()[0])


_requested_at: dict[Role, datetime] = {}


def ensure_running(role: Role, slots: int, task: str) -> bool:
    """Queue a django-q2 task for each missing run of a role; returns whether all `slots` have a live run.

    One query if none is missing. The worker calls it every 2 s, a schedule once a minute. A second request for the same
    slot does no harm: a run that finds no free slot returns.
    """
    now = timezone.now()
    live = Runner.objects.unfinished(role).filter(slot__lt=EXTRA_SLOTS, heartbeat_at__gt=now - REPLACE_AFTER)
    missing = slots - live.count()
    if missing <= 0:
        return True
    if role in _requested_at and now - _requested_at[role] < REQUEST_EVERY:
        return False
    _requested_at[role] = now
    Runner.objects.filter(heartbeat_at__lt=now - timedelta(days=1)).delete()
    if OrmQ.objects.filter(lock__lt=now).count() < MAX_QUEUED_TASKS:
        for _ in range(missing):
            async_task(task, task_name=f"{role.value} {now:%H%M%S%f}")
    return False
