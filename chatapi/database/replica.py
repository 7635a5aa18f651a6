"""DATABASE_REPLICA_URL: pages that only read may read from a standby, which is a moment behind the primary.

Without a replica, or while it does not respond or is over MAX_LAG_SECONDS behind, they read from the primary: without
an error, and without waiting for the replica again and again. So they do after a change of the account, until the
replica has that change.

A statement that takes too long there is cancelled (database/url.py), and the page reads from the primary.

The replica takes the place of the primary's connection in the thread, so all queries of the block go to it, those of
the ORM and SQL. It refuses every write: it is a standby, and its sessions are read-only even if it is promoted.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, Error, connection, connections
from django.utils import timezone
from psycopg.pq import ExecStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_LAG_SECONDS = 30.0
RESPONSE_SECONDS = 1.0  # in which the replica says how far it is
RETRY_SECONDS = 5.0  # between two attempts to reach a replica that is away
# How long a change is remembered. A replica that is used has everything older than MAX_LAG_SECONDS.
CHANGE_SECONDS = 2 * MAX_LAG_SECONDS
FAULTS = (Error, psycopg.Error, OSError)  # Error: Django's DatabaseError and InterfaceError

# Where the primary is: what is on its disk, and its clock, so that the clocks of the two may differ.
POSITION = "SELECT pg_current_wal_flush_lsn()::text, clock_timestamp()::text"
LAST_CHANGE = "SELECT pg_current_wal_insert_lsn()::text"
START = "0/0"  # of the write-ahead log, which every replica has
# Whether the server is a standby, whether it has all of the primary's, and the change; and how old its last commit is.
STATE = b"""
SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= $1::pg_lsn, pg_last_wal_replay_lsn() >= $2::pg_lsn,
    extract(epoch FROM $3::timestamptz - pg_last_xact_replay_timestamp())
"""


@dataclass(frozen=True)
class AsOf:
    """How old the shown data is, at most."""

    seconds: int  # rounded up
    at: datetime


class NotStandby(psycopg.OperationalError):
    """The server was promoted: whether it is the primary of this site cannot be known."""

    def __init__(self) -> None:
        super().__init__("the server is not a standby")


def read(function: Callable[[], T], account_ids: Callable[[], list[int]]) -> tuple[T, AsOf | None]:
    """Returns what the function reads, from the replica if possible, and of when that is; None: of now.

    `function` must only read: it is called again with the primary if the replica fails. `account_ids` returns the
    accounts whose data it reads; it is not called without a replica. With one, two queries to the primary. In a
    transaction, reads from the primary.
    """
    if not settings.REPLICA_DATABASE or replica.is_away or connection.in_atomic_block:
        return function(), None
    where, now = position()
    change = last_change(account_ids())
    here = replica.connection()
    try:
        behind = replica.measure(here, where, now, change)
        if behind is not None and behind <= MAX_LAG_SECONDS:
            with in_place_of_primary(here):
                found = function()
            return found, AsOf(-int(-behind // 1), timezone.now() - timedelta(seconds=behind))
    except FAULTS as fault:
        replica.leave(here, fault)
    return function(), None


def remember_change(account_ids: Sequence[int]) -> None:
    """Remember that these accounts were changed: their pages read from the primary until the replica has the change."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_CHANGE)
        [where] = cursor.fetchone()
    for account_id in account_ids:
        cache.set(change_key(account_id), where, CHANGE_SECONDS)


def last_change(account_ids: list[int]) -> str:
    """Returns where the last remembered change of one of these accounts is. One query."""
    found = cache.get_many([change_key(account_id) for account_id in account_ids])
    return max(found.values(), key=log_position, default=START)


def log_position(where: str) -> int:
    """`16/B374D848` as a number."""
    high, _, low = where.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def change_key(account_id: int) -> str:
    return f"replica:{account_id}"


def position() -> tuple[str, str]:
    """Returns POSITION. One query to the primary."""
    with connection.cursor() as cursor:
        cursor.execute(POSITION)
        where, now = cursor.fetchone()
    return where, now


