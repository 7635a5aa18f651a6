"""Runs endless tasks, one per slot across all machines: the slot's lock, the heartbeat, the hand-over, the stop.

A dispatcher, the sender and redelivery are each a django-q2 task that does not return. Each run holds two advisory
locks in a database session of its own: the slot's lock, so that the slot has one run, and its own lock, which shows
that it is alive. PostgreSQL releases both as soon as the process dies, even by kill -9, without a timeout.

After LOOP_SECONDS, well within django-q2's timeout, a run releases its slot, requests a successor, and finishes its
requests in flight while the successor already works.
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
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from hooks import database_clock
from hooks.models import Role, Runner

log = logging.getLogger(__name__)

# the first key of each role's advisory locks; the second is the slot
SLOT_LOCK = {
    Role.DISPATCH: 0x686B_0001,
    Role.OUTGOING: 0x686B_0002,
    Role.REDELIVERY: 0x686B_0003,
    Role.RECEIVING: 0x686B_0004,
}
EXTRA_SLOTS = 100  # `manage.py dispatch` uses the first free slot from this number on
HEARTBEAT_SECONDS = 0.9  # the minimum between two heartbeats
# The longest pause between two attempts to reach the database; the first is 0.1 s, and each is twice the one before.
# With 2 s, a thread came back 3.1 s after a switchover that took Patroni 2.4 s. A refused attempt takes 1 ms.
MAX_RECONNECT_PAUSE = 0.25
REPLACE_AFTER = 5.0  # s; without a heartbeat, ensure_running() requests a replacement
RECONNECT_SECONDS = (
    5.0  # after a restart or failover of PostgreSQL, in which living runs acquire their locks again
)
LOOP_SECONDS = settings.TASK_TIMEOUT * 0.75
REQUEST_EVERY = 4.0  # s; the minimum between two requests for runs of the same role
# With more urgent tasks in the queue, no run is requested: the queue of a frozen cluster must not grow without limit.
MAX_QUEUED_TASKS = 20

# Each statement of these sessions looks up a few rows by index, and the planner must not choose another plan: with the
# statistics of an idle or emptied table, which autovacuum collects within a minute, it expects one row for any
# condition. See hooks/sql/lane_queries.py.
# As there is one plan for any parameters, it is made once: PostgreSQL needed 1.4 ms of CPU to parse and plan a claim of
# one hook, and 0.3 ms to run it.
INDEX_LOOKUPS_ONLY = (
    "SET enable_seqscan = off; SET enable_sort = off; SET enable_incremental_sort = off; SET enable_nestloop = off; "
    "SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan"
)
PREPARE_AFTER = 2  # runs of a statement in one session; Django's sessions prepare none


def is_dead_sql(key: str) -> str:
    """The SQL condition that the run is dead: no session holds its own lock `key`.

    After a start of PostgreSQL no run is dead for RECONNECT_SECONDS. After a failover, may_take_over() tells it: the
    standby has been running for long.
    """
    return f"""pg_postmaster_start_time() < clock_timestamp() - interval '{RECONNECT_SECONDS} s' AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = {key}
)"""


def may_take_over(reconnected_at: float | None) -> bool:
    """Returns whether a run without its lock is dead, as seen in a session that was opened again at this time.

    By time.monotonic(); None: the session never broke. After a failover, every run has to acquire its lock again.
    """
    return reconnected_at is None or time.monotonic() - reconnected_at > RECONNECT_SECONDS


class NotPrimary(psycopg.OperationalError):
    """The session is on a standby, whose advisory locks exclude no session of the primary."""

    def __init__(self) -> None:
        super().__init__("this database server is a standby: it accepts no writes")


def connect() -> psycopg.Connection[Any]:
    """Open a database session outside Django's, in autocommit.

    settings.DATABASES forces target_session_attrs=read-write: libpq refuses a standby.
    """
    session = connect_without_state()
    session.prepare_threshold = PREPARE_AFTER
    session.execute(INDEX_LOOKUPS_ONLY)
    return session


def connect_without_state() -> psycopg.Connection[Any]:
    """The same without settings and prepared statements: what a pooler that pools by transaction allows."""
    here: Any = connections["default"]
    params = here.get_connection_params()
    params.pop("cursor_factory", None)
    session = psycopg.connect(**params, autocommit=True)
    here.end_if_lost(session)
    return session


class WorkerSlot:
    """A slot held by one run, and the database session with its locks."""

    def __init__(
        self, role: Role, slot: int, session: psycopg.Connection[Any], seconds: float = LOOP_SECONDS
    ) -> None:
        self.role, self.slot, self.session, self.seconds = role, slot, session, seconds
        self.id = secrets.randbits(62)
        self.started = self.last_heartbeat = time.monotonic()

    @property
    def is_handover_due(self) -> bool:
        return time.monotonic() - self.started > self.seconds

    def acquire(self) -> None:
        """Acquire the run's own lock and register the run; the session already holds the slot's lock."""
        self.session.execute("SELECT pg_advisory_lock(%s)", [self.id])
        database_clock.start_using()
        self.set_clock(
            "INSERT INTO hooks_runner (id, role, slot, pid, host, started_at, heartbeat_at)"
            " VALUES (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp()) RETURNING heartbeat_at",
            [self.id, self.role, self.slot, os.getpid(), socket.gethostname()[:100]],
        )

    def send_heartbeat(self, in_flight: int = 0) -> None:
        """Write the heartbeat and the number of requests in flight, at most once in HEARTBEAT_SECONDS."""
        if time.monotonic() - self.last_heartbeat >= HEARTBEAT_SECONDS:
            self.set_clock(
                "UPDATE hooks_runner SET heartbeat_at = clock_timestamp(), in_flight = %s WHERE id = %s"
                " RETURNING heartbeat_at",
                [in_flight, self.id],
            )
            self.last_heartbeat = time.monotonic()

    def set_clock(self, heartbeat: LiteralString, values: list[Any]) -> None:
        """Write a heartbeat, and set the process's database clock to it."""
        row = self.session.execute(heartbeat, values).fetchone()
        if row:
            database_clock.update(row[0])

    def reacquire(self) -> bool:
        """Reconnect and acquire both locks again; returns False if another run has the slot.

        Raises psycopg.OperationalError if the database does not respond, or is a standby.
        """
        with contextlib.suppress(psycopg.Error):
            self.session.close()
        self.session = connect()
        return try_lock(self.session, "%s", [self.id]) and try_slot(self.session, self.role, self.slot)

    def release_slot(self) -> None:
        """Release the slot, so that a successor can start. This run still finishes its requests in flight."""
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
        database_clock.stop_using()


