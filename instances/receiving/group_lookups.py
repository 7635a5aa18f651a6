"""Asks messengers for what their events do not tell of groups, and records it.

After the events are recorded, and beside them: no message waits for a look-up. What a killed receiver has not asked
for, the next one asks for with the group's next event.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
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

AT_ONCE = 20
PAUSES = (2.0, 30.0)  # seconds before the second and the third try
MAX_WAITING = 1_000  # look-ups; others are made after a later event
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

    def start(self, found: Sequence[WantedLookups]) -> None:
        """Make the look-ups that this receiver has not made, and those that are to be repeated."""
        for each in found:
            for lookup in each.wanted:
                key = (each.link.number, each.link.external_id, lookup)
                if (key in self.done and not lookup.is_repeated) or len(self.tasks) >= MAX_WAITING:
                    continue
                self.done[key] = None
                if len(self.done) > MAX_DONE:
                    self.done.popitem(last=False)
                task = asyncio.create_task(self.look_up(each, lookup))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def look_up(self, each: WantedLookups, lookup: GroupLookup) -> None:
        """Make one look-up, in up to three tries."""
        try:
            async with self.slots:
                for pause in (*PAUSES, None):
                    try:
                        events = await each.channel.look_up(each.link, lookup, self.network)
                        break
                    except ReceiveFailed as error:
                        if pause is None:
                            raise
                        await asyncio.sleep(max(pause, error.seconds or 0.0))
            if events:
                await self.thread.submit(record, each.instance, each.link, events)
        except (ReceiveFailed, *UNREACHABLE) as error:
            self.done.pop((each.link.number, each.link.external_id, lookup), None)
            said = mask_text(str(error), each.link)
            log.warning("instance %s: a group was not looked up: %s", each.link.number, said)
        except Exception:
            log.exception("instance %s: a group was not looked up", each.link.number)

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
