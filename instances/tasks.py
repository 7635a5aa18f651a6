"""What django-q2 runs for the instances: the loop that empties the outgoing queues."""

from __future__ import annotations

import logging
import select
import time

import psycopg
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone
from django_q.tasks import async_task

from hooks import loops
from hooks.models import Role
from instances import outgoing
from instances.actions.sending import OUTGOING_CHANNEL

log = logging.getLogger(__name__)

SEND_OUTGOING = "instances.tasks.send_outgoing"
LOOK_EVERY = 1.0  # s; a NOTIFY wakes the loop sooner
AWAY_PAUSE = 1.0  # s between two tries to reach a database that is away


def send_outgoing() -> str:
    """Send what is due, whenever it is due, until it is time to hand over or to stop."""
    with loops.seat(Role.OUTGOING, range(1)) as seat:
        if seat is None:
            return "the slot is taken"
        stop = loops.stop_fd()
        listening = False
        while not loops.stop_is_wanted(stop):
            try:
                if not listening:
                    seat.session.execute(f"LISTEN {OUTGOING_CHANNEL}")
                    listening = True
                seat.beat()
                while outgoing.send_due():
                    seat.beat()
                    if loops.stop_is_wanted(stop):
                        return "stopped"
                if seat.is_old:
                    seat.give_up_slot()
                    async_task(SEND_OUTGOING)
                    return "handed over"
                wait(seat, stop)
            except (psycopg.OperationalError, DatabaseError, InterfaceError) as error:
                log.warning(
                    "outgoing: the database is away (%s); trying again", str(error).strip().split("\n")[0]
                )
                time.sleep(AWAY_PAUSE)
                close_old_connections()
                listening = False
                if not regained(seat):
                    return "lost its slot"
    return "stopped"


def wait(seat: loops.Seat, stop: int | None) -> None:
    """Until a NOTIFY, the next due message, a stop, or a second is over."""
    due = outgoing.next_due()
    seconds = LOOK_EVERY
    if due is not None:
        seconds = min(max((due - timezone.now()).total_seconds(), 0.0), LOOK_EVERY)
    files = [seat.session.fileno()] + ([stop] if stop is not None else [])
    ready, _, _ = select.select(files, [], [], seconds)
    if seat.session.fileno() in ready:
        for _note in seat.session.notifies(timeout=0):
            pass


def regained(seat: loops.Seat) -> bool:
    """Whether the slot is still (or again) this run's; waits while the database is away."""
    while True:
        try:
            return seat.regain()
        except psycopg.OperationalError:
            if loops.stop_is_wanted(loops.stop_fd()):
                return False
            time.sleep(AWAY_PAUSE)


def ensure_outgoing() -> bool:
    """See to it that the loop runs; False when it does not."""
    return loops.ensure(Role.OUTGOING, 1, SEND_OUTGOING)
