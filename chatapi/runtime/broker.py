"""django-q2's ORM broker, that outlives a restart of PostgreSQL.

The original lets the pusher process sleep 10 s and end on any database error; then the guard forks a new one. Here
it waits half a second and asks again, so background work goes on as soon as the database does.
"""

import time

from django.db import InterfaceError, OperationalError, connections
from django_q.brokers.orm import ORM
from django_q.conf import Conf


class PatientORM(ORM):
    """ORM broker whose dequeue takes a missing database for an empty queue."""

    def dequeue(self) -> "list[tuple[int, str]] | None":
        try:
            return super().dequeue()
        except (OperationalError, InterfaceError):
            connections[Conf.ORM].close()
            time.sleep(Conf.POLL)
            return None
