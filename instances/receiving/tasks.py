"""The django-q2 task of the receivers, and when one is needed."""

from __future__ import annotations

from django.conf import settings
from django_q.tasks import async_task

from hooks import worker_slots
from hooks.models import Role
from instances.receiving.links import is_wanted

RECEIVE = "instances.receiving.tasks.receive"


def receive(seconds: float = worker_slots.LOOP_SECONDS) -> str:
    """Run a receiver until it hands over, after `seconds`, or is stopped; returns at once if all slots are taken."""
    from instances.receiving.loop import run  # other tasks need not load asyncio

    with worker_slots.hold_slot(Role.RECEIVING, range(settings.RECEIVERS), seconds) as worker_slot:
        if worker_slot is None:
            return "all slots are taken"
        handed_over = run(worker_slot, stop_fd=worker_slots.stop_fd(), request_successor=request_successor)
    return "handed over" if handed_over else "stopped"


def request_successor() -> None:
    """Queue the next run, if an instance still needs one."""
    if is_wanted():
        async_task(RECEIVE)


def ensure_receivers() -> bool:
    """Ensure that receivers run if an instance needs them; returns False if one is missing and was requested.

    No query while no channel of this product needs a receiver.
    """
    return not is_wanted() or worker_slots.ensure_running(Role.RECEIVING, settings.RECEIVERS, RECEIVE)
