"""Leases lanes and hooks to dispatchers, and returns them to the queue.

A *lane* (the hooks of one endpoint) belongs to one dispatcher at a time, however many dispatchers run; this keeps its
order. Its owner claims first attempts by moving the lane's cursor: nothing is written in the hooks, which stay
`queued` until their results are recorded (hooks/models/endpoints.py, Lane). In one run on a busy machine, PostgreSQL
needed 64 to 83 µs of CPU per delivery instead of the 99 to 100 µs of a claim that wrote each row.

Retries, resends, and hooks with a URL of their own while their endpoint has none, are claimed in their rows: state
`sending`, a lease, and a claim number one higher, so that the late result of an earlier claim matches no row.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

import psycopg
from django.conf import settings

from chatapi.encryption.cipher import UnreadableSecret, decrypt
from chatapi.encryption.fields import EncryptedTextField
from hooks import worker_slots
from hooks.dispatch.attempts import BY_CURSOR, ClaimedHook
from hooks.dispatch.catch_up import CatchUp
from hooks.dispatch.lane_places import Places, is_at_sql
from hooks.dispatch.retry_windows import ALL, RetryWindows
from hooks.dispatch.strict_order import find_turns
from hooks.models import Endpoint, Trigger
from hooks.outbox import CHANNEL
from hooks.sql import lane_queries, partitions
from hooks.urls import destination

LEASE = 30.0  # s; longer than an attempt can take (HOOKS_DEADLINE_MS), so an attempt that starts in time ends in it
NO_RETRY_LIMIT = 10_000
PERIOD_SECONDS = 4.0  # see Lane.period: a lane's row has a new key in each; 2**31 of them end in 2242
# Lanes whose decrypted secrets a dispatcher keeps, about 0.5 KB each. Decrypting takes 3.5 µs, finding it here 0.1 µs.
SECRETS_CACHED = 20_000
SECRET_FIELDS = [
    cast(EncryptedTextField, Endpoint._meta.get_field(name)) for name in ("secret", "previous_secret")
]
MIN_LEASE_LEFT = settings.HOOKS_DEADLINE_MS / 1000 + 2  # s; no attempt starts with less of its lease left

log = logging.getLogger(__name__)

OF_LOCKED_LANE = f"""
    mine.endpoint_id, e.parallel, e.strict, extract(epoch FROM clock_timestamp() - e.resumed_at)::float8,
    mine.cursor, (SELECT last_value FROM hooks_hook_id_seq), ({destination.endpoint_url_sql()}) <> '',
    extract(epoch FROM statement_timestamp())::float8, mine.ctid::text"""
# The locks are held until the hooks are claimed, so that no hook is skipped or cancelled while it is claimed.
# By place, as found from the last entry of each lane in the index of the key (newest_lane): each wake-up of a lane
# comes to all dispatchers, and by its key those that do not own it would read all its former versions. A lane that
# another session changes meanwhile may not be found; the next sweep finds it. "+ 0" as in is_at_sql().
LOCK_LANES = f"""
SELECT {OF_LOCKED_LANE}
FROM hooks_lane mine JOIN hooks_endpoint e ON e.id = mine.endpoint_id + 0 AND {destination.is_open_sql()}
WHERE e.id = ANY(%(lanes)s) AND mine.endpoint_id + 0 = ANY(%(lanes)s) AND mine.ctid = ANY(ARRAY(
    SELECT ({lane_queries.newest_lane("l.ctid", "want.lane")}) FROM unnest(%(lanes)s::bigint[]) AS want (lane)
)) AND (mine.owner = %(me)s OR mine.owner IS NULL)
FOR UPDATE OF mine SKIP LOCKED
"""
# The same for lanes whose places are known. Their order is that of the places; no lock is waited for.
LOCK_LANES_AT_PLACES = f"""
SELECT {OF_LOCKED_LANE}
FROM hooks_lane mine JOIN hooks_endpoint e ON e.id = mine.endpoint_id + 0 AND {destination.is_open_sql()}
WHERE e.id = ANY(%(lanes)s) AND mine.endpoint_id + 0 = ANY(%(lanes)s) AND {is_at_sql("mine", "%(places)s")}
    AND (mine.owner = %(me)s OR mine.owner IS NULL)
