"""The backend that settings.DATABASES names.

With CONN_HEALTH_CHECKS, Django sends `SELECT 1` before the first query of each request: one of the three round trips of
a `sendMessage`. But a server that has stopped or has ended the connection has closed its socket, which then becomes
readable without a query; that can be checked without a round trip.
"""

import select
import time
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import ConnStatus, TransactionStatus

from chatapi.database import lost_sessions
from chatapi.database.pooler import is_pooled
from chatapi.database.schema_editor import ImpatientSchemaEditor

USABLE_STATES = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
QUERY_SECONDS = (
    5.0  # between real queries: a machine that has lost power or network does not close its sockets
)


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = ImpatientSchemaEditor

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.queried_at = 0.0

    def end_if_lost(self, session: Any) -> None:
        """Have the server end a session soon after its network was cut (lost_sessions.py).

        Not behind a pooler that pools by transaction: its configuration sets that of its own sessions.
        """
        if not is_pooled(self):
            lost_sessions.end_if_lost(session)

    def init_connection_state(self) -> None:
        super().init_connection_state()
        self.end_if_lost(self.connection)

    def is_usable(self) -> bool:
        """Whether the connection works: sends a query if the socket is readable, and every QUERY_SECONDS."""
        now = time.monotonic()
        if (
            now - self.queried_at < QUERY_SECONDS
            and self.connection is not None
            and is_quiet(self.connection)
        ):
            return True
        usable = super().is_usable()
        self.queried_at = now if usable else 0.0
        return usable


def is_quiet(connection: Any) -> bool:
    """Whether the connection is open and usable, and the server has sent nothing since the last result.

    A connection whose request was interrupted is not usable: it has a query without a result, or a failed transaction.
    """
    if connection.pgconn.status != ConnStatus.OK or connection.pgconn.transaction_status not in USABLE_STATES:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)
