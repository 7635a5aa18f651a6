"""The connections of one receiver: claims instances, opens their connections, and ends those that others have now.

A process with 2 000 open streams has 119 MB of memory, 14 KB for each, and takes 0.5 % of a core while they are idle
(measured).
"""

from __future__ import annotations

import asyncio
import logging

from chatapi.encryption.cipher import UnreadableSecret
from instances.actions.receiver_states import record_successes
from instances.channels.links import link_of
from instances.models import ChannelLink
from instances.receiving import ownership
from instances.receiving.connection import Connection
from instances.receiving.database_thread import UNREACHABLE, DatabaseThread
from instances.receiving.files import FileFetcher
from instances.receiving.group_lookups import GroupLookups
from instances.receiving.links import receiving_channel, receiving_names
from instances.receiving.network import LoopNetwork
from instances.receiving.stream_gateway import StreamGateway

log = logging.getLogger(__name__)

RECORD_THREADS = 4
# Between two looks at all instances. Free ones, and those of dead runs, are claimed at each look.
FULL_LOOK_SECONDS = 5.0
# An idle connection's responses are recorded this often: thousands of long polls end every 30 s.
SUCCESS_SECONDS = 60.0


class Residents:
    """In the event loop; `control` is the thread for ownership."""

    def __init__(self, owner: int, control: DatabaseThread) -> None:
        self.owner, self.control = owner, control
        self.loop = asyncio.get_running_loop()
        self.network = LoopNetwork()
        self.files = FileFetcher(self.network)
        self.gateway = StreamGateway()
        self.threads = [DatabaseThread(f"recorder {number}") for number in range(RECORD_THREADS)]
        self.lookups = GroupLookups(self.network, self.threads[0])
        self.connections: dict[int, Connection] = {}
        self.succeeded: set[int] = set()  # responses that are not recorded yet
        self.share = ownership.Share(0, 1)
        self.full_look_due = 0.0

    def links_changed(self) -> None:
        """Make the next look, or the one that has begun, a full one."""
        self.full_look_due = 0.0

    async def look(self) -> None:
        """Claim, open and end connections. No query if no channel is received from.

        Raises:
            UNREACHABLE: the database does not respond; connections stay open for now (loop.watch_contact).
        """
        if not receiving_names():
            return
        if await self.control.submit(ownership.free_dead):
            self.links_changed()  # the share of the others is larger now
        if self.loop.time() >= self.full_look_due:
            await self.look_at_all()
            self.full_look_due = self.loop.time() + FULL_LOOK_SECONDS
        if keys := await self.control.submit(
            ownership.claim, self.owner, self.share.number - len(self.connections)
        ):
            await self.open(keys)
        if self.succeeded:
            done, self.succeeded = self.succeeded, set()
            await self.control.submit(record_successes, done, owner=self.owner)

    async def look_at_all(self) -> None:
        """Find the share, end connections that this run does not own or whose link has changed, and open the rest."""
        before = self.share
        self.share = await self.control.submit(ownership.find_share)
        if self.share.receivers != before.receivers:
            log.info("receiver: %s instances over %s receivers", self.share.instances, self.share.receivers)
        owned = await self.control.submit(ownership.owned, self.owner)
        changed = [
            key
            for key, connection in self.connections.items()
            if owned.get(key) != connection.changed_at or connection.task.done()
        ]
        await self.end(changed)
        if len(owned) > self.share.number:
            surplus = sorted(owned)[self.share.number :]
            await self.end([key for key in surplus if key in self.connections])
            await self.control.submit(ownership.give_back, self.owner, surplus)
            owned = {key: changed_at for key, changed_at in owned.items() if key not in surplus}
        if missing := [key for key in owned if key not in self.connections]:
            await self.open(missing)

    async def open(self, keys: list[int]) -> None:
        """Open the connections of instances that this run owns."""
        for stored in await self.control.submit(ownership.load, keys):
            self.open_one(stored)

    def open_one(self, stored: ChannelLink) -> None:
        channel = receiving_channel(stored.channel)
        if channel is None or stored.pk in self.connections:
            return
        try:
            link = link_of(stored)
        except UnreadableSecret as error:
            log.error("instance %s: %s", stored.instance.number, error)
            return
        thread = self.threads[stored.pk % RECORD_THREADS]
        self.connections[stored.pk] = Connection(
            self.owner,
            stored,
            link,
            channel,
            self.network,
            self.files,
            thread,
            self.count_success,
            self.gateway,
            self.lookups,
        )

    def count_success(self, connection: Connection) -> None:
        """Have a response without events recorded: the first of a connection at the next look, later ones seldom."""
        now = self.loop.time()
        if not connection.is_shown_connected or now >= connection.success_recorded_at + SUCCESS_SECONDS:
            connection.is_shown_connected = True
            connection.success_recorded_at = now
            self.succeeded.add(connection.instance.pk)

    async def end(self, keys: list[int]) -> None:
        """End these connections, all at once."""
        ending = [self.connections.pop(key) for key in keys]
        await asyncio.gather(*(connection.end() for connection in ending))

    async def end_all(self) -> None:
        """End all connections. The next look is a full one, and opens those that this run owns then."""
        await self.end(list(self.connections))
        self.links_changed()

    async def close(self) -> None:
        """End all connections and give the instances back."""
        await self.end(list(self.connections))
        await self.lookups.end()
        await self.gateway.close()
        try:
            if receiving_names():
                await self.control.submit(ownership.give_back, self.owner)
        except UNREACHABLE:
            pass  # the lock of this run is free soon, and another one takes them
        for thread in self.threads:
            thread.end()
        self.files.end()
        self.network.close()