FOR UPDATE OF mine SKIP LOCKED
"""
# For each lane: how many first attempts, how many retries, and how many of both. If that is fewer than their sum, they
# are claimed alternately: neither starves the other. %(max_retries)s limits the retries of all lanes together to what
# may be in flight, so that retries do not fill the memory. `head` is the retry to claim of a
# strict lane, instead of any other hook (strict_order.py). `after` is the time after which retries became due that were
# not searched yet (retry_windows.py): a time and no interval, which a pause of this process would shift.
# BETWEEN and the order by endpoint leave only hooks_hook_state; with `=`, the primary key has the same order.
# %(from)s and %(to)s leave out the partitions without new hooks, before the statement runs.
# statement_timestamp() bounds the index scan. clock_timestamp() is volatile: retries planned for later would be read.
# A hook without a URL (it was removed, or a verification ended) waits until there is one. The cursor must not pass it:
# while the endpoint has no URL, the hooks with a URL of their own are claimed in their rows.
# The rows of lanes are locked, so their places (lane_places.py) do not change before this statement. It returns only
# hooks of lanes that it has changed.
CLAIM_HOOKS = f"""
WITH due AS MATERIALIZED (
    SELECT due.*, row_number() OVER (PARTITION BY due.retry ORDER BY due.turn) AS place,
        e.parallel, e.strict, e.instance_id,
        e.secret || CASE WHEN e.previous_secret_until > clock_timestamp() THEN ' ' || e.previous_secret ELSE '' END
            AS secret,
        url.of_endpoint, NOT due.retry AND url.of_endpoint <> '' AS by_cursor
    FROM unnest(%(lanes)s::bigint[], %(firsts)s::int[], %(retries)s::int[], %(both)s::int[], %(cursors)s::bigint[],
            %(heads)s::bigint[], %(after)s::float8[])
        AS want (endpoint_id, firsts, retries, both_kinds, cursor, head, after)
    JOIN hooks_endpoint e
        ON e.id = want.endpoint_id AND e.id = ANY(%(lanes)s) AND {destination.is_open_sql()}
    CROSS JOIN LATERAL (SELECT {destination.endpoint_url_sql()} AS of_endpoint) url
    CROSS JOIN LATERAL (
        SELECT * FROM (
            (SELECT id, endpoint_id, true AS retry, row_number() OVER (ORDER BY next_attempt_at) AS turn,
                NULL::uuid AS public_id, NULL::bytea AS body, 0 AS attempts_allowed, false AS simulated, '' AS to_url
             FROM hooks_hook h
             WHERE endpoint_id = want.endpoint_id AND state = 'retrying' AND next_attempt_at <= statement_timestamp()
                AND next_attempt_at > to_timestamp(want.after)
                AND {destination.hook_url_sql("url.of_endpoint")} <> ''
             ORDER BY next_attempt_at LIMIT LEAST(want.retries, %(max_retries)s))
            UNION ALL
            (SELECT id, endpoint_id, false AS retry, row_number() OVER (ORDER BY endpoint_id, id) AS turn,
                public_id, body, attempts_allowed, simulated, to_url
             FROM hooks_hook h
             WHERE endpoint_id BETWEEN want.endpoint_id AND want.endpoint_id AND state = 'queued'
                AND id > want.cursor AND id BETWEEN %(from)s AND %(to)s
                AND {destination.hook_url_sql("url.of_endpoint")} <> ''
             ORDER BY endpoint_id, id LIMIT want.firsts)
            UNION ALL
            (SELECT id, endpoint_id, true AS retry, 1 AS turn, NULL, NULL, 0, false, '' FROM hooks_hook h
             WHERE id = want.head AND {lane_queries.STATE_OF_FOUND} = 'retrying'
                AND next_attempt_at <= statement_timestamp()
                AND {destination.hook_url_sql("url.of_endpoint")} <> '')
        ) found ORDER BY turn LIMIT want.both_kinds
    ) due
), owned AS (
    UPDATE hooks_lane l SET owner = %(me)s, until = clock_timestamp() + make_interval(secs => %(lease)s),
        cursor = GREATEST(l.cursor, claimed.cursor), period = GREATEST(l.period, %(period)s)
    FROM (SELECT endpoint_id, max(id) FILTER (WHERE by_cursor) AS cursor FROM due GROUP BY endpoint_id) claimed
    WHERE l.endpoint_id + 0 = claimed.endpoint_id AND {is_at_sql("l", "%(places)s")}
    RETURNING l.endpoint_id, l.ctid::text AS place
), in_rows AS (
    UPDATE hooks_hook h SET
        state = 'sending', claim = h.claim + 1, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
    FROM due d
    WHERE h.id = d.id AND h.id = ANY(ARRAY(SELECT id FROM due WHERE NOT by_cursor)) AND NOT d.by_cursor
        AND h.id >= (SELECT min(id) FROM due WHERE NOT by_cursor)
        AND h.id <= (SELECT max(id) FROM due WHERE NOT by_cursor)
        AND {lane_queries.STATE_OF_FOUND} IN ('queued', 'retrying') AND (NOT d.retry OR d.place <= %(max_retries)s)
    RETURNING h.id, h.public_id::text, h.endpoint_id, h.body, h.claim, h.attempts_made, h.attempts_allowed, h.trigger,
        h.simulated, {destination.hook_url_sql("d.of_endpoint")}, d.secret, d.parallel, d.strict,
        CASE WHEN h.attempts_made > 0 THEN extract(epoch FROM clock_timestamp() - h.next_attempt_at)::float8 END,
        d.instance_id
)
SELECT d.id, d.public_id::text, d.endpoint_id, d.body, {BY_CURSOR}, 0, d.attempts_allowed, 'event', d.simulated,
    {destination.hook_url_sql("d.of_endpoint", hook="d")}, d.secret, d.parallel, d.strict, NULL,
    d.instance_id, owned.place
