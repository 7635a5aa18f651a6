"""Leases: who may send which hooks now. All the SQL that takes hooks up and puts them back.

A *lane* (the hooks of one endpoint) belongs to one dispatcher at a time; that is what keeps its order, whatever
number of dispatchers runs. Its owner claims its hooks some at a time: state `sending`, a lease, and a claim
number one higher, so that a late result of an earlier claim finds nothing to overwrite.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.conf import settings

from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.record import Claimed
from hooks.models import Trigger

LEASE = 30.0  # s; longer than any attempt may take (HOOKS_DEADLINE_MS), so an attempt that began in time ends in it
MOST_RETRIES = 10_000
NEEDED = settings.HOOKS_DEADLINE_MS / 1000 + 2  # s of a lease that must be left for an attempt to begin

TAKE_LANES = """
UPDATE hooks_lane l SET owner = %(me)s, until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM (
    SELECT mine.endpoint_id, extract(epoch FROM clock_timestamp() - e.resumed_at)::float8 AS since_resume
    FROM hooks_lane mine JOIN hooks_endpoint e ON e.instance_id = mine.endpoint_id AND e.paused_at IS NULL
    WHERE mine.endpoint_id = ANY(%(lanes)s) AND (mine.owner = %(me)s OR mine.owner IS NULL)
    ORDER BY mine.endpoint_id FOR UPDATE OF mine SKIP LOCKED
) free
WHERE l.endpoint_id = free.endpoint_id
RETURNING l.endpoint_id, free.since_resume
"""
# When both wait, a lane's retries and its first attempts are taken in turn: neither can starve the other. Of all
# lanes together no more retries are taken than there are seats for, so that they fill no memory either.
CLAIM = """
UPDATE hooks_hook h SET
    state = 'sending', claim = h.claim + 1, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM (
    SELECT due.id, due.retry, row_number() OVER (PARTITION BY due.retry ORDER BY due.turn) AS place, e.url, e.parallel,
        e.secret || CASE WHEN e.previous_secret_until > clock_timestamp() THEN ' ' || e.previous_secret ELSE '' END
            AS secret,
        CASE WHEN e.borrowed_until > clock_timestamp() THEN e.borrowed_url ELSE e.url END AS effective_url
    FROM unnest(%(lanes)s::bigint[], %(wanted)s::int[]) AS want (endpoint_id, n)
    JOIN hooks_endpoint e ON e.instance_id = want.endpoint_id AND e.paused_at IS NULL
    CROSS JOIN LATERAL (
        SELECT id, retry, turn FROM (
            (SELECT id, true AS retry, row_number() OVER (ORDER BY next_attempt_at) AS turn FROM hooks_hook
             WHERE endpoint_id = want.endpoint_id AND state = 'retrying' AND next_attempt_at <= clock_timestamp()
             ORDER BY next_attempt_at LIMIT LEAST(want.n, %(retries)s))
            UNION ALL
            (SELECT id, false AS retry, row_number() OVER (ORDER BY id) AS turn FROM hooks_hook
             WHERE endpoint_id = want.endpoint_id AND state = 'queued'
             ORDER BY id LIMIT want.n)
        ) both_kinds ORDER BY turn LIMIT want.n
    ) due
) d
WHERE h.id = d.id AND h.state IN ('queued', 'retrying') AND (NOT d.retry OR d.place <= %(retries)s)
RETURNING h.id, h.public_id::text, h.endpoint_id, h.body, h.claim, h.attempts_made, h.attempts_allowed, h.trigger,
    h.simulated, CASE WHEN h.to_url <> '' THEN h.to_url ELSE d.effective_url END, d.secret, d.parallel,
    CASE WHEN h.attempts_made > 0 THEN extract(epoch FROM clock_timestamp() - h.next_attempt_at)::float8 END
