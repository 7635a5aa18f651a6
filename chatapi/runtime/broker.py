"""django-q2's ORM broker, with four changes: it survives a restart of PostgreSQL, it uses the database's clock, it runs
tasks by their new names, and it has three queues instead of one.

In the original, any database error makes the pusher process sleep 10 s and end; then the guard forks a new one. This
broker retries after half a second, so background work continues as soon as the database is back.

A task is due from its `lock` on. The original sets and compares it by each machine's clock: a task that was queued
before a clock was set back an hour would wait for that hour.

The queue and the schedules store a task by the path of its function. A path that an earlier version wrote, for example
in the minutes before an upgrade, is replaced when the task is taken from the queue (settings.RENAMED_TASKS).

In the original, tasks are taken in any order. After the deletion of 1 000 instances, 2 000 clean-up tasks waited before
the one that starts a dispatcher, and no hook was sent for minutes. Now a task is in one of three queues, by its path:

- settings.URGENT_TASKS start the endless loops. They are taken first.
- settings.CLEAN_UP_TASKS do all the work they find, so one that waits is enough: a second one is not queued. They are
  taken last and one at a time, because each may run for ten minutes and the loops need the other workers.
- All other tasks are taken in the order in which they were queued.
"""

import time
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections, models, transaction
from django.db.models import Case, Exists, Q, When
from django.db.models.functions import Now
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import BadSignature, SignedPackage

# A clean-up task is considered dead, with its worker, this long after it was taken: the next one may start. Each ends
# within ten minutes (RUN_SECONDS of its module).
CLEAN_UP_LIMIT = timedelta(minutes=15)
IS_CLEAN_UP = Q(key__startswith=settings.CLEAN_UP_QUEUE)


class PatientORM(ORM):
    """ORM broker whose dequeue treats an unavailable database as an empty queue."""

    def enqueue(self, task: str) -> int:
        """Queue a task, unless it is a clean-up task that waits already; returns the id of the row that waits."""
        path = SignedPackage.loads(task)["func"]
        with transaction.atomic(using=Conf.ORM):
            if path not in settings.CLEAN_UP_TASKS:
                key = settings.URGENT_QUEUE if path in settings.URGENT_TASKS else self.list_key
                return self.insert(key, task)
            key = f"{settings.CLEAN_UP_QUEUE} {path}"
            # The lock keeps take() from the waiting task until the caller's transaction ends: the task must see what
            # the transaction deleted. A row that take() or another transaction has locked counts as taken.
            waiting = self.get_connection().filter(key=key, lock__lte=Now())
            row = waiting.select_for_update(skip_locked=True).first()
            return int(row.pk) if row else self.insert(key, task)

    def insert(self, key: str, task: str) -> int:
        return int(self.get_connection().create(key=key, payload=task, lock=Now()).pk)

    def take(self) -> "list[tuple[int, str]] | None":
        """Returns the first due tasks, each taken by this cluster; waits for Conf.POLL seconds if none is due."""
        # Before the transaction, in which get_connection() would not close a connection that is too old.
        due = self.due()
        with transaction.atomic(using=Conf.ORM):
            rows = due.select_for_update(of=("self",), skip_locked=True)[: Conf.BULK]
            taken = [(row.pk, row.payload) for row in rows]
            if taken:
                until = Now() + timedelta(seconds=Conf.RETRY)
                self.get_connection().filter(pk__in=[key for key, _ in taken]).update(lock=until)
                return taken
        time.sleep(Conf.POLL)
        return None

    def due(self) -> "models.QuerySet[OrmQ]":
        """The tasks that may be taken now, urgent ones first, clean-up tasks last."""
        running = OrmQ.objects.filter(
            IS_CLEAN_UP, lock__gt=Now() + timedelta(seconds=Conf.RETRY) - CLEAN_UP_LIMIT
        )
        return (
            self.get_connection()
            .filter(
                Q(key__in=[settings.URGENT_QUEUE, self.list_key]) | IS_CLEAN_UP & ~Exists(running),
                lock__lt=Now(),
            )
            .order_by(
                Case(When(key=settings.URGENT_QUEUE, then=0), When(key=self.list_key, then=1), default=2),
                "pk",
            )
        )

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