@contextmanager
def in_place_of_primary(here: Any) -> Iterator[None]:
    """All queries of this thread in the block go to this connection."""
    primary = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = here
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = primary


class Replica:
    """The replica as this process sees it, with a connection for each thread that has read from it."""

    def __init__(self) -> None:
        self.is_away = False  # or not a standby
        self.lock = threading.Lock()
        self.of_thread = threading.local()

    def connection(self) -> Any:
        """Returns the thread's connection to the replica, which may not be open yet."""
        found = getattr(self.of_thread, "connection", None)
        if found is None:
            found = self.of_thread.connection = new_connection(settings.REPLICA_DATABASE)
        found.close_if_unusable_or_obsolete()
        return found

    def measure(self, here: Any, where: str, now: str, change: str) -> float | None:
        """Returns by how many seconds the replica is behind the primary; None if it lacks the change, or cannot tell.

        0 if it has all that the primary had at `where`, however old its last commit is. A connection that has broken
        since its last use is opened again, once.

        Raises:
            NotStandby: the server was promoted.
            psycopg.Error, django.db.Error: it does not respond.
        """
        is_kept = here.connection is not None
        try:
            here.ensure_connection()
            behind = behind_primary(here.connection, where, now, change)
            here.health_check_done = True  # by this query
            return behind
        except FAULTS:
            here.close()
            if not is_kept:
                raise
        return self.measure(here, where, now, change)

    def leave(self, here: Any, fault: Exception) -> None:
        """Read from the primary until the replica responds again, which a thread finds out."""
        here.close()
        with self.lock:
            if self.is_away:
                return
            self.is_away = True
        log.warning("replica: %s; pages read from the primary", str(fault).strip().split("\n")[0])
        threading.Thread(target=self.wait, name="replica", daemon=True).start()

    def wait(self) -> None:
        while database := settings.REPLICA_DATABASE:
            time.sleep(RETRY_SECONDS)
            try:
                with psycopg.connect(**new_connection(database).get_connection_params()) as here:
                    here.autocommit = True
                    behind_primary(here, START, "now", START)
            except FAULTS:
                continue
            log.info("replica: it responds again")
            break
        self.is_away = False


def behind_primary(here: psycopg.Connection[Any], where: str, now: str, change: str) -> float | None:
    """Asks a session with the replica; see Replica.measure()."""
    is_standby, has_all, has_change, age = ask(here, STATE, (where, change, now), RESPONSE_SECONDS)
    if is_standby != b"t":
        raise NotStandby
    if has_change != b"t":
        return None
    if has_all == b"t":
        return 0.0
    return None if age is None else max(float(age), 0.0)


def ask(
    here: psycopg.Connection[Any], sql: bytes, values: Sequence[str], seconds: float
) -> list[bytes | None]:
    """Returns the statement's only row. Raises psycopg.OperationalError if it fails, or takes longer than `seconds`.

    libpq has no time limit for a response, and a frozen server never sends one.
    """
    pgconn = here.pgconn
    pgconn.send_query_params(sql, [value.encode() for value in values])
    pgconn.flush()
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    until = time.monotonic() + seconds
    while pgconn.is_busy():
        if not poll.poll(max(until - time.monotonic(), 0) * 1000):
            raise psycopg.OperationalError(f"no response within {seconds:g} s")
        pgconn.consume_input()
    result = pgconn.get_result()
    if result is None or result.status != ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(result.get_error_message() if result else "no response")
    row = [result.get_value(0, place) for place in range(result.nfields)]
    while pgconn.get_result() is not None:
        pass
    return row


def new_connection(database: dict[str, Any]) -> Any:
    """Returns a connection of Django's to another server, which can take the place of the primary's."""
    here = connections.create_connection(DEFAULT_DB_ALIAS)
    here.settings_dict = here.settings_dict | database | {"DISABLE_SERVER_SIDE_CURSORS": False}
    return here


replica = Replica()
