"""django-q2's ORM broker, which survives a restart of PostgreSQL.

In the original, any database error makes the pusher process sleep 10 s and end; then the guard forks a new one. This
one retries after half a second, so background work continues as soon as the database is back.
"""

import time

from django.db import InterfaceError, OperationalError, connections
from django_q.brokers.orm import ORM
from django_q.conf import Conf


class PatientORM(ORM):
    """ORM broker whose dequeue treats an unavailable database as an empty queue."""

    def dequeue(self) -> "list[tuple[int, str]] | None":
        try:
            return super().dequeue()
        except (OperationalError, InterfaceError):
            connections[Conf.ORM].close()
            time.sleep(Conf.POLL)
            return None
