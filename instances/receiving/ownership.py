"""Shares the instances out over the receivers: each has ReceiverState.owner, the run that receives for it.

A receiver claims free instances up to its fair share, takes over those of dead runs, and gives back what is more than
its share when another receiver starts. Runs hold an advisory lock that PostgreSQL releases as soon as a process dies,
so a dead one is replaced at the next look, without a timeout.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from hooks.models import Role
from instances.models import ChannelLink, Instance, ReceiverState
from instances.receiving.links import receiving_names

CLAIM_LIMIT = 5_000  # instances of one claim

HELD_LOCKS = """
    SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
FREE_DEAD = f"""
    UPDATE {{state}} SET owner = NULL, stream_url = '' WHERE owner IS NOT NULL AND owner <> ALL (ARRAY({HELD_LOCKS}))
"""
# a run that hands over has finished_at
COUNT_RUNS = f"""
    SELECT count(*) FROM hooks_runner WHERE role = %s AND finished_at IS NULL AND id = ANY (ARRAY({HELD_LOCKS}))
"""
# Materialized: as a subquery of IN, the planner could run it once per row, and LIMIT would have no effect.
CLAIM = """
    WITH free AS MATERIALIZED (
        SELECT s.instance_id FROM {state} s JOIN {instance} i ON i.id = s.instance_id
        WHERE s.owner IS NULL AND i.channel = ANY (%s) AND i.stopped_at IS NULL AND i.paid_until > %s
        ORDER BY s.instance_id LIMIT %s FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE {state} SET owner = %s FROM free WHERE {state}.instance_id = free.instance_id
    RETURNING {state}.instance_id
"""


@dataclass(frozen=True)
class Share:
    """How many instances there are to receive for, and how many receivers."""

    instances: int
    receivers: int

    @property
    def number(self) -> int:
        """The most instances that one receiver keeps."""
        return -(-self.instances // max(self.receivers, 1))


def received_instances() -> QuerySet[Instance]:
    """Returns the instances that are received for: linked, paid and not stopped, of a channel that is received from."""
    return Instance.objects.filter(
        channel__in=receiving_names(),
        receiver_state__isnull=False,
        paid_until__gt=timezone.now(),
        stopped_at=None,
    )


def execute(sql: str, parameters: Sequence[Any]) -> list[tuple[int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.format(state=ReceiverState._meta.db_table, instance=Instance._meta.db_table), parameters
        )
        return cursor.fetchall() if cursor.description else []


def free_dead() -> bool:
    """Free the instances of runs that have died; returns whether there were any."""
    with connection.cursor() as cursor:
        cursor.execute(FREE_DEAD.format(state=ReceiverState._meta.db_table))
        return cursor.rowcount > 0


def find_share() -> Share:
    [(receivers,)] = execute(COUNT_RUNS, [Role.RECEIVING])
    return Share(received_instances().count(), receivers)


def claim(owner: int, limit: int) -> list[int]:
    """Claim up to `limit` free instances; returns their keys."""
    if limit <= 0:
        return []
    names = receiving_names()
    return [row[0] for row in execute(CLAIM, [names, timezone.now(), min(limit, CLAIM_LIMIT), owner])]


def owned(owner: int) -> dict[int, datetime]:
    """Returns the instances of a run by key, with the time of the last change of their link."""
    links = ChannelLink.objects.filter(
        instance__in=received_instances(), instance__receiver_state__owner=owner
    )
    return dict(links.values_list("pk", "changed_at"))


def give_back(owner: int, keys: Collection[int] | None = None) -> None:
    """Free these instances of the run, or all of them."""
    states = ReceiverState.objects.filter(owner=owner)
    (states if keys is None else states.filter(pk__in=keys)).update(owner=None, stream_url="")


def load(keys: Collection[int]) -> list[ChannelLink]:
    """Returns the links of these instances, with the instance and the state of each. One query."""
    return list(ChannelLink.objects.select_related("instance__receiver_state").filter(pk__in=keys))
