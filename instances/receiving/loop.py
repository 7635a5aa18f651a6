"""A receiver: one process of role RECEIVING, with an event loop for connections and threads for the database.

It handles stored callbacks as soon as a notification comes, and looks for them once a second. It checks links that were
made by values (link_checks.py), and holds the connections of its share of the instances that are received from
(residents.py). Like a dispatcher it holds a slot, hands over to a successor and ends when the worker stops.

If the database has not responded for CONTACT_SECONDS, it ends its connections: after LOST_SECONDS another machine has
the instances (chatapi/database/lost_sessions.py), and a messenger must not have two connections of one account. What
the messenger reported and was not recorded is reported again: it was not confirmed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from hooks import worker_slots
from instances.receiving import callbacks
from instances.receiving.database_thread import UNREACHABLE, DatabaseThread
from instances.receiving.files import MAX_FETCHES
from instances.receiving.link_checks import LinkChecks
from instances.receiving.residents import Residents
from instances.receiving.wakeups import Wakeups

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the slot, and at callbacks whose notification was lost
LINK_CHECK_PAUSE = 1.0  # s between two looks for links to check
RECONNECT_PAUSE = 1.0  # s between attempts to reach the database
CONTACT_SECONDS = 4.0  # without a response of the database; as that of dispatchers
CONTACT_CHECK_PAUSE = 0.5


def run(
    worker_slot: worker_slots.WorkerSlot,
    *,
    stop_fd: int | None,
    request_successor: Callable[[], object] = lambda: None,
) -> bool:
    """Receive until the hand-over, a stop or the loss of the slot; returns whether it has handed over."""
    return asyncio.run(Receiver(worker_slot, request_successor).run(stop_fd))


def log_unreachable(name: str, error: Exception) -> None:
    log.warning("%s: the database does not respond (%s)", name, str(error).strip().split("\n")[0])


class Receiver:
    """Everything but the threads' jobs runs in the event loop."""

    def __init__(self, worker_slot: worker_slots.WorkerSlot, request_successor: Callable[[], object]) -> None:
        self.worker_slot = worker_slot
        self.request_successor = request_successor
        self.stopping = asyncio.Event()
        self.stored = asyncio.Event()  # a callback was stored
        self.woken = asyncio.Event()  # links have changed, or it has to stop
        self.control = DatabaseThread("control")
        self.callback_thread = DatabaseThread("callbacks")

    async def run(self, stop_fd: int | None) -> bool:
        loop = asyncio.get_running_loop()
        if stop_fd is not None:
            loop.add_reader(stop_fd, self.stop)
        self.wakeups = Wakeups(self.stored.set, self.links_changed)
        self.residents = Residents(self.worker_slot.id, self.control)
        self.link_checks = LinkChecks(self.residents.network)
        handling = asyncio.create_task(self.handle_callbacks())
        checking = asyncio.create_task(self.check_links())
        watching = asyncio.create_task(self.watch_contact())
        handed_over = False
        try:
            while not (self.stopping.is_set() or handling.done() or checking.done()):
                if not await self.control.submit(self.heartbeat_and_listen):
                    break
                if self.worker_slot.is_handover_due:
                    await self.control.submit(self.hand_over)
                    handed_over = True
                    break
                self.woken.clear()
                try:
                    await self.residents.look()
                except UNREACHABLE as error:
                    log_unreachable("receiver", error)
                await self.wait(self.woken, LOOK_SECONDS)
        finally:
            if stop_fd is not None:
                loop.remove_reader(stop_fd)
            self.stop()
            watching.cancel()
            try:
                await asyncio.gather(handling, checking)  # both use the residents' network
            finally:
                await asyncio.wait([watching])
                await self.residents.close()
                self.wakeups.close()
                self.control.end()
                self.callback_thread.end()
        return handed_over

    def stop(self) -> None:
        """End soon. The pipe of a stop stays readable, so this is called again and again until it is not watched."""
        self.stopping.set()
        self.stored.set()
        self.woken.set()

    def links_changed(self) -> None:
        self.residents.links_changed()
        self.woken.set()

    @staticmethod
    async def wait(event: asyncio.Event, seconds: float) -> None:
        """Wait for the event, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass

    async def watch_contact(self) -> None:
        """End the connections while the database does not respond. They are opened again as soon as it does."""
        while True:
            await asyncio.sleep(CONTACT_CHECK_PAUSE)
            # by the thread that sends the heartbeat: the session of the slot is among its own
            silent_for = time.monotonic() - self.control.contact_at
            if silent_for > CONTACT_SECONDS and self.residents.connections:
                log.warning(
                    "receiver: the database has not responded for %.0f s; connections are ended until it does",
                    CONTACT_SECONDS,
                )
                await self.residents.end_all()

    # -- in the control thread

    def heartbeat_and_listen(self) -> bool:
        """Send the heartbeat and listen; returns False if the slot is lost. Waits while the database is away."""
        while True:
            try:
                self.worker_slot.send_heartbeat(len(self.residents.connections))
                self.wakeups.listen()
                return True
            except UNREACHABLE as error:
                log_unreachable("receiver", error)
            if not self.reacquire():
                return False

    def reacquire(self) -> bool:
        """Returns whether this run has its slot again."""
        while not self.stopping.is_set():
            time.sleep(RECONNECT_PAUSE)
            try:
                return self.worker_slot.reacquire()
            except UNREACHABLE:
                continue
        return False

    def hand_over(self) -> None:
        self.worker_slot.release_slot()
        self.request_successor()

    # -- links and callbacks

    async def check_links(self) -> None:
        """Check the links that are due, until the receiver ends."""
        try:
            while not self.stopping.is_set():
                try:
                    await self.link_checks.start_due()
                except UNREACHABLE as error:
                    log_unreachable("link checks", error)
                await self.wait(self.stopping, LINK_CHECK_PAUSE)
        finally:
            await self.link_checks.end()

    async def handle_callbacks(self) -> None:
        """Handle what is stored, until the receiver ends; meanwhile, fetch the files of many instances."""
        fetching: set[asyncio.Task[None]] = set()
        while not self.stopping.is_set():
            self.stored.clear()
            try:
                handled = 1
                while handled and not self.stopping.is_set():
                    fetches = callbacks.Fetches(MAX_FETCHES - len(fetching))
                    handled = await self.callback_thread.submit(callbacks.handle_due, fetches)
                    self.residents.lookups.start(fetches.lookups)
                    for fetch in fetches.claimed:
                        task = asyncio.create_task(self.handle_with_files(fetch))
                        fetching.add(task)
                        task.add_done_callback(fetching.discard)
            except UNREACHABLE as error:
                log_unreachable("callbacks", error)
                await self.wait(self.stopping, RECONNECT_PAUSE)
            await self.wait(self.stored, LOOK_SECONDS)
        for task in list(fetching):
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)

    async def handle_with_files(self, fetch: callbacks.FilesToFetch) -> None:
        """Fetch the files of a callback and handle it. If this receiver ends first, another one does."""
        extending = asyncio.create_task(self.extend_claim(fetch))
        try:
            files = await self.residents.files.fetch_all(
                fetch.instance, fetch.link, fetch.channel, fetch.wanted
            )
            if await self.callback_thread.submit(callbacks.handle_with_files, fetch, files):
                self.residents.lookups.start(fetch.lookups)
        except UNREACHABLE as error:
            log_unreachable("callbacks", error)
        except asyncio.CancelledError:
            with contextlib.suppress(*UNREACHABLE):
                await self.callback_thread.submit(callbacks.extend_claim, fetch, 0.0)
            raise
        except Exception:  # of one callback; it is tried again when the claim ends
            log.exception("The files of a callback of instance %s were not fetched", fetch.instance.number)
        finally:
            extending.cancel()
            self.stored.set()  # the next callbacks of the instance

    async def extend_claim(self, fetch: callbacks.FilesToFetch) -> None:
        """Keep other receivers from fetching the same files."""
        while True:
            await asyncio.sleep(callbacks.EXTEND_SECONDS)
            with contextlib.suppress(*UNREACHABLE):
                await self.callback_thread.submit(callbacks.extend_claim, fetch)
