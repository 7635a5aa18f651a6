"""A sender's statements: which queues it owns, what is in them, and which messages it sends now.

A queue is owned by one run of a sender (OutgoingQueue.owner), which another one takes over when it has died: PostgreSQL
has released its lock. Only the owner changes the messages to `sending`. Nothing is locked while a request is under way.

Each function takes a session outside Django's (hooks.worker_slots.connect), in which each statement looks up rows by
index, whatever the statistics of an emptied table say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

import psycopg
from psycopg.errors import LockNotAvailable

from chatapi.database import prepared
from hooks import database_clock, worker_slots
from hooks.models import Role
from instances import fast_lookup
from instances.actions.sending.accept import OUTGOING_CHANNEL, QUEUE_LIMIT
from instances.models import (
    WAITING_SQL,
    Chat,
    Instance,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    SendState,
)
from instances.models.instances import CONNECTED_SQL
from instances.models.queues import WITH_MESSAGES_SQL, MessengerIds

QUEUE, MESSAGE = OutgoingQueue._meta.db_table, OutgoingMessage._meta.db_table
CHAT, SENT = Chat._meta.db_table, Message._meta.db_table
ROW = prepared.ModelRow(OutgoingMessage, "m")
LOCK_TIMEOUT = "1s"  # how long all queues wait for one that another session has locked …
SHORT_LOCK_TIMEOUT = "50ms"  # … and how long for it alone

# Whether this sender may own a queue: it has no owner, or this one, or the owner's run has died (worker_slots.py).
LIVE_RUNS = """live AS MATERIALIZED (
    SELECT (classid::bigint << 32) | objid::bigint AS id FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)"""
IS_FREE = f"""(
    q.owner IS NULL OR q.owner = %(me)s::bigint
    OR %(may_take_over)s::bool AND q.owner NOT IN (SELECT id FROM live)
        AND pg_postmaster_start_time() < clock_timestamp() - interval '{worker_slots.RECONNECT_SECONDS} s'
)"""
# LATERAL with LIMIT: one look-up per queue. Otherwise all instances could be read. The index has an entry for each time
# that a queue became active since vacuum could remove them, and all of them are read: hence in a thread of its own.
SWEEP = f"""
WITH {LIVE_RUNS}
SELECT q.instance_id, q.length, i.send_delay, coalesce(q.owner = %(me)s::bigint, false)
FROM {QUEUE} q CROSS JOIN LATERAL (
    SELECT send_delay FROM "{fast_lookup.TABLE}" WHERE id = q.instance_id AND {{connected}} LIMIT 1
) i
WHERE {WITH_MESSAGES_SQL} AND {IS_FREE}
"""
# A run that hands over has finished_at; it owns only queues with a message in flight.
COUNT_SENDERS = f"""
WITH {LIVE_RUNS}
SELECT count(*) FROM hooks_runner
WHERE role = '{Role.OUTGOING}' AND finished_at IS NULL AND id = ANY (ARRAY(SELECT id FROM live))
"""
COUNT_QUEUES = f"""
SELECT count(*) FROM {QUEUE} q CROSS JOIN LATERAL (
    SELECT FROM "{fast_lookup.TABLE}" WHERE id = q.instance_id AND {{connected}} LIMIT 1
) i
WHERE {WITH_MESSAGES_SQL}
"""
OWN = f"""
WITH {LIVE_RUNS}, free AS MATERIALIZED (
    SELECT q.instance_id FROM {QUEUE} q
    WHERE q.instance_id = ANY(%(lanes)s::bigint[]) AND q.length > 0 AND {IS_FREE}
    ORDER BY q.instance_id FOR NO KEY UPDATE
)
UPDATE {QUEUE} q SET owner = %(me)s::bigint FROM free WHERE q.instance_id = free.instance_id
RETURNING q.instance_id, q.next_send_at
"""
RELEASE = f"""
WITH owned AS MATERIALIZED (
    SELECT q.instance_id FROM {QUEUE} q WHERE q.instance_id = ANY(%s::bigint[]) AND q.owner = %s::bigint
    ORDER BY q.instance_id FOR NO KEY UPDATE
)
UPDATE {QUEUE} q SET owner = NULL FROM owned WHERE q.instance_id = owned.instance_id
"""
WAITING = f"""
SELECT lane.id, m.id, m.queue_number, m.chat_id, m.next_try_at, m.state, m.last_try_at
FROM unnest(%s::bigint[], %s::int[]) AS lane (id, after) CROSS JOIN LATERAL (
    SELECT id, queue_number, chat_id, next_try_at, state, last_try_at FROM {MESSAGE}
    WHERE instance_id = lane.id AND {WAITING_SQL} AND queue_number > lane.after
    ORDER BY queue_number LIMIT {QUEUE_LIMIT}
) m
"""
# OutgoingMessage.messenger_ids: one probe of an index for the chat, and one for each message that is quoted, deleted or
# forwarded.
# With every tenth message a quote, 500 messages are taken in 17.0 instead of 16.1 ms (measured).
MESSENGER_IDS = f"""
    coalesce((
        SELECT messenger_chat_id FROM {CHAT} WHERE instance_id = m.instance_id AND chat_id = m.chat_id
    ), ''),
    CASE WHEN m.quoted IS NULL THEN '' ELSE coalesce((
        SELECT messenger_id FROM {SENT} WHERE instance_id = m.instance_id AND message_id = m.quoted->>'id'
    ), '') END,
    CASE WHEN m.deletes = '' THEN '' ELSE coalesce((
        SELECT messenger_id FROM {SENT} WHERE instance_id = m.instance_id AND message_id = m.deletes
    ), '') END,
    CASE WHEN m.forwards = '' THEN '' ELSE coalesce((
        SELECT messenger_id FROM {SENT} WHERE instance_id = m.instance_id AND message_id = m.forwards
    ), '') END
