"""What django-q2 runs for the instances: the loop that empties the outgoing queues and does the channels' own work,
and two looks a minute, at endpoints that fail and at QR codes that are over."""

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

from hooks import worker_slots
from hooks.actions.endpoints import mark_pause_notified
from hooks.maintenance import auto_pause
from hooks.models import Endpoint, Hook, Role, State
from instances.actions.sending.accept import OUTGOING_CHANNEL
from instances.actions.status import drop_statuses, expire_code
from instances.channels.sandbox.actions.receipts import CHANNEL_WORK
from instances.models import CODE_LIVES, AccountStatus, Instance, Substatus
from instances.sending import outgoing

log = logging.getLogger(__name__)

SEND_OUTGOING = "instances.tasks.send_outgoing"
LOOK_EVERY = 1.0  # s; a NOTIFY wakes the loop sooner
AWAY_PAUSE = 1.0  # s between two tries to reach a database that is away


def send_outgoing() -> str:
    """Send what is due, whenever it is due, until it is time to hand over or to stop."""
    with worker_slots.hold_slot(Role.OUTGOING, range(1)) as worker_slot:
        if worker_slot is None:
            return "the slot is taken"
        stop = worker_slots.stop_fd()
        look = Look()
        listening = False
        while not worker_slots.is_stop_requested(stop):
            try:
                if not listening:
                    worker_slot.session.execute(f"LISTEN {OUTGOING_CHANNEL}")
                    listening = True
                worker_slot.send_heartbeat()
                while outgoing.send_due() + look.work_if_due():
                    worker_slot.send_heartbeat()
                    if worker_slots.is_stop_requested(stop):
                        return "stopped"
                if worker_slot.is_handover_due:
                    worker_slot.release_slot()
                    async_task(SEND_OUTGOING)
                    return "handed over"
                wait(worker_slot, stop, look)
            except (psycopg.OperationalError, DatabaseError, InterfaceError) as error:
                log.warning(
                    "outgoing: the database is away (%s); trying again", str(error).strip().split("\n")[0]
                )
                time.sleep(AWAY_PAUSE)
                close_old_connections()
                listening = False
                if not regained(worker_slot):
                    return "lost its slot"
    return "stopped"


class Look:
    """When the channels' own work was looked at last, and when it is due again.

    Not at each pass: with 500 messages a second that were a thousand queries a second for receipts of which none can
    come sooner than a second after its message.
    """

    def __init__(self) -> None:
        self.looked = 0.0  # of time.monotonic()
        self.due: datetime | None = None

    def work_if_due(self) -> int:
        """One pass over the channels' work, if it is time for that; how much was done, 0 if it is not."""
        over = self.due is not None and self.due <= timezone.now()
        if not over and time.monotonic() - self.looked < LOOK_EVERY:
            return 0
        done = outgoing.work()
        if not done:
            self.looked, self.due = time.monotonic(), outgoing.next_work()
        return done

    def seconds(self) -> float:
        """How long there is nothing to look at."""
        left = self.looked + LOOK_EVERY - time.monotonic()
        if self.due is not None:
            left = min(left, (self.due - timezone.now()).total_seconds())
        return max(left, 0.0)


def wait(worker_slot: worker_slots.WorkerSlot, stop: int | None, look: Look) -> None:
    """Until a NOTIFY, the next due message or tick, a stop, or a second is over."""
    due = outgoing.next_due()
    seconds = look.seconds()
    if due is not None:
        seconds = min(max((due - timezone.now()).total_seconds(), 0.0), seconds)
    files = [worker_slot.session.fileno()] + ([stop] if stop is not None else [])
    ready, _, _ = select.select(files, [], [], seconds)
    if worker_slot.session.fileno() in ready:
        for note in worker_slot.session.notifies(timeout=0):
            if note.payload == CHANNEL_WORK:
                look.looked = 0.0


def regained(worker_slot: worker_slots.WorkerSlot) -> bool:
    """Whether the slot is still (or again) this run's; waits while the database is away."""
    while True:
        try:
            return worker_slot.reacquire()
        except psycopg.OperationalError:
            if worker_slots.is_stop_requested(worker_slots.stop_fd()):
                return False
            time.sleep(AWAY_PAUSE)


def pause_failing() -> str:
    """Pause the endpoints that have given nothing but failures for a day, and write to their owners; every minute."""
    paused = len(auto_pause.pause_failing())
    told = 0
    for endpoint in auto_pause.paused_and_not_told().select_related("instance__owner__owner"):
        try:
            tell_paused(endpoint)
        except (
            OSError,
            SMTPException,
        ) as error:  # the mail server is away: the next minute is another chance
            log.warning("the owner of instance %s was not told: %s", endpoint.instance, error)
            continue
        mark_pause_notified(endpoint)
        told += 1
    return f"{paused} paused, {told} told"


def tell_paused(endpoint: Endpoint) -> None:
    """Mail to the account's owner; it goes once, but for a crash between the sending and its note."""
    instance = endpoint.instance
    waiting = Hook.objects.filter(endpoint=endpoint, state__in=(State.QUEUED, State.RETRYING)).count()
    context = {
        "instance": instance,
        "endpoint": endpoint,
        "waiting": waiting,
        "page": settings.SITE_URL + instance.get_absolute_url(),
        "log": f"{settings.SITE_URL}{reverse('log:list')}?instance={instance.number}&state=failed",
    }
    send_mail(
        f"Delivery to {instance} is paused",
        render_to_string("instances/endpoint_paused_mail.txt", context),
        None,
        [instance.owner.owner.email],
    )


def expire_codes() -> str:
    """QR codes that nobody has scanned in time are over; every minute, and at once for whoever asks for a status."""
    waiting = Instance.objects.filter(
        account_status=AccountStatus.GOT_QR_CODE,
        substatus=Substatus.NORMAL,
        status_changed_at__lte=timezone.now() - CODE_LIVES,
        paid_until__gt=timezone.now(),
    )
    expired = 0
    for instance in waiting.iterator():
        try:
            expire_code(instance)
        except Instance.DoesNotExist:
            continue  # deleted meanwhile
        expired += 1
    return f"{expired} expired"


def ensure_outgoing() -> bool:
    """See to it that the loop runs; False when it does not."""
    return worker_slots.ensure_running(Role.OUTGOING, 1, SEND_OUTGOING)


def drop_old_statuses() -> str:
    """The history of statuses is kept for as long as the delivery log; every hour."""
    oldest = timezone.now() - timedelta(days=settings.HOOKS_KEEP_DAYS)
    return f"{drop_statuses(before=oldest)} dropped"