"""
SKIP = """
UPDATE hooks_hook SET state = 'skipped', skip_reason = 'no_address', finished_at = clock_timestamp(), lease_until = NULL
WHERE id = ANY(%s) AND state = 'sending'
"""
# What goes back to the queue keeps its place: a first attempt by its id, a retry as due now.
PUT_BACK = """
state = CASE WHEN h.attempts_made = 0 AND h.trigger = 'event' THEN 'queued' ELSE 'retrying' END,
next_attempt_at = CASE WHEN h.attempts_made = 0 AND h.trigger = 'event' THEN NULL
                       ELSE COALESCE(h.next_attempt_at, clock_timestamp()) END,
lease_until = NULL
"""
HAND_BACK = f"""
UPDATE hooks_hook h SET {PUT_BACK}
FROM unnest(%s::bigint[], %s::bigint[]) AS u (id, claim)
WHERE h.id = u.id AND h.claim = u.claim AND h.state = 'sending'
"""
# Lanes whose owner is gone (its advisory lock is free, see loops.py), or stuck past its lease.
ORPHANS = """
SELECT endpoint_id FROM hooks_lane
WHERE owner IS NOT NULL AND (until < clock_timestamp() OR NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = owner
))
ORDER BY endpoint_id LIMIT 10000 FOR UPDATE SKIP LOCKED
"""
RELEASE_HOOKS = f"""
UPDATE hooks_hook h SET {PUT_BACK}
WHERE h.endpoint_id = ANY(%s) AND h.state = 'sending' AND NOT (h.simulated AND h.lease_until > clock_timestamp())
"""
RELEASE_LANES = "UPDATE hooks_lane SET owner = NULL, until = NULL WHERE endpoint_id = ANY(%s)"
# Leases that ran out though their lane goes on: a simulation whose web process died, a claim whose answer
# was lost with the database session. Attempts end well before their lease, so nobody is sending these.
RELEASE_STRAYS = f"""
UPDATE hooks_hook h SET {PUT_BACK}
WHERE h.state = 'sending' AND h.lease_until < clock_timestamp() - interval '5 seconds'
RETURNING h.endpoint_id
"""
# Which lanes wait: a loose scan over each partial index, one probe a lane, however many hooks wait in it; so the
# hooks that gather behind a pause hide nobody else's.
WAITING = """
WITH RECURSIVE lane AS (
    (SELECT endpoint_id FROM hooks_hook WHERE state = 'queued' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT h.endpoint_id FROM hooks_hook h
            WHERE h.state = 'queued' AND h.endpoint_id > lane.endpoint_id ORDER BY h.endpoint_id LIMIT 1)
    FROM lane WHERE lane.endpoint_id IS NOT NULL
), retry AS (
    (SELECT endpoint_id, next_attempt_at FROM hooks_hook WHERE state = 'retrying'
     ORDER BY endpoint_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT later.endpoint_id, later.next_attempt_at FROM retry CROSS JOIN LATERAL (
        SELECT h.endpoint_id, h.next_attempt_at FROM hooks_hook h
        WHERE h.state = 'retrying' AND h.endpoint_id > retry.endpoint_id
        ORDER BY h.endpoint_id, h.next_attempt_at LIMIT 1
    ) later
)
SELECT endpoint_id FROM (
    SELECT endpoint_id FROM lane WHERE endpoint_id IS NOT NULL
    UNION
    SELECT endpoint_id FROM retry WHERE next_attempt_at <= clock_timestamp()
) due
WHERE EXISTS (
    SELECT 1 FROM hooks_endpoint e WHERE e.instance_id = due.endpoint_id AND e.paused_at IS NULL
)
"""
NEXT_DUE = """
SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())::float8 FROM hooks_hook
WHERE state = 'retrying' AND next_attempt_at > clock_timestamp()
"""


@dataclass(slots=True)
class Claims:
    """What a claim brought: the hooks in order, and the lanes that may have more."""

    hooks: list[Claimed]
    more: list[int]
    late: list[float]  # of the retries, how many seconds after their time
    skipped: int  # hooks whose address had been taken away
    left_out: list[int]  # lanes that may have retries for which there was no room


def claim(
    session: psycopg.Connection[Any],
    me: int,
    wanted: Mapping[int, int],
    catch_up: CatchUp | None = None,
    *,
    retries: int = MOST_RETRIES,
) -> Claims:
    """Claim up to `wanted[lane]` due hooks of each lane that is free or ours; first attempts in order.

    With `catch_up`, fewer of a lane that was paused until a moment ago. At most `retries` of them all have been
    tried before.
    """
    began = time.monotonic()
    lanes = list(wanted)
    rows = session.execute(TAKE_LANES, {"me": me, "lease": LEASE, "lanes": lanes}).fetchall()
    grant = {
        lane: catch_up.grant(lane, wanted[lane], since) if catch_up else wanted[lane] for lane, since in rows
    }
    ours = [lane for lane, n in grant.items() if n]
    found = session.execute(
        CLAIM,
        {"lease": LEASE, "lanes": ours, "wanted": [grant[lane] for lane in ours], "retries": retries},
    ).fetchall()
    shared: dict[str, str] = {}  # every row brings its own copy of its lane's address and secret
    hooks = [
        Claimed(
            id=row[0],
            webhook_id="hook_" + row[1].replace("-", ""),
            endpoint_id=row[2],
            body=bytes(row[3]),
            claim=row[4],
            made=row[5],
            allowed=row[6],
            trigger=Trigger(row[7]),
            simulated=row[8],
            url=shared.setdefault(row[9], row[9]),
            secret=shared.setdefault(row[10], row[10]),
            parallel=row[11],
            lease_ends=began + LEASE,
        )
        for row in found
    ]
    without_address = [hook.id for hook in hooks if not hook.url]
    if without_address:
        session.execute(SKIP, [without_address])
    hooks.sort(key=lambda hook: hook.id)
    counts = Counter(hook.endpoint_id for hook in hooks)
    cut = sum(hook.made > 0 for hook in hooks) >= retries
    return Claims(
        hooks=[hook for hook in hooks if hook.url],
        more=[lane for lane, n in counts.items() if n >= wanted[lane] or cut],
        late=[row[12] for row in found if row[12] is not None],
        skipped=len(without_address),
        left_out=[lane for lane in ours if counts[lane] < wanted[lane]] if cut else [],
    )


def hand_back(session: psycopg.Connection[Any], hooks: Sequence[Claimed]) -> None:
    """Put claimed hooks back unsent."""
    session.execute(HAND_BACK, [[hook.id for hook in hooks], [hook.claim for hook in hooks]])


def give_up_lanes(session: psycopg.Connection[Any], me: int, lanes: Iterable[int] | None = None) -> None:
    """Let go of idle lanes, or of all (at the end)."""
    if lanes is None:
        session.execute("UPDATE hooks_lane SET owner = NULL, until = NULL WHERE owner = %s", [me])
    else:
        session.execute(
            "UPDATE hooks_lane SET owner = NULL, until = NULL WHERE owner = %s AND endpoint_id = ANY(%s)",
            [me, list(lanes)],
        )


def sweep(session: psycopg.Connection[Any]) -> list[int]:
    """Free the lanes and hooks of dispatchers that are gone; the lanes that were freed."""
    with session.transaction():
        lanes = [row[0] for row in session.execute(ORPHANS).fetchall()]
        if lanes:
            session.execute(RELEASE_HOOKS, [lanes])
            session.execute(RELEASE_LANES, [lanes])
        strays = [row[0] for row in session.execute(RELEASE_STRAYS).fetchall()]
    return lanes + strays


def waiting_lanes(session: psycopg.Connection[Any]) -> list[int]:
    """The lanes that have a hook due now."""
    return [row[0] for row in session.execute(WAITING).fetchall()]


def next_due(session: psycopg.Connection[Any]) -> float | None:
    """Seconds until the next retry is due; None when none is planned."""
    row = session.execute(NEXT_DUE).fetchone()
    return row[0] if row else None
