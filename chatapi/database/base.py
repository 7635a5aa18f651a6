"""The backend that settings.DATABASES names.

With CONN_HEALTH_CHECKS Django asks `SELECT 1` in each request before its first query: of three round trips of a
`sendMessage` one. A server that has gone, or has ended the connection, has closed its socket, and that is seen without
asking: something is to be read where nothing was asked for.
"""

import select
import time
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import ConnStatus, TransactionStatus

IN_ORDER = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
ASK_EVERY = 5.0  # s; a machine that vanished closes no socket


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.asked_at = 0.0

    def is_usable(self) -> bool:
        """Does the connection live? It is asked when its socket has news, and each ASK_EVERY."""
        now = time.monotonic()
        if now - self.asked_at < ASK_EVERY and self.connection is not None and is_quiet(self.connection):
            return True
        usable = super().is_usable()
        self.asked_at = now if usable else 0.0
        return usable


def is_quiet(connection: Any) -> bool:
    """Is the connection open, in order, and has the server sent nothing since the last answer?

    One that a request was torn away from is not in order: a query without its answer, or a transaction that has failed.
    """
    if connection.pgconn.status != ConnStatus.OK or connection.pgconn.transaction_status not in IN_ORDER:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)
