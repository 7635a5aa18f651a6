"""Checks the links of channels that are linked by values: asks the messenger whether the account still accepts them.

Each link is checked every CHECK_SECONDS (actions/channel_links.py), so that a revoked token, and a messenger that is
away or back again, become the instance's status within a minute, also while nothing is sent. An instance whose
connection is open is not checked, unless its last check failed: the connection reports it. Any number of receivers
share the checks, and one that is killed leaves none behind: the time of the next check is saved with the claim.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from chatapi.encryption.cipher import UnreadableSecret
from instances.actions.channel_links import CHECK_SECONDS, LATE_SECONDS, record_check
from instances.channels.links import link_of
from instances.channels.masking import mask_text
from instances.channels.receiving import LinkLost, Network
from instances.channels.requests import Link
from instances.models import AccountStatus, ChannelLink, Instance, LoadingReason, ReceiverState
from instances.received_events import StatusReported
from instances.receiving import ownership
from instances.receiving.connection import sentence_of
from instances.receiving.database_thread import UNREACHABLE, DatabaseThread
from instances.receiving.links import linkable_channel, linkable_names, receiving_names

log = logging.getLogger(__name__)

# Links of one look, one a second: a receiver checks 6 000 links in 40 s. After a pause in which all became due, so many
# requests are started at once, not all: a claim of 500 links of 5 000 took 27 ms on a busy machine, and a thousand
# requests at once made checks fail that succeed alone.
CLAIM_LIMIT = 150
MAX_IN_FLIGHT = 1_000  # a messenger that hangs must not delay the checks of others
SECONDS = 15.0  # of one check
# Checks of links that were saved together spread out.
SPREAD = 0.1

# Those that need no check now, such as unpaid ones, are looked at again after LATE_SECONDS: thousands cost nothing.
CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT instance_id, connected_at IS NOT NULL AND check_failures = 0 AS is_connected FROM {state}
        WHERE next_check_at <= %(now)s ORDER BY next_check_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), judged AS (
        SELECT due.instance_id, coalesce(
            l.channel = i.channel AND l.channel = ANY (%(names)s) AND l.connected_at IS NOT NULL
            AND i.stopped_at IS NULL AND i.paid_until > %(now)s AND i.loading_reason <> %(taken)s
            AND NOT (due.is_connected AND i.account_status = %(linked)s AND l.channel = ANY (%(received)s)),
            false) AS is_checked
        FROM due JOIN {instance} i ON i.id = due.instance_id LEFT JOIN {link} l ON l.instance_id = due.instance_id
    )
    UPDATE {state} SET next_check_at = CASE WHEN is_checked THEN %(next)s ELSE %(late)s END
    FROM judged WHERE {state}.instance_id = judged.instance_id
    RETURNING CASE WHEN is_checked THEN {state}.instance_id END
"""


def claim_due(limit: int) -> list[int]:
    """Returns the keys of instances whose link is to be checked now, and sets the time of the next check."""
    if limit <= 0:
        return []
    now = timezone.now()
    seconds = CHECK_SECONDS * random.uniform(1 - SPREAD, 1)
    sql = CLAIM.format(
        state=ReceiverState._meta.db_table, instance=Instance._meta.db_table, link=ChannelLink._meta.db_table
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "now": now,
                "names": linkable_names(),
                "linked": AccountStatus.AUTHENTICATED,
                "received": receiving_names(),
                "taken": LoadingReason.CONFLICT,
                "limit": min(limit, CLAIM_LIMIT),
                "next": now + timedelta(seconds=seconds),
                "late": now + timedelta(seconds=LATE_SECONDS),
            },
        )
        return [row[0] for row in cursor.fetchall() if row[0] is not None]


def load_due(limit: int) -> list[ChannelLink]:
    keys = claim_due(limit)
    return ownership.load(keys) if keys else []


class LinkChecks:
    """In the event loop of a receiver. Recorded in a thread of its own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.thread = DatabaseThread("link checks")
        self.tasks: set[asyncio.Task[None]] = set()

    async def start_due(self) -> None:
        """Start the checks that are due. No query if no channel is linked by values. Raises UNREACHABLE."""
        if not linkable_names():
            return
        for stored in await self.thread.submit(load_due, MAX_IN_FLIGHT - len(self.tasks)):
            task = asyncio.create_task(self.check(stored))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def check(self, stored: ChannelLink) -> None:
        """Ask the messenger about one link, and record what changes."""
        channel, instance = linkable_channel(stored.channel), stored.instance
        if channel is None:
            return
        try:
            link = link_of(stored)
        except UnreadableSecret as error:
            log.error("instance %s: %s", instance.number, error)
            return
        status, error_text, is_lost, seen_at = None, "", False, timezone.now()
        try:
            async with asyncio.timeout(SECONDS):
                status = await channel.health(link, self.network)
        except TimeoutError:
            error_text = f"The messenger did not respond within {SECONDS:.0f} s."
        except Exception as error:  # noqa: BLE001 - whatever a channel raises, it is checked again
            error_text, is_lost = said(error, link), isinstance(error, LinkLost)
        if not error_text and changes_nothing(stored, status):
            return
        try:
            await self.thread.submit(
                record_check,
                instance,
                linked_at=stored.changed_at,
                status=status,
                error=error_text,
                is_lost=is_lost,
                seen_at=seen_at,
            )
        except UNREACHABLE as error:
            log.warning("instance %s: a check was not recorded (%s)", instance.number, type(error).__name__)
        except Instance.DoesNotExist:
            return

    async def end(self) -> None:
        """End all checks; they are due again at their next time."""
        await cancel(self.tasks)
        await asyncio.to_thread(self.thread.end)


def said(error: Exception, link: Link) -> str:
    """Returns the reason as a sentence without credentials."""
    return mask_text(sentence_of(error), link)


def changes_nothing(stored: ChannelLink, status: StatusReported | None) -> bool:
    """Whether the instance has this status already and no check failed before: then nothing is written."""
    instance, state = stored.instance, stored.instance.receiver_state
    if state.check_failures or state.lost_at:
        return False
    if status is None:
        return True
    given = (status.account_status, status.substatus, status.reason)
    current = (instance.account_status, instance.substatus, instance.loading_reason)
    return all(new is None or new == old for new, old in zip(given, current, strict=True))


async def cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(list(tasks))