"""
# Whether the message that is quoted or deleted is not being sent: until it is recorded, the messenger's id of it is not
# known. Of the same chat only, whose next message is not taken before; in this process, where several are taken at
# once, no messenger's id is needed.
IS_NAMEABLE = f"""(
    m.quoted IS NULL AND m.deletes = '' OR NOT EXISTS (
        SELECT FROM {MESSAGE} other
        WHERE other.instance_id = m.instance_id AND other.message_id IN (m.quoted->>'id', m.deletes)
            AND other.chat_id = m.chat_id AND other.state = '{SendState.SENDING}'
    )
)"""
# The messages of queues that this sender still owns, whose instance may send.
TAKE = f"""
WITH own AS MATERIALIZED (
    SELECT lane.id FROM unnest(%(lanes)s::bigint[]) AS lane (id)
    CROSS JOIN LATERAL (
        SELECT FROM {QUEUE} WHERE instance_id = lane.id AND owner = %(me)s::bigint LIMIT 1
    ) q
    CROSS JOIN LATERAL (SELECT FROM "{fast_lookup.TABLE}" WHERE id = lane.id AND {{connected}} LIMIT 1) i
), chosen AS MATERIALIZED (
    SELECT id FROM {MESSAGE} m
    WHERE id = ANY(%(keys)s::bigint[]) AND instance_id IN (SELECT id FROM own) AND {WAITING_SQL} AND {IS_NAMEABLE}
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {MESSAGE} m SET
    state = '{SendState.SENDING}', tries = least(m.tries + 1, 32767), last_try_at = clock_timestamp(),
    next_try_at = NULL
FROM chosen WHERE m.id = chosen.id
RETURNING {ROW.columns}, {MESSENGER_IDS}
"""
PACE = f"""
WITH paced AS MATERIALIZED (
    SELECT q.instance_id, u.seconds FROM {QUEUE} q
    JOIN unnest(%s::bigint[], %s::int[]) AS u (id, seconds) ON q.instance_id = u.id
    WHERE q.instance_id = ANY(%s::bigint[])
    ORDER BY q.instance_id FOR NO KEY UPDATE OF q
)
UPDATE {QUEUE} q SET next_send_at = clock_timestamp() + make_interval(secs => paced.seconds)
FROM paced WHERE q.instance_id = paced.instance_id
"""
HAND_BACK = f"""
UPDATE {MESSAGE} m SET state = '{SendState.QUEUED}', tries = greatest(m.tries - 1, 0)
WHERE id = ANY(%s::bigint[]) AND state = '{SendState.SENDING}'
"""
RECOVER = f"""
UPDATE {MESSAGE} m SET state = '{SendState.QUEUED}', maybe_twice = m.maybe_twice OR u.maybe_twice
FROM unnest(%s::bigint[], %s::bool[]) AS u (id, maybe_twice)
WHERE m.id = u.id AND m.id = ANY(%s::bigint[]) AND m.state = '{SendState.SENDING}'
RETURNING {ROW.columns}
"""


T = TypeVar("T")


class Session(Protocol):
    """A database session, as psycopg's."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...


class Queue(NamedTuple):
    """A queue with messages, whose instance may send."""

    lane: int
    length: int
    send_delay: int
    is_own: bool


class Row(NamedTuple):
    """A message of a queue, without its content."""

    lane: int
    key: int
    number: int
    chat_id: str
    next_try_at: datetime | None
    state: str
    last_try_at: datetime | None


def with_connected(
    sql: str, values: Mapping[str, Any], now: datetime | None = None
) -> tuple[str, dict[str, Any]]:
    """Fills the condition that the instance may send into a statement with named parameters."""
    condition = CONNECTED_SQL.replace("%s", "%(now)s")
    return sql.format(connected=condition), {**values, "now": now or database_clock.now()}


def sweep(
    session: Session, me: int, now: datetime | None = None, *, may_take_over: bool = True
) -> list[Queue]:
    """Returns the queues with messages that this sender owns or may own; with `may_take_over`, those of dead runs."""
    values = {"me": me, "may_take_over": may_take_over}
    rows = session.execute(*with_connected(SWEEP, values, now)).fetchall()
    return [Queue(*row) for row in rows]


def find_share(session: Session, now: datetime | None = None) -> int | None:
    """Returns how many of the queues with messages one sender may own; None if there are not several senders."""
    [(senders,)] = session.execute(COUNT_SENDERS).fetchall()
    if senders < 2:
        return None
    [(queues,)] = session.execute(*with_connected(COUNT_QUEUES, {}, now)).fetchall()
    return int(-(-queues // senders))


def instances_that_may_send(
    session: Session, lanes: Iterable[int], now: datetime | None = None
) -> dict[int, Instance]:
    """Returns those of these instances that may send."""
    rows = session.execute(
        f'SELECT {fast_lookup.COLUMNS} FROM "{fast_lookup.TABLE}" WHERE id = ANY(%s::bigint[]) AND {CONNECTED_SQL}',
        [list(lanes), now or database_clock.now()],
    ).fetchall()
    return {instance.pk: instance for instance in map(fast_lookup.ROW.build, rows)}


def for_unlocked(session: Session, lanes: Iterable[int], run: Callable[[list[int]], list[T]]) -> list[T]:
    """Runs a statement that locks the queues of these lanes; leaves out those that another session has locked.

    It waits for a lock, because a queue is locked by each sendMessage call until its commit: with 500 calls a second
    it would nearly always be skipped. But one session that keeps its lock, such as one that deletes all messages of an
    instance, must not stop the others.
    """
    wanted = list(lanes)
    found: list[T] = []
    try:
        for timeout, groups in ((LOCK_TIMEOUT, [wanted]), (SHORT_LOCK_TIMEOUT, [[lane] for lane in wanted])):
            session.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])
            is_locked = False
            for group in groups:
                try:
                    found += run(group)
                except LockNotAvailable:
                    is_locked = True
            if not is_locked or len(wanted) == 1:
                break
    finally:
        with contextlib.suppress(psycopg.Error):  # of a broken session
            session.execute("SELECT set_config('lock_timeout', '0', false)")
    return found


def own(
    session: Session, me: int, lanes: Iterable[int], *, may_take_over: bool = True
) -> dict[int, datetime]:
    """Own these queues, as far as they are free and not locked; returns when each may be sent next (sendDelay)."""

    def run(group: list[int]) -> list[tuple[int, datetime]]:
        rows: list[tuple[int, datetime]] = session.execute(
            OWN, {"me": me, "lanes": group, "may_take_over": may_take_over}
        ).fetchall()
        return rows

    return dict(for_unlocked(session, lanes, run))


def still_owned(session: Session, me: int, lanes: Iterable[int]) -> list[int]:
    """Returns those of these queues that this sender owns."""
    rows = session.execute(
        f"SELECT instance_id FROM {QUEUE} WHERE instance_id = ANY(%s::bigint[]) AND owner = %s::bigint",
        [list(lanes), me],
    ).fetchall()
    return [row[0] for row in rows]


def release(session: Session, me: int, lanes: Iterable[int]) -> None:
    """Let another sender own these queues. One that is locked stays this run's; a sweep finds it again."""

    def run(group: list[int]) -> list[int]:
        session.execute(RELEASE, [group, me])
        return []

    for_unlocked(session, lanes, run)


def give_up(session: Session, me: int, lanes: Sequence[int]) -> None:
    """As release(), and tell the other senders, which own these queues at once."""
    release(session, me, lanes)
    session.execute(
        "SELECT pg_notify(%s, lane::text) FROM unnest(%s::bigint[]) AS lane", [OUTGOING_CHANNEL, list(lanes)]
    )


def waiting(session: Session, after: Mapping[int, int]) -> list[Row]:
    """Returns the messages of these queues, in order, with numbers above the given ones; those being sent too."""
    rows = session.execute(WAITING, [list(after), list(after.values())]).fetchall()
    return sorted((Row(*row) for row in rows), key=lambda row: (row.lane, row.number))


def take(
    session: Session, me: int, lanes: Sequence[int], keys: Sequence[int], now: datetime | None = None
) -> list[OutgoingMessage]:
    """Mark these messages as being sent and return them, with their `messenger_ids`, in the order of their numbers.

    Leaves out those that were removed or are locked, those whose queue is another sender's or may not be sent now, and
    those that quote or delete a message which is being sent.
    """
    statement = with_connected(TAKE, {"me": me, "lanes": sorted(set(lanes)), "keys": list(keys)}, now)
    rows = session.execute(*statement).fetchall()
    return sorted(
        map(taken_message, rows), key=lambda outgoing: (outgoing.instance_id, outgoing.queue_number)
    )


def taken_message(row: Sequence[Any]) -> OutgoingMessage:
    """Returns the message of a row of TAKE."""
    ids = len(MessengerIds._fields)
    outgoing = ROW.build(row[:-ids])
    outgoing.messenger_ids = MessengerIds(*row[-ids:])
    return outgoing


def pace(session: Session, seconds: Mapping[int, int]) -> None:
    """Set that nothing more is sent from these queues for their sendDelay. This run's lanes know it in any case."""

    def run(group: list[int]) -> list[int]:
        session.execute(PACE, [group, [seconds[lane] for lane in group], group])
        return []

    for_unlocked(session, seconds, run)


def hand_back(session: Session, keys: Sequence[int]) -> None:
    """Put messages that were taken, and for which no request was made, back in their queue."""
    session.execute(HAND_BACK, [list(keys)])


def recover(session: Session, maybe_twice: Mapping[int, bool]) -> list[OutgoingMessage]:
    """Put messages that a dead run was sending back in their queue; returns those that still were."""
    keys = list(maybe_twice)
    rows = session.execute(RECOVER, [keys, list(maybe_twice.values()), keys]).fetchall()
    return [ROW.build(row) for row in rows]
