"""Asks messengers for what their events do not tell of groups, and records it.

After the events are recorded, and beside them: no message waits for a look-up. What a killed receiver has not asked
for, the next one asks for with the group's next event.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction

from instances.actions.received import record_events
from instances.channels.masking import mask_text
from instances.channels.receiving import GroupLookup, LooksUpGroups, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.models import ChannelLink, Instance
from instances.received_events import ReceivedEvent
from instances.receiving.database_thread import UNREACHABLE, DatabaseThread

log = logging.getLogger(__name__)

AT_ONCE = 20  # one of each instance
SLOT_SECONDS = 2.0  # after which a look-up that still waits for its messenger lets another one begin
PAUSES = (2.0, 30.0)  # seconds before the second and the third try
MAX_PAUSE = 300.0  # which a messenger may ask for
MAX_WAITING = 100  # of an instance; others are made after a later event
MAX_DONE = 50_000  # look-ups that are remembered


class WantedLookups(NamedTuple):
    """What events that were recorded leave open."""

    instance: Instance
    link: Link
    channel: LooksUpGroups
    wanted: tuple[GroupLookup, ...]


def wanted_lookups(
    instance: Instance, link: Link, channel: object, reported: Sequence[ReceivedEvent]
) -> list[WantedLookups]:
    """Returns what these events leave open: one object, or none."""
    if not isinstance(channel, LooksUpGroups) or not (wanted := channel.lookups(reported)):
        return []
    return [WantedLookups(instance, link, channel, tuple(wanted))]


class GroupLookups:
    """Of one receiver, in its event loop; `thread` records what messengers respond."""

    def __init__(self, network: Network, thread: DatabaseThread) -> None:
        self.network, self.thread = network, thread
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.done: OrderedDict[tuple[int, str, GroupLookup], None] = OrderedDict()
        self.tasks: set[asyncio.Task[None]] = set()
        self.turns: dict[
            int, asyncio.Lock
        ] = {}  # by instance: a messenger that does not respond delays no other one
        self.waiting: Counter[int] = Counter()  # by instance

    def start(self, found: Sequence[WantedLookups]) -> None:
        """Make the look-ups that this receiver has not made, and those that are to be repeated."""
        for each in found:
            number = each.link.number
            for lookup in each.wanted:
                key = (number, each.link.external_id, lookup)
                if (key in self.done and not lookup.is_repeated) or self.waiting[number] >= MAX_WAITING:
                    continue
                self.waiting[number] += 1
                self.done[key] = None
                if len(self.done) > MAX_DONE:
                    self.done.popitem(last=False)
                task = asyncio.create_task(self.look_up(each, lookup))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def look_up(self, each: WantedLookups, lookup: GroupLookup) -> None:
        """Make one look-up, in up to three tries, after those of its instance that were wanted before."""
        number = each.link.number
        try:
            async with self.turns.setdefault(number, asyncio.Lock()):
                if events := await self.ask(each, lookup):
                    await self.thread.submit(record, each.instance, each.link, events)
        except (ReceiveFailed, *UNREACHABLE) as error:
            self.done.pop((number, each.link.external_id, lookup), None)
            said = mask_text(str(error), each.link)
            log.warning("instance %s: a group was not looked up: %s", number, said)
        except Exception:
            log.exception("instance %s: a group was not looked up", number)
        finally:
            self.waiting[number] -= 1
            if not self.waiting[number]:
                del self.waiting[number]
                self.turns.pop(number, None)

    async def ask(self, each: WantedLookups, lookup: GroupLookup) -> Sequence[ReceivedEvent]:
        """Returns what the messenger responds. Raises ReceiveFailed if it does not after three tries."""
        for pause in (*PAUSES, None):
            try:
                return await self.ask_in_turn(each, lookup)
            except ReceiveFailed as error:
                if pause is None:
                    raise
                await asyncio.sleep(min(max(pause, error.seconds or 0.0), MAX_PAUSE))
        raise AssertionError("the last try returns or raises")

    async def ask_in_turn(self, each: WantedLookups, lookup: GroupLookup) -> Sequence[ReceivedEvent]:
        """Ask the messenger in one of the slots; if it is slow, wait for its response without one.

        Raises ReceiveFailed.

        Otherwise the instances of AT_ONCE messengers that do not respond would stop the look-ups of all others.
        """
        async with self.slots:
            asking = asyncio.create_task(self.ask_once(each, lookup))
            try:
                await asyncio.wait([asking], timeout=SLOT_SECONDS)
            except asyncio.CancelledError:
                asking.cancel()
                raise
        return await asking

    async def ask_once(self, each: WantedLookups, lookup: GroupLookup) -> Sequence[ReceivedEvent]:
        return await each.channel.look_up(each.link, lookup, self.network)

    async def end(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@transaction.atomic
def record(instance: Instance, link: Link, events: Sequence[ReceivedEvent]) -> None:
    """Record what the messenger has responded, unless the instance is linked to another account now, or deleted."""
    current = Instance.objects.filter(pk=instance.pk).first()
    links = ChannelLink.objects.filter(instance_id=instance.pk, external_id=link.external_id)
    if current is not None and links.exists():
        record_events(current, events, is_patient=False)
