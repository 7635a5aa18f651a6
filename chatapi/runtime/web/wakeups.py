"""Serves waiting calls as soon as the transaction that they wait for has committed, instead of after their pause.

A call may name a key (instances/limits/waiting_calls.py), the payload of a notification on CHANNEL. While such calls
wait, a thread of this process listens with one database session, however many they are. A notification may be lost:
then the call is served again after its pause, as all are behind a pooler.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from django.conf import settings

log = logging.getLogger(__name__)

CHANNEL = "hooks"  # of hooks.outbox; the payload is the key of an endpoint
# So long after the last call with a key, its notifications are ignored. Without keys, the thread ends.
IDLE_SECONDS = 60.0
POLL_SECONDS = 1.0  # between two looks for keys that are idle
PAUSE_SECONDS = 5.0  # before the database is tried again


class Wakeups:
    """The waiting calls with keys. All methods run in the event loop's thread, except listen()."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # key → functions that serve a call now
        self.waiting: dict[str, dict[Callable[[], None], asyncio.TimerHandle]] = {}
        # By loop.time(): when a call with the key last began to wait, and when the key was last notified since then.
        self.used: dict[str, float] = {}
        self.notified: dict[str, float] = {}
        self.thread: threading.Thread | None = None

    def add(self, key: str, since: float, seconds: float, serve: Callable[[], None]) -> None:
        """Call `serve` in `seconds`, or when the key is notified: at once, if it was after `since`.

        `since` is the time at which the call was last served: what was committed before, it has seen.
        """
        if settings.POOLED_DATABASE:  # no LISTEN there (chatapi/database/pooler.py)
            self.loop.call_later(seconds, serve)
            return
        self.used[key] = self.loop.time()
        self.start()
        if self.notified.get(key, 0.0) >= since:
            seconds = 0.0
        run = partial(self.run, key, serve)
        self.waiting.setdefault(key, {})[serve] = self.loop.call_later(seconds, run)

    def run(self, key: str, serve: Callable[[], None]) -> None:
        calls = self.waiting[key]
        calls.pop(serve).cancel()
        if not calls:
            del self.waiting[key]
        serve()

    def wake(self, keys: set[str]) -> None:
        """These keys were notified."""
        for key in keys & self.used.keys():
            self.notified[key] = self.loop.time()
            for serve in list(self.waiting.get(key, ())):
                self.run(key, serve)

    def forget_idle(self) -> None:
        before = self.loop.time() - IDLE_SECONDS
        for key in [key for key, at in self.used.items() if at < before]:
            del self.used[key]
            self.notified.pop(key, None)

    def start(self) -> None:
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self.listen, name="web-wakeups", daemon=True)
            self.thread.start()

    def listen(self) -> None:
        """In the thread: listen while calls wait."""
        import psycopg

        from hooks import worker_slots  # after Django is set up

        forget_at = 0.0  # by time.monotonic(); a busy site has thousands of notifications a second
        while self.used:
            try:
                with worker_slots.connect() as session:
                    session.execute(f"LISTEN {CHANNEL}")
                    while self.used:
                        found = {
                            note.payload for note in session.notifies(timeout=POLL_SECONDS, stop_after=1)
                        }
                        if keys := found & self.used.keys():
                            self.loop.call_soon_threadsafe(self.wake, keys)
                        if time.monotonic() >= forget_at:
                            self.loop.call_soon_threadsafe(self.forget_idle)
                            forget_at = time.monotonic() + POLL_SECONDS
            except (psycopg.Error, OSError) as error:
                reason = str(error).strip().split("\n")[0]
                log.warning("Waiting calls are served after their pauses only: %s", reason)
                time.sleep(PAUSE_SECONDS)
            except RuntimeError:  # the loop is closed
                return