FROM due d JOIN owned ON owned.endpoint_id = d.endpoint_id WHERE d.by_cursor
UNION ALL
SELECT in_rows.*, owned.place FROM in_rows JOIN owned ON owned.endpoint_id = in_rows.endpoint_id
"""
# A hook returned to the queue keeps its place: a first attempt by its id, a retry as due now. A first attempt behind
# its lane's cursor, which the owner would not claim again, continues as a retry.
TO_QUEUE = f"""h.attempts_made = 0 AND h.trigger = 'event'
    AND h.id > COALESCE(({lane_queries.newest_lane("l.cursor", "h.endpoint_id")}), 0)"""
REQUEUE = f"""
state = CASE WHEN {TO_QUEUE} THEN 'queued' ELSE 'retrying' END,
next_attempt_at = CASE WHEN {TO_QUEUE} THEN NULL ELSE COALESCE(h.next_attempt_at, clock_timestamp()) END,
lease_until = NULL
"""
HAND_BACK = f"""
UPDATE hooks_hook h SET {REQUEUE}
FROM unnest(%(ids)s::bigint[], %(claims)s::bigint[]) AS u (id, claim)
WHERE h.id = u.id AND h.id = ANY(%(ids)s) AND h.claim = u.claim AND {lane_queries.STATE_OF_FOUND} = 'sending'
"""
MOVE_CURSORS_BACK = """
UPDATE hooks_lane l SET cursor = LEAST(l.cursor, u.cursor)
FROM unnest(%(lanes)s::bigint[], %(cursors)s::bigint[]) AS u (endpoint_id, cursor)
WHERE l.endpoint_id = u.endpoint_id AND l.endpoint_id = ANY(%(lanes)s) AND l.owner = %(me)s
"""
# After a break of the session: the owner knows only the hooks that it has started. What it had claimed beyond them, or
# has lost with the claim's response, is queued again.
RESET_CURSORS = """
UPDATE hooks_lane l SET cursor = COALESCE(
    (SELECT u.cursor FROM unnest(%(lanes)s::bigint[], %(cursors)s::bigint[]) AS u (endpoint_id, cursor)
     WHERE u.endpoint_id = l.endpoint_id), 0)
