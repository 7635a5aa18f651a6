"""Background work: the runs that never end, the scheduled tasks, and what waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Min, OuterRef, Subquery
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule

from chatapi.runtime.doctor.findings import Finding, error, warning
from chatapi.ui.durations import in_words
from hooks.actions.redelivery import WORKING
from hooks.log import delays
from hooks.models import HEARTBEAT_AGE, Redelivery, Role, Runner, is_alive
from instances.models import OutgoingMessage, OutgoingQueue
from instances.models.instances import connected
from instances.receiving.health import receiving_numbers
from instances.receiving.links import is_wanted

WORKER_STEP = (
    "Check that `manage.py worker` (part of `manage.py up`) is running, read what it logged, and restart it."
)
VERY_LATE = timedelta(minutes=15)
LATE_MESSAGES = timedelta(minutes=5)
LATE_CALLBACKS = timedelta(minutes=1)
LATE_REDELIVERY = timedelta(minutes=1)
LATE_SCHEDULE = timedelta(minutes=5)
MANY_TASKS = 100


def find_no_dispatcher() -> Iterator[Finding]:
    age = Runner.objects.heartbeat_age(Role.DISPATCH)
    if age is None:
        yield error("No dispatcher is running: there is no heartbeat.", WORKER_STEP)
    elif not is_alive(age):
        yield error(
            f"No dispatcher is running: the last heartbeat is {age.total_seconds():.0f} s old.", WORKER_STEP
        )


def count_alive(role: Role) -> int:
    ages = Runner.objects.unfinished(role).annotate(heartbeat_age=HEARTBEAT_AGE)
    return sum(is_alive(age) for age in ages.values_list("heartbeat_age", flat=True))


def find_few_dispatchers() -> Iterator[Finding]:
    alive = count_alive(Role.DISPATCH)
    if 0 < alive < settings.HOOKS_DISPATCHERS:
        yield warning(
            f"{alive} of {settings.HOOKS_DISPATCHERS} dispatchers (HOOKS_DISPATCHERS) are running.",
            "Check that the workers of all machines are running, with the same HOOKS_DISPATCHERS.",
        )


def find_no_sender() -> Iterator[Finding]:
    if not count_alive(Role.OUTGOING):
        yield error("No sender is running: accepted messages wait.", WORKER_STEP)


def find_no_receiver() -> Iterator[Finding]:
    """Instances that are linked to a messenger need a receiver, for what arrives and for the checks of their links."""
    if is_wanted() and not count_alive(Role.RECEIVING):
        yield error("No receiver is running: what messengers report is not recorded.", WORKER_STEP)


def find_no_redelivery() -> Iterator[Finding]:
    """The worker starts its task within seconds; the task ends with the last job."""
    planned = Redelivery.objects.filter(state__in=WORKING, created_at__lt=timezone.now() - LATE_REDELIVERY)
    if planned.exists() and not count_alive(Role.REDELIVERY):
        yield warning("A redelivery is planned, and no task runs it.", WORKER_STEP)


def find_late_schedules() -> Iterator[Finding]:
    """The worker runs the tasks of settings.SCHEDULES; it plans each of them again when it runs it."""
    found = Schedule.objects.filter(name__in=settings.SCHEDULES)
    if not found.exists():
        yield error("Scheduled tasks have never run on this database.", WORKER_STEP)
        return
    late = found.filter(next_run__lt=timezone.now() - LATE_SCHEDULE).aggregate(oldest=Min("next_run"))[
        "oldest"
    ]
    if late:
        since = in_words(timezone.now() - late)
        yield error(
            f"Scheduled tasks do not run: one has been due for {since}. Retention and mails depend on them.",
            WORKER_STEP,
        )


def find_queued_tasks() -> Iterator[Finding]:
    waiting = OrmQ.objects.filter(lock__lt=Now()).count()
    if waiting > MANY_TASKS:
        yield warning(
            f"{waiting} background tasks wait in the queue.",
            "Wait if you have just deleted many instances; else restart `manage.py worker`, and read what it logged.",
        )


def find_failed_tasks() -> Iterator[Finding]:
    """Tasks handle the problems that they expect: one that fails is an error in the code, or in its setup."""
    since = timezone.now() - timedelta(days=1)
    names = sorted(set(Failure.objects.filter(stopped__gt=since).values_list("func", flat=True)[:1000]))
    if names:
        yield warning(
            f"Background tasks failed within the last day: {', '.join(names[:5])}.",
            "Read the error in the log of `manage.py worker`; the support desk lists them (Queues and dispatchers).",
        )


def find_late_hooks() -> Iterator[Finding]:
    """Hooks of paused endpoints, and those that wait for a retry, do not count."""
    now = timezone.now()
    oldest = delays.oldest_due(now - delays.LATE)
    if oldest is None:
        return
    age = now - oldest
    make = error if age > VERY_LATE else warning
    yield make(
        f"Hooks wait: the oldest has been due for {in_words(age)}.",
        "If the check “dispatcher” finds nothing, see which endpoints are slow or fail (support desk, Queues and "
        "dispatchers), and whether this machine has free CPU.",
    )


def find_late_messages() -> Iterator[Finding]:
    """Queues that no sender has taken, although they may be sent and no message of theirs has been tried."""
    now = timezone.now()
    first = (
        OutgoingMessage.objects.waiting()
        .filter(instance=OuterRef("instance"), tries=0)
        .order_by("queue_number")
        .values("created_at")[:1]
    )
    late = (
        OutgoingQueue.objects.with_messages()
        .filter(connected(now, path="instance__"), owner=None)
        .exclude(waits_until__gt=now)
        .annotate(accepted_at=Subquery(first))
        .filter(accepted_at__lt=now - LATE_MESSAGES)
        .aggregate(oldest=Min("accepted_at"), number=Count("pk"))
    )
    if late["number"]:
        yield warning(
            f"Messages wait in the queues of {late['number']} instances, which no sender takes; the oldest was "
            f"accepted {in_words(now - late['oldest'])} ago.",
            "If the check “sender” finds nothing, restart `manage.py worker`, and read what it logged.",
        )


def find_late_callbacks() -> Iterator[Finding]:
    numbers = receiving_numbers()
    age = timedelta(seconds=numbers.callbacks_oldest)
    if age > LATE_CALLBACKS:
        yield warning(
            f"Callbacks of messengers wait: the oldest arrived {in_words(age)} ago.",
            "If the check “receiver” finds nothing, open its instance, whose page says why it cannot be recorded.",
        )
