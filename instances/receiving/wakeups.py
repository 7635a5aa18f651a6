"""Listens for stored callbacks, in a session of its own, in the receiver's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import psycopg

from hooks import worker_slots
from instances.actions.callbacks import RECEIVING_CHANNEL


class Wakeups:
    """Sets `event` when a notification comes. While the session is broken, the caller looks by itself each second."""

    def __init__(self, event: asyncio.Event) -> None:
        self.event = event
        self.loop = asyncio.get_running_loop()
        self.session: psycopg.Connection[Any] | None = None
        self.fd = -1

    def listen(self) -> None:
        """Open the session if it is not open. In a thread, because it waits for the database."""
        if self.session is None:
            session = worker_slots.connect()
            session.execute(f"LISTEN {RECEIVING_CHANNEL}")
            self.session, self.fd = session, session.fileno()
            self.loop.call_soon_threadsafe(self.loop.add_reader, self.fd, self.read)
            self.loop.call_soon_threadsafe(self.event.set)  # what was stored before

    def read(self) -> None:
        if self.session is None:
            return
        try:
            self.session.pgconn.consume_input()
            while self.session.pgconn.notifies() is not None:
                self.event.set()
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        if self.session is not None:
            self.loop.remove_reader(self.fd)
            with contextlib.suppress(psycopg.Error):
                self.session.close()
            self.session = None
