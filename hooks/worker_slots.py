"""The frame of a task that is always running: a seat of its own, a heartbeat, a hand-over, a stop.

django-q2 runs a dispatcher (and the loop of the outgoing queues) as one endless task. So that there is one per
slot and no more, over any number of machines, each run sits on two advisory locks of one database
session: its slot's, and its own. PostgreSQL lets go of both at the moment a process dies, however it dies;
nobody has to time out to be found dead.

A run gives its slot up after LOOP_SECONDS, well within django-q2's timeout, asks for a successor, and
finishes what it has under way while the successor already works.
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
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from hooks.models import Role, Runner

log = logging.getLogger(__name__)

# classes of the slots' advisory locks
SLOT_LOCK = {Role.DISPATCH: 0x686B_0001, Role.OUTGOING: 0x686B_0002, Role.REDELIVERY: 0x686B_0003}
EXTRA_SLOTS = 100  # `manage.py dispatch` takes the first free slot from here on
HEARTBEAT = 0.9  # s between two heartbeats, at least
FRESH = timedelta(seconds=5)  # an older heartbeat is a dead or a stuck run's
LOOP_SECONDS = settings.TASK_TIMEOUT * 0.75
ENSURE_EVERY = timedelta(seconds=4)  # between two requests for a run of the same role


def connect() -> psycopg.Connection[Any]:
    """A database session of its own, in autocommit, outside Django's."""
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory", None)
    return psycopg.connect(**params, autocommit=True)


class Seat:
    """One run's hold on its slot."""

    def __init__(self, role: Role, slot: int, session: psycopg.Connection[Any]) -> None:
        self.role, self.slot, self.session = role, slot, session
        self.id = secrets.randbits(62)
        self.started = self.beaten = time.monotonic()

    @property
    def is_old(self) -> bool:
        """Is it time to hand over?"""
        return time.monotonic() - self.started > LOOP_SECONDS

    def sit_down(self) -> None:
        self.session.execute("SELECT pg_advisory_lock(%s)", [self.id])
        self.session.execute(
            "INSERT INTO hooks_runner (id, role, slot, pid, host, started_at, heartbeat_at)"
            " VALUES (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp())",
            [self.id, self.role, self.slot, os.getpid(), socket.gethostname()[:100]],
        )

    def beat(self, in_flight: int = 0) -> None:
        """Write the heartbeat, and how many requests are under way; about once a second however often it is called."""
        if time.monotonic() - self.beaten >= HEARTBEAT:
            self.session.execute(
                "UPDATE hooks_runner SET heartbeat_at = clock_timestamp(), in_flight = %s WHERE id = %s",
                [in_flight, self.id],
            )
            self.beaten = time.monotonic()

    def regain(self) -> bool:
        """After the database came back: sit down on both locks again; False: the slot is another's now."""
        with contextlib.suppress(psycopg.Error):
            self.session.close()
        self.session = connect()
        row = self.session.execute("SELECT pg_try_advisory_lock(%s)", [self.id]).fetchone()
        return bool(row and row[0]) and try_slot(self.session, self.role, self.slot)

    def give_up_slot(self) -> None:
        """Let a successor begin; what is under way stays this run's."""
        self.session.execute("SELECT pg_advisory_unlock(%s, %s)", [SLOT_LOCK[self.role], self.slot])
        self.session.execute(
            "UPDATE hooks_runner SET finished_at = clock_timestamp() WHERE id = %s AND finished_at IS NULL",
            [self.id],
        )

    def stand_up(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.give_up_slot()
        with contextlib.suppress(psycopg.Error):
            self.session.close()  # and with it both locks


def try_slot(session: psycopg.Connection[Any], role: Role, slot: int) -> bool:
    row = session.execute("SELECT pg_try_advisory_lock(%s, %s)", [SLOT_LOCK[role], slot]).fetchone()
    return bool(row and row[0])


@contextlib.contextmanager
def seat(role: Role, slots: range) -> Iterator[Seat | None]:
    """Take the first free slot for the length of the block; None when all are taken."""
    session = connect()
    taken = next((slot for slot in slots if try_slot(session, role, slot)), None)
    if taken is None:
        session.close()
        yield None
        return
    mine = Seat(role, taken, session)
    mine.sit_down()
    log.info("%s %s started, pid %s", role.label, taken, os.getpid())
    try:
        yield mine
    finally:
        mine.stand_up()
        log.info("%s %s ended, pid %s", role.label, taken, os.getpid())


def stop_fd() -> int | None:
    """The reading end of a pipe whose other end `manage.py worker` holds: at its end of file, stop.

    It ends when the worker is told to stop and when it dies, kill -9 included; so no loop outlives it.
    """
    given = os.environ.get("WORKER_STOP_FD", "")
    if not given.isdigit():
        return None
    try:
        os.fstat(int(given))
    except OSError:
        return None
    return int(given)


def stop_is_wanted(fd: int | None, seconds: float = 0.0) -> bool:
    """Is it time to stop? Waits for it so long."""
    if fd is None:
        time.sleep(seconds)
        return False
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poller.poll(seconds * 1000))


def is_anyone_running(role: Role) -> bool:
    """Does any process, on any machine, sit on a slot of this role? PostgreSQL knows at once who has died."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = %s)",
            [SLOT_LOCK[role]],
        )
        return bool(cursor.fetchone()[0])


def last_heartbeat(role: Role) -> Any:
    """When a run of this role last gave a sign of life (datetime), or None."""
    return (
        Runner.objects.filter(role=role, finished_at=None)
        .order_by("-heartbeat_at")
        .values_list("heartbeat_at", flat=True)
        .first()
    )


_asked: dict[Role, Any] = {}


def ensure(role: Role, slots: int, task: str) -> bool:
    """See to it that `slots` runs of a role are alive, by asking django-q2 for what is missing.

    Returns whether all are alive. Cheap (one query when all is well); called every 2 s by the worker and once
    a minute by a schedule. Asking twice does no harm: who finds no free slot goes away again.
    """
    now = timezone.now()
    alive = Runner.objects.filter(
        role=role, finished_at=None, slot__lt=EXTRA_SLOTS, heartbeat_at__gt=now - FRESH
    )
    missing = slots - alive.count()
    if missing <= 0:
        return True
    if role in _asked and now - _asked[role] < ENSURE_EVERY:
        return False
    _asked[role] = now
    Runner.objects.filter(heartbeat_at__lt=now - timedelta(days=1)).delete()
    waiting = OrmQ.objects.filter(lock__lt=now).count()
    if waiting < 20:  # a frozen cluster's queue must not grow without end
        for _ in range(missing):
            async_task(task, task_name=f"{role.value} {now:%H%M%S%f}")
    return False