def try_slot(session: psycopg.Connection[Any], role: Role, slot: int) -> bool:
    """Acquire the slot's lock if it is free; returns whether it was. Raises NotPrimary on a standby."""
    return try_lock(session, "%s, %s", [SLOT_LOCK[role], slot])


def try_lock(session: psycopg.Connection[Any], key: LiteralString, values: list[int]) -> bool:
    """Acquire an advisory lock if it is free; returns whether it was.

    On a standby pg_try_advisory_lock() succeeds too, beside the same lock on the primary.

    Raises:
        NotPrimary: the session is on a standby.
    """
    row = session.execute(
        f"SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_try_advisory_lock({key}) END", values
    ).fetchone()
    if row is None or row[0] is None:
        raise NotPrimary
    return bool(row[0])


@contextlib.contextmanager
def hold_slot(role: Role, slots: range, seconds: float = LOOP_SECONDS) -> Iterator[WorkerSlot | None]:
    """Hold the first free slot during the block; None if all are taken. A hand-over is due after `seconds`."""
    session = connect()
    try:
        free = next((slot for slot in slots if try_slot(session, role, slot)), None)
    except psycopg.Error:
        session.close()
        raise
    if free is None:
        session.close()
        yield None
        return
    worker_slot = WorkerSlot(role, free, session, seconds)
    worker_slot.acquire()
    log.info("%s %s started, pid %s", role.label, free, os.getpid())
    try:
        yield worker_slot
    finally:
        worker_slot.release()
        log.info("%s %s ended, pid %s", role.label, free, os.getpid())


def stop_fd() -> int | None:
    """Returns the read end of a pipe that `manage.py worker` holds open; end of file means stop. None without one.

    The pipe closes when the worker stops or dies, even by kill -9, so no loop outlives the worker.
    """
    number = os.environ.get("WORKER_STOP_FD", "")
    if not number.isdigit():
        return None
    try:
        os.fstat(int(number))
    except OSError:
        return None
    return int(number)


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

    Reads the locks, not the heartbeats: PostgreSQL knows immediately if a process has died, and a run counts before its
    first heartbeat. Pages and probes use models.runners.is_alive().
    """
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = %s)",
            [SLOT_LOCK[role]],
        )
        return bool(cursor.fetchone()[0])


def count_held_slots(session: psycopg.Connection[Any], role: Role, slots: int) -> int:
    """Returns how many of a role's first `slots` slots are held by a process on any machine."""
    row = session.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND classid = %s AND objid < %s",
        [SLOT_LOCK[role], slots],
    ).fetchone()
    return int(row[0]) if row else 0


# A run is alive if it holds its own lock, which PostgreSQL releases as soon as the process dies, and if its heartbeat
# is recent: a process that hangs keeps its lock. Both by the clock of the database. After a restart of PostgreSQL no
# run holds a lock yet: the runs have some seconds to reconnect, or each of them would be replaced while it is at work.
LIVE_RUNS = """
SELECT count(*) FROM hooks_runner
WHERE role = %(role)s AND slot < %(slots)s AND finished_at IS NULL AND (
    pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => %(patience)s)
        AND heartbeat_at > clock_timestamp() - interval '1 minute'
    OR heartbeat_at > clock_timestamp() - make_interval(secs => %(patience)s) AND id IN (
        SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
)
"""
_requested_at: dict[Role, float] = {}  # by time.monotonic(): the machine's clock may be set back


def ensure_running(role: Role, slots: int, task: str) -> bool:
    """Queue a django-q2 task for each missing run of a role; returns whether all `slots` have a live run.

    One query if none is missing. The worker calls it every second, a schedule once a minute. A duplicate request does
    no harm: a run that finds no free slot returns.

    Raises ImproperlyConfigured if the task is none of settings.URGENT_TASKS: it would wait behind all others.
    """
    if task not in settings.URGENT_TASKS:
        raise ImproperlyConfigured(f"{task} must be one of URGENT_TASKS in chatapi/settings.py.")
    with connections["default"].cursor() as cursor:
        cursor.execute(LIVE_RUNS, {"role": role, "slots": EXTRA_SLOTS, "patience": REPLACE_AFTER})
        missing = slots - cursor.fetchone()[0]
    if missing <= 0:
        return True
    now = time.monotonic()
    if role in _requested_at and now - _requested_at[role] < REQUEST_EVERY:
        return False
    _requested_at[role] = now
    Runner.objects.filter(heartbeat_at__lt=Now() - timedelta(days=1)).delete()
    if OrmQ.objects.filter(key=settings.URGENT_QUEUE, lock__lt=Now()).count() < MAX_QUEUED_TASKS:
        for _ in range(missing):
            async_task(task, task_name=f"{role.value} {timezone.now():%H%M%S%f}")
    return False
