"""The standby process: takes over from a dispatcher, sender or receiver that died until the worker has started another.

Under `manage.py up` it is a fork of the worker (standby_process.py), elsewhere `manage.py standby`.

After kill -9 of a process of django-q2, or of `manage.py worker`, a new one has to load the program first: 2 to 6 s
(measured). This process has loaded it and does not end with them, so it continues their work in half a second. It asks
PostgreSQL, which knows at once that a process has died, because its advisory lock is free. After TAKEOVER_SECONDS it
requests a django-q2 task as its successor, like any other run, and waits again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from chatapi.runtime.cluster import STOP_FD
from hooks import worker_slots
from hooks.models import Role

log = structlog.get_logger("standby")

POLL_SECONDS = 0.25  # between two looks at the locks; a look takes 0.2 ms
TAKEOVER_SECONDS = 60.0  # then the worker's cluster has settled
# At the start, after a hand-over and after a break of the database connection, the worker's own process has this long
# to acquire the slot.
PATIENCE_SECONDS = 10.0
STOP_SECONDS = 11.0  # of the 12 that `up` allows


class Watch:
    """One role: whether all of its slots are held, and the thread that holds one since a takeover.

    `is_wanted` says whether a free slot has work to do.
    """

    def __init__(
        self,
        role: Role,
        slots: int,
        task: Callable[[float], object],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.role, self.slots, self.task, self.is_wanted = role, slots, task, is_wanted
        self.thread: threading.Thread | None = None
        self.be_patient()

    def be_patient(self) -> None:
        """Leave a free slot to the worker for PATIENCE_SECONDS."""
        self.patient_until = time.monotonic() + PATIENCE_SECONDS

    def check(self, session: psycopg.Connection[Any]) -> None:
        """Take over if a slot is free and has work to do. One query, or two."""
        if self.thread is not None:
            if self.thread.is_alive():
                return
            self.thread = None
            self.be_patient()
        if worker_slots.count_held_slots(session, self.role, self.slots) >= self.slots:
            if self.patient_until:
                log.info("All slots are held: the standby process would take over.", role=self.role.value)
            self.patient_until = 0.0
        elif not self.is_wanted():
            self.be_patient()
        elif time.monotonic() >= self.patient_until:
            log.warning("A slot is free: the standby process takes over.", role=self.role.value)
            self.thread = threading.Thread(target=self.work, name=f"standby {self.role.value}", daemon=True)
            self.thread.start()

    def work(self) -> None:
        try:
            self.task(TAKEOVER_SECONDS)
        except Exception:
            log.exception("The takeover ended with an error", role=self.role.value)
        finally:
            connections.close_all()


class Standby:
    """The process: a thread that looks at the locks, and one for each role that was taken over."""

    def __init__(self, is_replaceable: Callable[[], bool] = lambda: False) -> None:
        """`is_replaceable`: whether the process may end as soon as it has taken over nothing."""
        self.is_replaceable = is_replaceable
        # Imported here: all other commands need not load pycurl.
        from hooks.dispatch import loop  # noqa: F401 - loaded before it is needed
        from hooks.tasks import dispatch
        from instances.receiving import loop as receiving_loop  # noqa: F401 - the same
        from instances.receiving.links import is_wanted
        from instances.receiving.tasks import receive
        from instances.tasks import send_outgoing

        self.watches = [
            Watch(Role.DISPATCH, settings.HOOKS_DISPATCHERS, dispatch),
            Watch(Role.OUTGOING, settings.SENDERS, send_outgoing),
            Watch(Role.RECEIVING, settings.RECEIVERS, receive, is_wanted),
        ]
        self.stop_reader, self.stop_writer = os.pipe()
        os.environ[STOP_FD] = str(self.stop_reader)  # the tasks read it

    def run(self) -> None:
        def stop(signum: int, frame: FrameType | None) -> None:
            os.write(self.stop_writer, b"stop")  # never read: the pipe stays readable

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        session: psycopg.Connection[Any] | None = None
        while not worker_slots.is_stop_requested(self.stop_reader, POLL_SECONDS):
            try:
                session = session or worker_slots.connect()
                for watch in self.watches:
                    watch.check(session)
                if self.is_replaceable() and all(watch.thread is None for watch in self.watches):
                    log.info(
                        "The worker was restarted: it starts another standby process, and this one ends."
                    )
                    break
            except (
                psycopg.Error,
                DatabaseError,
                InterfaceError,
            ):  # the database restarts: a run that had a slot should acquire it again
                if session is not None:
                    with suppress(psycopg.Error):
                        session.close()
                session = None
                connections.close_all()
                for watch in self.watches:
                    watch.be_patient()
        if session is not None:
            session.close()
        until = time.monotonic() + STOP_SECONDS
        for watch in self.watches:
            if watch.thread is not None:
                watch.thread.join(max(0.0, until - time.monotonic()))
