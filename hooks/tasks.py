"""What django-q2 runs for the hooks."""

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
REDELIVER_PAUSE = 0.1  # s between two portions: up to 1 000 hooks/s and lane
REDELIVER_WAIT = 0.5  # s while all lanes have enough in hand, or are paused


def dispatch() -> str:
    """Run a dispatcher until it hands over or is stopped; returns at once if all slots are taken."""
    from hooks.dispatch.loop import run  # pycurl is loaded only where it is used

    with worker_slots.hold_slot(Role.DISPATCH, range(settings.HOOKS_DISPATCHERS)) as worker_slot:
        if worker_slot is None:
            return "every slot is taken"
        handed_over = run(
            worker_slot, stop_fd=worker_slots.stop_fd(), request_successor=lambda: async_task(DISPATCH)
        )
    return "handed over" if handed_over else "stopped"


def ensure_dispatchers() -> bool:
    """Ensure that every slot has a dispatcher; False if one is missing."""
    return worker_slots.ensure_running(Role.DISPATCH, settings.HOOKS_DISPATCHERS, DISPATCH)


def redeliver() -> str:
    """Work the jobs of redelivery off until none is left; nothing to do when another run is at it."""
    with worker_slots.hold_slot(Role.REDELIVERY, range(1)) as worker_slot:
        if worker_slot is None:
            return "the slot is taken"
        stop = worker_slots.stop_fd()
        try:
            while not worker_slots.is_stop_requested(stop):
                worker_slot.send_heartbeat()
                looked_at = redelivery.work()
                if looked_at is None:
                    return "no job is left"
                if worker_slot.is_handover_due:
                    worker_slot.release_slot()
                    async_task(REDELIVER)
                    return "handed over"
                worker_slots.is_stop_requested(stop, REDELIVER_PAUSE if looked_at else REDELIVER_WAIT)
        except (psycopg.OperationalError, DatabaseError, InterfaceError) as error:
            log.warning("redelivery: the database is away (%s)", str(error).strip().split("\n")[0])
            connection.close()
            return "the database is away; the worker restarts"  # by ensure_redelivery()
    return "stopped"


def ensure_redelivery() -> bool:
    """Ensure that open jobs are processed; False if no process has started yet."""
    return not redelivery.is_wanted() or worker_slots.ensure_running(Role.REDELIVERY, 1, REDELIVER)


def hooks_are_due(since: timedelta = timedelta()) -> bool:
    """Is there a hook that should have been claimed `since` ago or longer? Those of paused endpoints need not be."""
    return delays.oldest_due(timezone.now() - since) is not None
