"""The tasks of django-q2 for instances: the sending loop, and checks for failing endpoints and expired QR codes.

The sending loop sends the outgoing queues and runs the channels' background work.
"""

from __future__ import annotations

import logging
import select
import time
from datetime import datetime, timedelta
from smtplib import SMTPException

import psycopg
from django.conf import settings
from django.core.mail import send_mail
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django_q.tasks import async_task

from hooks import database_clock, worker_slots
from hooks.actions.endpoints import mark_pause_notified
from hooks.maintenance import auto_pause
from hooks.models import WAITING, Endpoint, Hook, Role
from instances.actions.sending.accept import OUTGOING_CHANNEL
from instances.actions.status import drop_statuses, expire_code
from instances.channels.sandbox.actions.receipts import CHANNEL_WORK
from instances.models import Instance
from instances.sending import outgoing

log = logging.getLogger(__name__)

SEND_OUTGOING = "instances.tasks.send_outgoing"
WORK_INTERVAL = 1.0  # s; a NOTIFY wakes the loop sooner
RECONNECT_PAUSE = 1.0  # s between attempts to reach the database


def send_outgoing(seconds: float = worker_slots.LOOP_SECONDS) -> str:
    """Send messages when they are due, until the hand-over, after `seconds`, or a stop."""
    with worker_slots.hold_slot(Role.OUTGOING, range(1), seconds) as worker_slot:
        if worker_slot is None:
            return "the slot is taken"
        stop = worker_slots.stop_fd()
        work = ChannelWork()
        outgoing.release_claims()
        listening = False
        while not worker_slots.is_stop_requested(stop):
            try:
                if not listening:
                    worker_slot.session.execute(f"LISTEN {OUTGOING_CHANNEL}")
                    listening = True
                worker_slot.send_heartbeat()
                while outgoing.send_due() + work.run_if_due():
                    worker_slot.send_heartbeat()
                    if worker_slots.is_stop_requested(stop):
                        return "stopped"
                if worker_slot.is_handover_due:
                    worker_slot.release_slot()
                    async_task(SEND_OUTGOING)
                    return "handed over"
                wait(worker_slot, stop, work)
            except (psycopg.OperationalError, DatabaseError, InterfaceError) as error:
                log.warning(
                    "outgoing: the database is not reachable (%s); trying again",
                    str(error).strip().split("\n")[0],
                )
                time.sleep(RECONNECT_PAUSE)
                close_old_connections()
                listening = False
                if not reacquire_slot(worker_slot):
                    return "lost its slot"
    return "stopped"


class ChannelWork:
    """Runs the channels' background work when it is due, and every WORK_INTERVAL.

    It does not run in each pass of the loop: with 500 messages per second that would be a thousand queries per second
    for acks, which are due a second after their message at the earliest.
    """

    def __init__(self) -> None:
        self.last_run = 0.0  # of time.monotonic()
        self.due: datetime | None = None

    def run_if_due(self) -> int:
        """One pass over the channels' work if it is due; returns how much was done, 0 if it is not due."""
        is_due = self.due is not None and self.due <= database_clock.now()
        if not is_due and time.monotonic() - self.last_run < WORK_INTERVAL:
            return 0
        done = outgoing.run_channel_work()
        if not done:
            self.last_run, self.due = time.monotonic(), outgoing.next_channel_work()
        return done

    def seconds_until_due(self) -> float:
        """Returns how long there is nothing to do."""
        left = self.last_run + WORK_INTERVAL - time.monotonic()
        if self.due is not None:
            left = min(left, (self.due - database_clock.now()).total_seconds())
        return max(left, 0.0)


def wait(worker_slot: worker_slots.WorkerSlot, stop: int | None, work: ChannelWork) -> None:
    """Wait for a NOTIFY, the next due message or ack, or a stop, for at most WORK_INTERVAL."""
    due = outgoing.next_due()
    seconds = work.seconds_until_due()
    if due is not None:
        seconds = min(max((due - database_clock.now()).total_seconds(), 0.0), seconds)
    files = [worker_slot.session.fileno()] + ([stop] if stop is not None else [])
    ready, _, _ = select.select(files, [], [], seconds)
    if worker_slot.session.fileno() in ready:
        for note in worker_slot.session.notifies(timeout=0):
            if note.payload == CHANNEL_WORK:
                work.last_run = 0.0


def reacquire_slot(worker_slot: worker_slots.WorkerSlot) -> bool:
    """Returns whether this run has the slot again. Waits while the database is not reachable."""
    while True:
        try:
            return worker_slot.reacquire()
        except psycopg.OperationalError:
            if worker_slots.is_stop_requested(worker_slots.stop_fd()):
                return False
            time.sleep(RECONNECT_PAUSE)


def pause_failing() -> str:
    """Pause endpoints whose deliveries have all failed for a day, and mail their owners; runs every minute."""
    paused = len(auto_pause.pause_failing())
    notified = 0
    for endpoint in auto_pause.endpoints_to_notify().select_related("instance__owner__owner"):
        try:
            send_pause_mail(endpoint)
        except (
            OSError,
            SMTPException,
        ) as error:  # the mail server is not reachable: the next run tries again
            log.warning("the mail to the owner of instance %s failed: %s", endpoint.instance, error)
            continue
        mark_pause_notified(endpoint)
        notified += 1
    return f"{paused} paused, {notified} notified"


def send_pause_mail(endpoint: Endpoint) -> None:
    """Mail the account's owner. A crash before mark_pause_notified sends the mail again."""
    instance = endpoint.instance
    page, log_query = instance.get_absolute_url(), f"instance={instance.number}&state=failed"
    if not endpoint.is_first:
        page = reverse("instances:endpoint", args=[instance.number, endpoint.pk])
        log_query += f"&endpoint={endpoint.pk}"
    waiting = Hook.objects.filter(endpoint=endpoint, state__in=WAITING).count()
    context = {
        "instance": instance,
        "endpoint": endpoint,
        "waiting": waiting,
        "page": settings.SITE_URL + page,
        "log": f"{settings.SITE_URL}{reverse('log:list')}?{log_query}",
    }
    send_mail(
        f"Delivery to {instance} is paused",
        render_to_string("instances/endpoint_paused_mail.txt", context),
        None,
        [instance.owner.owner.email],
    )


def expire_codes() -> str:
    """Expire QR codes that were not scanned in time; runs every minute. Reading a status does it immediately."""
    outdated = Instance.objects.with_outdated_code(timezone.now())
    expired = 0
    for instance in outdated.iterator():
        try:
            expire_code(instance)
        except Instance.DoesNotExist:
            continue  # deleted in the meantime
        expired += 1
    return f"{expired} expired"


def ensure_outgoing() -> bool:
    """Start the sending loop if it does not run; returns False if it does not run."""
    return worker_slots.ensure_running(Role.OUTGOING, 1, SEND_OUTGOING)


def drop_old_statuses() -> str:
    """Delete status history older than the delivery log is kept; runs every hour."""
    oldest = timezone.now() - timedelta(days=settings.HOOKS_KEEP_DAYS)
    return f"{drop_statuses(before=oldest)} dropped"
