"""DATABASE_POOLER_URL: web processes reach the database through a pooler that pools by transaction, such as PgBouncer.

There, each transaction may run in another session of PostgreSQL, and leaves to the next client whatever it has set. So
code that a web process runs keeps nothing in a session: settings by SET LOCAL or set_config(…, true), advisory locks of
the transaction, no LISTEN, no prepared statements (database/prepared.py) and no cursors of the server. Dispatchers,
senders, receivers and commands need sessions, and use DATABASE_URL.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections


def use_pooler() -> None:
    """Make the connections of this process go through the pooler, if there is one. Call it before django.setup()."""
    if settings.POOLED_DATABASE:
        connections.settings[DEFAULT_DB_ALIAS] |= settings.POOLED_DATABASE | {
            "DISABLE_SERVER_SIDE_CURSORS": True
        }


def is_pooled(connection: Any) -> bool:
    """Returns whether a connection of Django's may be to another session in each transaction."""
    return bool(connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))