WHERE l.owner = %(me)s
"""
# Lanes whose owner is dead (its advisory lock is free, see worker_slots.py), or stuck past its lease. The order leaves
# only the index on the owner: in the order of endpoints, all lanes were read every second.
IS_ORPHANED = f"owner IS NOT NULL AND (until < clock_timestamp() OR {worker_slots.is_dead_sql('owner')})"
DEAD_OWNERS = f"SELECT DISTINCT owner FROM hooks_lane WHERE {IS_ORPHANED} ORDER BY owner"
ORPHANED_LANES = f"""
SELECT endpoint_id FROM hooks_lane WHERE {IS_ORPHANED} AND owner = ANY(%s)
ORDER BY owner LIMIT 10000 FOR UPDATE SKIP LOCKED
"""
# With the cursor at 0, their queued hooks are claimed again: it is unknown which of them were sent.
FREE_ORPHANED = "UPDATE hooks_lane SET owner = NULL, until = NULL, cursor = 0 WHERE endpoint_id = ANY(%s)"
# "+ 0" leaves only the index on the state. Hooks being sent are few; those of an endpoint may be a million.
REQUEUE_HOOKS_OF_LANES = f"""
UPDATE hooks_hook h SET {REQUEUE}
WHERE h.endpoint_id + 0 = ANY(%s) AND h.state = 'sending' AND NOT (h.simulated AND h.lease_until > clock_timestamp())
"""
# The owner has no hook of these lanes: none that is queued is behind the cursor, from which the next owner continues.
FREE_FINISHED = """
UPDATE hooks_lane SET owner = NULL, until = NULL WHERE owner = %s AND endpoint_id = ANY(%s)
"""
NOTIFY_LANES = "SELECT pg_notify(%s, lane::text) FROM unnest(%s::bigint[]) AS lane"
FREE_ALL = "UPDATE hooks_lane SET owner = NULL, until = NULL, cursor = 0 WHERE owner = %s"
# Expired leases in lanes that are still owned: a simulation whose web process died, or a claim whose response was lost
# with the database session. Attempts end well before their lease, so none of these is being sent.
REQUEUE_EXPIRED = f"""
UPDATE hooks_hook h SET {REQUEUE}
WHERE h.state = 'sending' AND h.lease_until < clock_timestamp() - interval '5 seconds'
RETURNING h.endpoint_id
"""


@dataclass(slots=True)
class Claim:
    """The result of one claim: hooks in order, and the lanes to claim again."""

    hooks: list[ClaimedHook]
    lanes_with_more: list[int]  # may have more due first attempts, or in a parallel lane hooks of both kinds
    lanes_with_more_retries: list[int]  # may have more due retries
    lanes_with_deferred_retries: list[int]  # may have retries that the limit on retries left in the queue
    seconds_late: list[float]  # of each retry: its claim after its planned time


class Share(NamedTuple):
    """What one lane may claim at most."""

    firsts: int
    retries: int
    both_kinds: int
    parallel: bool
    cursor: int  # the last hook that was claimed
    head: int | None = None  # of a strict lane: the id of the retry to claim, instead of any first attempt
    after: float = ALL  # retries that became due after this time are searched
    has_url: bool = True
    place: str = ""  # of the lane's row


def claim_hooks(
    session: psycopg.Connection[Any],
    me: int,
    wanted: Mapping[int, int],
    catch_up: CatchUp | None = None,
    windows: RetryWindows | None = None,
    places: Places | None = None,
    *,
    wanted_retries: Mapping[int, int] | None = None,
    max_retries: int = NO_RETRY_LIMIT,
    queue_starts: dict[int, int] | None = None,
) -> Claim:
    """Claim due hooks of each lane that is free or owned by `me`; first attempts in order.

    At most `wanted[lane]` first attempts and `wanted_retries[lane]` retries (the same numbers if None) of an ordered
    lane, where they are sent beside each other; of a parallel lane the greater number of both kinds together.
    `catch_up` grants fewer for a lane that was resumed a moment ago, `windows` bounds the search for retries, and
    `queue_starts` that for first attempts of strict lanes (find_turns). At most `max_retries` of all hooks are retries.
    Hooks without a URL are not claimed. Two queries; a third one if there are strict lanes, and one more if some of the
    lanes are not found at their `places`.
    """
    began = time.monotonic()
    if places is None:
        places = {}
    if wanted_retries is None:
        wanted_retries = wanted
    lanes = list(dict.fromkeys([*wanted, *wanted_retries]))
    shares: dict[int, Share] = {}
    with session.transaction():
        free = lock_lanes(session, me, lanes, places)
        turns = find_turns(
            session,
            {row[0]: (max(wanted.get(row[0], 0), 1), row[4]) for row in free if row[2]},
            {} if queue_starts is None else queue_starts,
        )
        for lane, parallel, strict, since_resume, cursor, _, has_url, at, place in free:
            firsts, retries = wanted.get(lane, 0), wanted_retries.get(lane, 0)
            head = None
            if strict:
                firsts, head = turns.get(lane, (0, None))
                retries = 0
            both_kinds = max(firsts, retries) if parallel else firsts + retries + (head is not None)
            if catch_up:
                both_kinds = catch_up.grant(lane, both_kinds, since_resume)
            if both_kinds:
                after = ALL if windows is None else windows.begin(lane, began, at)
                shares[lane] = Share(
                    firsts, retries, both_kinds, parallel, cursor, head, after, has_url, place
                )
        rows = session.execute(
            CLAIM_HOOKS,
            {
                "me": me,
                "lease": LEASE,
                "lanes": list(shares),
                "firsts": [share.firsts for share in shares.values()],
                "retries": [share.retries for share in shares.values()],
                "both": [share.both_kinds for share in shares.values()],
                "cursors": [share.cursor for share in shares.values()],
                "places": [share.place for share in shares.values()],
                "from": min((share.cursor for share in shares.values()), default=0),
                "to": partitions.end_of_next_day(free[0][5]) if free else 0,
                "heads": [share.head for share in shares.values()],
                "after": [share.after for share in shares.values()],
                "max_retries": max_retries,
                "period": period_of(free[0][7]) if free else 0,
            },
        ).fetchall()
    places.update({row[2]: row[15] for row in rows})
    shared: dict[str, str] = {}  # each row has its own copy of its lane's URL: keep one
    hooks = [
        ClaimedHook(
            id=row[0],
            webhook_id="hook_" + row[1].replace("-", ""),
            endpoint_id=row[2],
            body=bytes(row[3]),
            claim=row[4],
            attempts_made=row[5],
            attempts_allowed=row[6],
            trigger=Trigger(row[7]),
            simulated=row[8],
            url=shared.setdefault(row[9], row[9]),
            secret=decrypt_secrets(row[2], row[10]),
            parallel=row[11],
            lease_ends=began + LEASE,
            strict=row[12],
            instance_id=row[14],
        )
        for row in rows
    ]
    hooks.sort(key=lambda hook: hook.id)
    claim = Claim(hooks, [], [], [], [row[13] for row in rows if row[13] is not None])
    note_lanes_with_more(claim, shares, max_retries)
    if windows is not None:
        windows.forget(set(lanes) - shares.keys())
        if free:
            note_windows(windows, claim, shares, (began, free[0][7]), max_retries)
    return claim


def period_of(at: float) -> int:
    """Returns the number of the period (Lane.period) of a time in seconds since 1970."""
    return int(at / PERIOD_SECONDS)


def lock_lanes(
    session: psycopg.Connection[Any], me: int, lanes: Sequence[int], places: Places
) -> list[tuple[Any, ...]]:
    """Lock those of these lanes that may be claimed; returns them. Forgets places that are wrong."""
    locked: list[tuple[Any, ...]] = []
    known = [lane for lane in lanes if lane in places]
    if known:
        parameters = {"me": me, "lanes": known, "places": [places[lane] for lane in known]}
        locked = session.execute(LOCK_LANES_AT_PLACES, parameters).fetchall()
    found = {row[0] for row in locked}
    missing = [lane for lane in lanes if lane not in found]
    if missing:
        for lane in missing:
            places.pop(lane, None)
        locked += session.execute(LOCK_LANES, {"me": me, "lanes": missing}).fetchall()
    return locked


@lru_cache(maxsize=SECRETS_CACHED)
def decrypt_secrets(endpoint_id: int, stored: str) -> str:
    """Returns the lane's valid secrets, separated by a space, from their ciphertexts, separated by a space.

    A hook whose secret is unreadable is sent with an empty `webhook-signature`, which receivers refuse: waiting for the
    secret here would stop every lane. Processes do not start with a key missing from SECRETS_KEY.
    """
    try:
        return " ".join(
            decrypt(ciphertext, field.context_of(endpoint_id))
            for field, ciphertext in zip(SECRET_FIELDS, stored.split(" "), strict=False)
        )
    except UnreadableSecret as error:
        log.error("Hooks of this endpoint are not signed: %s", error)
        return ""


def note_lanes_with_more(claim: Claim, shares: Mapping[int, Share], max_retries: int) -> None:
    """Fill the claim's lists of lanes that may have more due hooks: those that got as many as they wanted."""
    firsts = Counter(hook.endpoint_id for hook in claim.hooks if not hook.is_retry)
    retries = Counter(hook.endpoint_id for hook in claim.hooks if hook.is_retry)
    at_retry_limit = retries.total() >= max_retries
    for lane, share in shares.items():
        if share.parallel:
            found = firsts[lane] + retries[lane]
            has_all = found >= max(share.firsts, share.retries)
            if has_all or (at_retry_limit and found):
                claim.lanes_with_more.append(lane)
                claim.lanes_with_more_retries.append(lane)
            if at_retry_limit and not has_all:
                claim.lanes_with_deferred_retries.append(lane)
            continue
        if share.firsts and firsts[lane] >= share.firsts:
            claim.lanes_with_more.append(lane)
        if share.retries and retries[lane] >= share.retries:
            claim.lanes_with_more_retries.append(lane)
        elif share.retries and at_retry_limit:
            claim.lanes_with_deferred_retries.append(lane)


