"""Wakes the loops that send, after the commit that gave them work.

PostgreSQL's NOTIFY inside a transaction takes a lock of the whole server at commit, and holds it until the commit is on
disk and the synchronous standby has confirmed it: all instances would commit one after the other. So a transaction only
leaves a note here. After its commit a background thread sends the notifications in a statement of its own, which waits
neither for the disk nor for a standby.

A notification may be lost: the process is killed, the database restarts, too many wait. Nothing relies on it, because
each loop also looks for work once a second.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from functools import partial
from multiprocessing.util import Finalize
from typing import Any

import psycopg
from django.db import transaction

from hooks import worker_slots

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.002  # between two statements; the first one after a quiet time is sent at once
MAX_WAITING = 10_000  # notifications that wait for the thread; more are dropped
IDLE_SECONDS = 60.0  # after which the thread closes its session
EXIT_SECONDS = 1.0  # the longest that the end of the process waits for the thread
MAX_PAUSE_SECONDS = 2.0  # between two attempts to reach the database

NOTIFY = "SELECT pg_notify(channel, payload) FROM unnest(%s::text[], %s::text[]) AS wakeup (channel, payload)"

Wakeup = tuple[str, str]  # channel and payload


def notify_after_commit(channel: str, payload: str = "") -> None:
    """Notify the channel's listeners when the transaction has committed; outside a transaction, now.

    Nothing is sent if the transaction, or the savepoint it is called in, is rolled back. Does not wait for the
    database, and raises nothing if it does not respond.
    """
    transaction.on_commit(partial(notifier.add, channel, payload), robust=True)


class Notifier:
    """Sends notifications from a thread of its own, many in one statement. The first one starts the thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set the initial state, also in a forked child: threads end there, and the session is the parent's."""
        self.waiting: queue.SimpleQueue[Wakeup | None] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.session: psycopg.Connection[Any] | None = None
        self.closes_at_exit = False

    def add(self, channel: str, payload: str) -> None:
        if self.waiting.qsize() < MAX_WAITING:
            self.waiting.put((channel, payload))
        if self.thread is None or not self.thread.is_alive():
            self.start()

    def start(self) -> None:
        with self.lock:
            if self.thread is None or not self.thread.is_alive():
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
                found = {self.waiting.get(timeout=IDLE_SECONDS): None}  # a dict keeps the order
            except queue.Empty:
                self.close_session()
                continue
            with contextlib.suppress(queue.Empty):
                while None not in found:
                    found[self.waiting.get_nowait()] = None
            wakeups = [wakeup for wakeup in found if wakeup is not None]
            is_sent = not wakeups or self.send(wakeups)
            if None in found:
                self.close_session()
                return
            if is_sent:
                pause = 0.1
                time.sleep(GATHER_SECONDS)
            else:
                time.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def send(self, wakeups: list[Wakeup]) -> bool:
        """Notify with one statement; returns False if the database does not respond. Replaces a broken session once."""
        parameters = [list(column) for column in zip(*wakeups, strict=True)]
        while True:
            is_new = self.session is None
            try:
                if self.session is None:
                    self.session = worker_slots.connect()
                    self.session.execute("SET synchronous_commit = off")
                self.session.execute(NOTIFY, parameters)
                return True
            except (psycopg.Error, OSError) as error:
                self.close_session()
                if is_new:
                    log.warning(
                        "wake-ups: the database does not respond (%s); the loops find their work within a second",
                        str(error).strip().split("\n")[0],
                    )
                    return False

    def close_session(self) -> None:
        if self.session is not None:
            with contextlib.suppress(psycopg.Error):
                self.session.close()
            self.session = None


notifier = Notifier()
os.register_at_fork(after_in_child=notifier.reset)
