"""What the loops that send have in common: threads for the database, so that the thread that sends never waits for it.

Each has a session of its own. The sending thread submits jobs and reads results through plain queues; a pipe wakes it.
A broken session (PostgreSQL was restarted) is opened again, with pauses, until it works; the interrupted job then runs
again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, connections

from hooks import worker_slots
from hooks.dispatch.wakeup_pipe import WakeupPipe

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0  # between two sweeps …
# … and at least so many times what the last one took: it may read the index entries of all that became due since vacuum
# could remove them.
SWEEP_PAUSE = 9


class DatabaseThread(threading.Thread):
    """Runs jobs one after the other in a session of its own."""

    def __init__(self, name: str, wakeup: WakeupPipe) -> None:
        super().__init__(name=name, daemon=True)
        self.wakeup = wakeup
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.submitted = 0  # written by the sending thread only …
        self.done = 0  # … and by this thread only, so both are always right without a lock
        self.error: Exception | None = None  # that ended this thread
        self.contact_at = time.monotonic()  # when the database has last responded to a job
        # by time.monotonic(): from then on a job is dropped if the database does not respond
        self.retry_until: float | None = None

    @property
    def busy(self) -> bool:
        return self.submitted != self.done

    def submit(self, job: Callable[[], None]) -> None:
        self.submitted += 1
        self.jobs.put(job)

    def end(self) -> None:
        """Run the submitted jobs, then end; waits for it."""
        self.jobs.put(None)
        self.join(timeout=10)

    def run(self) -> None:
        try:
            while (job := self.jobs.get()) is not None:
                self.run_until_done(job)
                self.done += 1
                self.wakeup.wake()  # after the count: the sending thread must find this thread free
        except Exception as error:  # the sending thread raises it: a loop without its threads must end
            log.exception("%s ended with an error", self.name)
            self.error = error
            self.wakeup.wake()
        finally:
            connections.close_all()

    def run_until_done(self, job: Callable[[], None]) -> None:
        pause = 0.1
        while True:
            try:
                job()
                self.contact_at = time.monotonic()
                return
            except (psycopg.OperationalError, OperationalError) as error:
                connections.close_all()  # a job may have used Django's session
                log.warning(
                    "%s: the database does not respond (%s); trying again",
                    self.name,
                    str(error).strip().split("\n")[0],
                )
            while True:
                if self.retry_until is not None and time.monotonic() > self.retry_until:
                    return
                time.sleep(pause)
                pause = min(pause * 2, worker_slots.MAX_RECONNECT_PAUSE)
                try:
                    self.reconnect()
                    break
                except (psycopg.OperationalError, OperationalError, InterfaceError):
                    continue

    def reconnect(self) -> None:
        raise NotImplementedError


class SweepingThread(DatabaseThread):
    """Looks for what wake-ups have missed, in a session of its own, at most a tenth of the time."""

    def __init__(self, wakeup: WakeupPipe) -> None:
        super().__init__("sweeper", wakeup)
        self.session = worker_slots.connect()
        self.next_sweep = 0.0  # by time.monotonic()
        self.reconnected_at: float | None = None  # by time.monotonic()

    def reconnect(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.session.close()
        self.session = worker_slots.connect()
        self.reconnected_at = time.monotonic()

    @property
    def may_take_over(self) -> bool:
        return worker_slots.may_take_over(self.reconnected_at)

    def sweep_if_due(self) -> None:
        if not self.busy and time.monotonic() >= self.next_sweep:
            self.submit(self.sweep_and_pause)

    def sweep_and_pause(self) -> None:
        began = time.monotonic()
        self.sweep()
        ended = time.monotonic()
        self.next_sweep = max(began + SWEEP_SECONDS, ended + SWEEP_PAUSE * (ended - began))

    def sweep(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """End the thread. A sweep that takes long is cancelled: a stop must not wait for it."""
        self.retry_until = time.monotonic()
        self.jobs.put(None)
        until = time.monotonic() + 10
        self.join(timeout=0.1)
        while self.is_alive() and time.monotonic() < until:
            with contextlib.suppress(psycopg.Error):
                self.session.cancel_safe(timeout=1.0)
            self.join(timeout=0.5)
        self.session.close()


class Listener(threading.Thread):
    """Opens the session that receives the notifications of one PostgreSQL channel: in most, the lanes with new work.

    The sending thread reads them with read(), as another thread between would delay each wake-up.
    """

    def __init__(self, channel: str, wakeup: WakeupPipe) -> None:
        super().__init__(name="listener", daemon=True)
        self.channel = channel
        self.wakeup = wakeup
        self.session: psycopg.Connection[Any] | None = None  # None while it is being opened
        self.is_broken = threading.Event()
        self.ending = False

    def run(self) -> None:
        pause = 0.1
        while not self.ending:
            session = None
            try:
                session = worker_slots.connect()
                session.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self.channel)))
                pause = 0.1
                self.is_broken.clear()
                if not self.ending:  # end() sets both, in this order
                    self.session = session
                    self.wakeup.wake()
                    self.is_broken.wait()
            except (psycopg.Error, OSError):
                time.sleep(pause)  # meanwhile the sweep finds new work every second
                pause = min(pause * 2, worker_slots.MAX_RECONNECT_PAUSE)
            finally:
                if session is not None:
                    session.close()

    def read(self) -> list[str]:
        """Returns the payloads that have arrived, without waiting. Opens a broken session again."""
        payloads: list[str] = []
        if self.session is None:
            return payloads
        try:
            self.session.pgconn.consume_input()
            while (note := self.session.pgconn.notifies()) is not None:
                payloads.append(note.extra.decode())
        except psycopg.Error:
            self.session = None
            self.is_broken.set()
        return payloads

    def end(self) -> None:
        """End the thread, which closes the session."""
        self.ending = True
        self.is_broken.set()