def note_windows(
    windows: RetryWindows,
    claim: Claim,
    shares: Mapping[int, Share],
    began: tuple[float, float],
    max_retries: int,
) -> None:
    """Note the lanes in which the claim has left no due retry, if they have retries at all.

    `began`: when, by time.monotonic() and by the database's clock.
    """
    found = Counter(hook.endpoint_id for hook in claim.hooks)
    retries = Counter(hook.endpoint_id for hook in claim.hooks if hook.is_retry)
    for lane, share in shares.items():
        if not share.retries or (not retries[lane] and lane not in windows.lanes):
            continue
        is_limited = (
            retries[lane] >= share.retries
            or found[lane] >= share.both_kinds
            or retries.total() >= max_retries
        )
        if is_limited or not share.has_url:  # retries without a URL are left, however long they are due
            windows.forget([lane])
        else:
            windows.note_claim(lane, *began, whole=share.after == ALL)


def hand_back(session: psycopg.Connection[Any], me: int, hooks: Sequence[ClaimedHook]) -> None:
    """Return claimed hooks to the queue unsent: of each lane the last ones that were claimed."""
    in_rows = [hook for hook in hooks if hook.claim != BY_CURSOR]
    if in_rows:
        session.execute(
            HAND_BACK, {"ids": [hook.id for hook in in_rows], "claims": [hook.claim for hook in in_rows]}
        )
    cursors: dict[int, int] = {}
    for hook in hooks:
        if hook.claim == BY_CURSOR:
            cursors[hook.endpoint_id] = min(cursors.get(hook.endpoint_id, hook.id), hook.id - 1)
    if cursors:
        session.execute(
            MOVE_CURSORS_BACK, {"me": me, "lanes": list(cursors), "cursors": list(cursors.values())}
        )


