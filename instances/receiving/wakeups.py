"""Listens for stored callbacks and changed links, in a session of its own, in the receiver's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import psycopg

from hooks import worker_slots
from instances.actions.callbacks import LINKS_CHANGED, RECEIVING_CHANNEL


class Wakeups:
    """Calls a function for each notification. While the session is broken, the caller looks by itself each second."""

    def __init__(self, on_callback: Callable[[], None], on_links: Callable[[], None]) -> None:
        self.on_callback, self.on_links = on_callback, on_links
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
            self.loop.call_soon_threadsafe(self.on_callback)  # what was stored before

    def read(self) -> None:
        if self.session is None:
            return
        try:
            self.session.pgconn.consume_input()
            while (note := self.session.pgconn.notifies()) is not None:
                (self.on_links if note.extra == LINKS_CHANGED.encode() else self.on_callback)()
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        if self.session is not None:
            self.loop.remove_reader(self.fd)
            with contextlib.suppress(psycopg.Error):
                self.session.close()
            self.session = None
