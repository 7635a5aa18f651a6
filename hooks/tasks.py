"""The django-q2 tasks of the hooks."""

from __future__ import annotations

import logging
from datetime import timedelta

import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from django_q.tasks import async_task

from hooks import worker_slots
from hooks.actions import redelivery
from hooks.log import delays
from hooks.models import Role

log = logging.getLogger(__name__)

DISPATCH = "hooks.tasks.dispatch"
REDELIVER = "hooks.tasks.redeliver"
REDELIVER_PAUSE = 0.1  # s between two portions: up to 1 000 hooks/s per lane
REDELIVER_WAIT = 0.5  # s if every lane is paused or has enough waiting hooks


def dispatch(seconds: float = worker_slots.LOOP_SECONDS) -> str:
    """Run a dispatcher until it hands over, after `seconds`, or is stopped; returns at once if all slots are taken."""
    from hooks.dispatch.loop import run  # other tasks need not load pycurl

    with worker_slots.hold_slot(Role.DISPATCH, range(settings.HOOKS_DISPATCHERS), seconds) as worker_slot:
        if worker_slot is None:
            return "all slots are taken"
        handed_over = run(
            worker_slot, stop_fd=worker_slots.stop_fd(), request_successor=lambda: async_task(DISPATCH)
        )
    return "handed over" if handed_over else "stopped"


def ensure_dispatchers() -> bool:
    """Ensure that every slot has a dispatcher; returns False if one is missing and was requested."""
    return worker_slots.ensure_running(Role.DISPATCH, settings.HOOKS_DISPATCHERS, DISPATCH)


def redeliver() -> str:
    """Run the redelivery jobs until none is left; returns immediately if another run does so."""
    with worker_slots.hold_slot(Role.REDELIVERY, range(1)) as worker_slot:
        if worker_slot is None:
            return "the slot is taken"
        stop = worker_slots.stop_fd()
        try:
            while not worker_slots.is_stop_requested(stop):
                worker_slot.send_heartbeat()
                examined = redelivery.work()
                if examined is None:
                    return "no job is left"
                if worker_slot.is_handover_due:
                    worker_slot.release_slot()
                    async_task(REDELIVER)
                    return "handed over"
                worker_slots.is_stop_requested(stop, REDELIVER_PAUSE if examined else REDELIVER_WAIT)
        except (psycopg.OperationalError, DatabaseError, InterfaceError) as error:
            log.warning("redelivery: the database does not respond (%s)", str(error).strip().split("\n")[0])
            connection.close()
            return "the database does not respond; the worker starts the task again"  # in ensure_redelivery()
    return "stopped"


def ensure_redelivery() -> bool:
    """Ensure that a task runs the open jobs; returns False if one was requested and has not started yet."""
    return not redelivery.is_wanted() or worker_slots.ensure_running(Role.REDELIVERY, 1, REDELIVER)


def hooks_are_due(since: timedelta = timedelta()) -> bool:
    """Returns whether a hook has been due for at least `since`; hooks of paused endpoints do not count."""
    return delays.oldest_due(timezone.now() - since) is not None