def reset_cursors(session: psycopg.Connection[Any], me: int, started: Mapping[int, int]) -> None:
    """Set the cursors of the lanes of `me` to the last hook that it has started in each; 0 without one."""
    session.execute(RESET_CURSORS, {"me": me, "lanes": list(started), "cursors": list(started.values())})


def release_lanes(
    session: psycopg.Connection[Any],
    me: int,
    lanes: Iterable[int] | None = None,
    *,
    with_more: Collection[int] = (),
) -> None:
    """End the ownership of these lanes, of which `me` has no hook; of all its lanes if None (at the end of a run).

    Then notifies the other dispatchers of the lanes `with_more` hooks to send. Another query if there are any.
    """
    if lanes is None:
        session.execute(FREE_ALL, [me])
    else:
        session.execute(FREE_FINISHED, [me, list(lanes)])
    if with_more:
        session.execute(NOTIFY_LANES, [CHANNEL, list(with_more)])


def sweep(
    session: psycopg.Connection[Any],
    record_left: Callable[[], object] = lambda: None,
    owners: Sequence[int] | None = None,
) -> list[int]:
    """Free the lanes and hooks of dead dispatchers, or of these `owners` if they are dead; returns those lanes.

    `record_left` records the results that they left in the journal, while they still own their lanes. Lanes of a
    dispatcher that dies after that are left for the next sweep.
    """
    if owners is None:
        owners = [row[0] for row in session.execute(DEAD_OWNERS).fetchall()]
    record_left()
    if not owners:
        return []
    with session.transaction():
        lanes = [row[0] for row in session.execute(ORPHANED_LANES, [list(owners)]).fetchall()]
        if lanes:
            session.execute(FREE_ORPHANED, [lanes])
            session.execute(REQUEUE_HOOKS_OF_LANES, [lanes])
    return lanes


def requeue_expired(session: psycopg.Connection[Any]) -> list[int]:
    """Return hooks with an expired lease to the queue, also in lanes with an owner; returns those lanes."""
    return [row[0] for row in session.execute(REQUEUE_EXPIRED).fetchall()]
