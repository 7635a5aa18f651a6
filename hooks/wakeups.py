"""Wakes the loops that send, after the commit that gave them work.

PostgreSQL's NOTIFY inside a transaction takes a lock of the whole server at commit, and holds it until the commit is on
disk and the synchronous standby has confirmed it: all instances would commit one after the other. So a transaction only
leaves a note here. After its commit the notification is sent in a session of its own, with synchronous_commit=off, so
it waits neither for the disk nor for a standby. This is set for the statement's transaction alone: behind a pooler, the
session is also that of other transactions, which must wait for the disk.

The first notification after a quiet time is written to the session's socket by the thread that has committed, which
does not wait for the response: a switch to another thread would delay it. A background thread reads the response, and
sends those that have come meanwhile.

A notification may be lost: the process is killed, the database restarts, too many wait. Nothing relies on it, because
each loop also looks for work once a second.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import select
import threading
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.util import Finalize
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from chatapi.database import prepared
from hooks import worker_slots

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.001  # between two statements; the first one after a quiet time is sent at once
# The same with over BUSY_RATE notifications per second in the last RATED_SECONDS or longer. At such a rate each
# statement takes a processor from a call that gives work: `sendMessage` at full speed took 0.81 × the CPU with it.
BUSY_GATHER_SECONDS = 0.005
BUSY_RATE = 450
RATED_SECONDS = 0.1
MAX_WAITING = 10_000  # notifications that wait for the thread; more are dropped
IDLE_SECONDS = 60.0  # after which the thread closes its session
EXIT_SECONDS = 1.0  # the longest that the end of the process waits for the thread

WITHOUT_WAITING = "set_config('synchronous_commit', 'off', true)"
# Its parameter is a JSON array of pairs. Prepared and without psycopg's cursor, three wake-ups cost 12 µs of CPU in
# Python and 18 in PostgreSQL instead of 68 and 70 (measured).
NOTIFY = (
    "SELECT pg_notify(wakeup ->> 0, wakeup ->> 1)"
    f" FROM {WITHOUT_WAITING}, json_array_elements($1::json) AS wakeup"
).encode()
NAME = b"notify"  # of the prepared statement

Wakeup = tuple[str, str]  # channel and payload


@dataclass
class Sent:
    """A notification that was written to the session; the thread reads the response."""

    wakeup: Wakeup


def notify_after_commit(channel: str, payload: str = "") -> None:
    """Notify the channel's listeners when the transaction has committed; outside a transaction, now.

    Nothing is sent if the transaction, or the savepoint it is called in, is rolled back. Does not wait for the
    database, and raises nothing if it does not respond.
    """
    here = connections[DEFAULT_DB_ALIAS]
    if here.in_atomic_block or not here.autocommit:
        transaction.on_commit(partial(notifier.add, channel, payload), robust=True)
        return
    try:  # as on_commit() does it outside a transaction, which takes as long as to add
        notifier.add(channel, payload)
    except Exception:
        log.exception("A wake-up could not be sent")


class Notifier:
    """Sends notifications, many in one statement. The first one starts the background thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set the initial state, also in a forked child: threads end there, and the session is the parent's."""
        self.waiting: queue.SimpleQueue[Wakeup | Sent | None] = queue.SimpleQueue()
        self.lock = threading.Lock()  # of `thread`
        self.thread: threading.Thread | None = None
        # Held while the session is in use, and GATHER_SECONDS longer. A caller that writes to the session leaves it to
        # the thread to release.
        self.in_use = threading.Lock()
        self.session: psycopg.Connection[Any] | None = None
        self.is_prepared = False  # whether the session has the prepared statement
        self.closes_at_exit = False
        self.added = self.added_before = 0  # notifications, and those before `rated_at`
        self.rated_at = time.monotonic()
        self.is_busy = False

    def add(self, channel: str, payload: str) -> None:
        self.added += 1  # threads may lose one to each other
        if self.session is not None and self.in_use.acquire(blocking=False):
            self.write((channel, payload))
        elif self.waiting.qsize() < MAX_WAITING:
            self.waiting.put((channel, payload))
        if self.thread is None or not self.thread.is_alive():
            self.start()

    def write(self, wakeup: Wakeup) -> None:
        """Write one notification to the idle session, without waiting for the response. The caller holds `in_use`."""
        try:
            if self.session is not None:
                pgconn, parameters = self.session.pgconn, [as_json([wakeup])]
                if self.is_prepared:
                    pgconn.send_query_prepared(NAME, parameters)
                else:
                    pgconn.send_query_params(NOTIFY, parameters)
                pgconn.flush()
        except psycopg.Error:
            pass  # the thread finds the broken session when it reads the response
        finally:
            self.waiting.put(Sent(wakeup))

    def start(self) -> None:
        with self.lock:
            if self.thread is not None and not self.thread.is_alive():  # an error has ended it
                self.in_use, self.session, self.thread = threading.Lock(), None, None
                self.is_prepared = False
            if self.thread is None:
                thread = threading.Thread(target=self.run, name="notifier", daemon=True)
                thread.start()
                self.thread = thread
            if not self.closes_at_exit:
                Finalize(
                    None, self.close, exitpriority=0
                )  # unlike atexit, also in children of multiprocessing
                self.closes_at_exit = True

    def close(self) -> None:
        """Send what waits, close the session and end the thread. Waits up to EXIT_SECONDS; add() starts it again."""
        with self.lock:
            thread, self.thread = self.thread, None
        if thread is not None:
            self.waiting.put(None)
            thread.join(EXIT_SECONDS)

    def run(self) -> None:
        pause = 0.1
        while True:
            try:
                found = [self.waiting.get(timeout=IDLE_SECONDS)]
            except queue.Empty:
                if self.in_use.acquire(blocking=False):
                    self.close_session()
                    self.in_use.release()
                continue
            self.add_waiting(found)
            while not any(isinstance(item, Sent) for item in found):
                if self.in_use.acquire(blocking=False):
                    break
                found.append(self.waiting.get())  # a caller has just written to the session
            is_ending = None in found
            wakeups = []
            for item in found:
                if isinstance(item, tuple):
                    wakeups.append(item)
                elif item is not None:
                    if not self.is_response_good():
                        self.close_session()
                        wakeups.append(item.wakeup)
                    elif not is_ending:
                        self.gather()
            is_sent = not wakeups or self.send(list(dict.fromkeys(wakeups)))
            if is_ending:
                self.close_session()
                self.in_use.release()
                return
            if is_sent:
                pause = 0.1
                if wakeups:
                    self.gather()
            self.in_use.release()
            if not is_sent:
                time.sleep(pause)
                pause = min(pause * 2, worker_slots.MAX_RECONNECT_PAUSE)

    def gather(self) -> None:
        """Wait for further notifications, which the next statement sends together."""
        now = time.monotonic()
        if (took := now - self.rated_at) >= RATED_SECONDS:
            self.is_busy = self.added - self.added_before > BUSY_RATE * took
            self.added_before, self.rated_at = self.added, now
        time.sleep(BUSY_GATHER_SECONDS if self.is_busy else GATHER_SECONDS)

    def add_waiting(self, found: list[Wakeup | Sent | None]) -> None:
        """Add what waits, up to the end."""
        with contextlib.suppress(queue.Empty):
            while None not in found:
                found.append(self.waiting.get_nowait())

    def is_response_good(self) -> bool:
        """Read the response to a notification that a caller has written; returns whether it was sent."""
        if self.session is None:
            return False
        pgconn = self.session.pgconn
        try:
            poll = select.poll()
            poll.register(pgconn.socket, select.POLLIN)
            while pgconn.is_busy():
                poll.poll()
                pgconn.consume_input()
            result = pgconn.get_result()
            is_good = result is not None and result.status == psycopg.pq.ExecStatus.TUPLES_OK
            while result is not None:
                result = pgconn.get_result()
        except (psycopg.Error, OSError):
            return False
        return is_good

    def send(self, wakeups: list[Wakeup]) -> bool:
        """Notify with one statement; returns False if the database does not respond. Replaces a broken session once."""
        parameters = [as_json(wakeups)]
        while True:
            is_new = self.session is None
            try:
                pgconn = (self.session or self.open_session()).pgconn
                if self.is_prepared:
                    raise_if_failed(pgconn.exec_prepared(NAME, parameters))
                else:
                    raise_if_failed(pgconn.exec_params(NOTIFY, parameters))
                return True
            except (psycopg.Error, OSError) as error:
                self.close_session()
                if is_new:
                    log.warning(
                        "wake-ups: the database does not respond (%s); the loops find their work within a second",
                        str(error).strip().split("\n")[0],
                    )
                    return False

    def open_session(self) -> psycopg.Connection[Any]:
        """Open the session. Behind a pooler that pools by transaction, nothing can be prepared."""
        self.session = worker_slots.connect_without_state()
        self.is_prepared = prepared.can_prepare(connections[DEFAULT_DB_ALIAS])
        if self.is_prepared:
            raise_if_failed(self.session.pgconn.prepare(NAME, NOTIFY))
        return self.session

    def close_session(self) -> None:
        if self.session is not None:
            with contextlib.suppress(psycopg.Error):
                self.session.close()
            self.session, self.is_prepared = None, False


def as_json(wakeups: list[Wakeup]) -> bytes:
    """Returns the parameter of NOTIFY."""
    return json.dumps(wakeups).encode()


def raise_if_failed(result: PGresult) -> None:
    """Raises the psycopg.Error of a statement that failed."""
    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        raise psycopg.errors.error_from_result(result)


notifier = Notifier()
os.register_at_fork(after_in_child=notifier.reset)
