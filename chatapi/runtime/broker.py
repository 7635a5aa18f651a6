"""django-q2's ORM broker, with three changes: it survives a restart of PostgreSQL, it uses the database's clock, and it
runs tasks by their new names.

In the original, any database error makes the pusher process sleep 10 s and end; then the guard forks a new one. This
broker retries after half a second, so background work continues as soon as the database is back.

A task is due from its `lock` on. The original sets and compares it by each machine's clock: a task that was queued
before a clock was set back an hour would wait for that hour.

The queue and the schedules store a task by the path of its function. A path that an earlier version wrote, for example
in the minutes before an upgrade, is replaced when the task is taken from the queue (settings.RENAMED_TASKS).
"""

import time
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from django.db.models.functions import Now
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.signing import BadSignature, SignedPackage


class PatientORM(ORM):
    """ORM broker whose dequeue treats an unavailable database as an empty queue."""

    def enqueue(self, task: str) -> int:
        row = self.get_connection().create(key=self.list_key or Conf.CLUSTER_NAME, payload=task, lock=Now())
        return int(row.pk)

    def take(self) -> "list[tuple[int, str]] | None":
        """Returns the first due tasks, each taken by this cluster; waits for Conf.POLL seconds if none is due."""
        due = list(self.get_connection().filter(key=self.list_key, lock__lt=Now())[: Conf.BULK])
        if not due:
            time.sleep(Conf.POLL)
            return None
        until = Now() + timedelta(seconds=Conf.RETRY)
        mine = [
            row for row in due if self.get_connection().filter(id=row.id, lock=row.lock).update(lock=until)
        ]
        return [(row.pk, row.payload) for row in mine]

    def dequeue(self) -> "list[tuple[int, str]] | None":
        try:
            tasks = self.take()
        except (OperationalError, InterfaceError):
            connections[Conf.ORM].close()
            time.sleep(Conf.POLL)
            return None
        return [(key, with_current_path(payload)) for key, payload in tasks] if tasks else tasks


def with_current_path(payload: str) -> str:
    """The signed task, with the current path of its function. A payload with a wrong signature is unchanged."""
    try:
        task = SignedPackage.loads(payload)
    except (TypeError, BadSignature):
        return payload  # django-q2 rejects it and logs the reason
    current = settings.RENAMED_TASKS.get(task.get("func"))
    return str(SignedPackage.dumps(task | {"func": current})) if current else payload
