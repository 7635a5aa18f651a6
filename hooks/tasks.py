"""What django-q2 runs for the hooks."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django_q.tasks import async_task

from hooks import loops
from hooks.models import Hook, Role, State

DISPATCH = "hooks.tasks.dispatch"


def dispatch() -> str:
    """Run a dispatcher until it hands over or is told to stop; nothing to do when all slots are taken."""
    from hooks.dispatch.loop import run  # pycurl is loaded only where it is used

    with loops.seat(Role.DISPATCH, range(settings.HOOKS_DISPATCHERS)) as seat:
        if seat is None:
            return "every slot is taken"
        handed_over = run(seat, stop_fd=loops.stop_fd(), call_successor=lambda: async_task(DISPATCH))
    return "handed over" if handed_over else "stopped"


def ensure_dispatchers() -> bool:
    """See to it that every slot has a dispatcher; False when one is missing."""
    return loops.ensure(Role.DISPATCH, settings.HOOKS_DISPATCHERS, DISPATCH)


def hooks_are_due(since: timedelta = timedelta()) -> bool:
    """Is there a hook that should have been claimed `since` ago or longer?"""
    before = timezone.now() - since
    return (
        Hook.objects.filter(
            Q(state=State.QUEUED, created_at__lt=before)
            | Q(state=State.RETRYING, next_attempt_at__lt=before),
            endpoint__paused_at=None,
        )
        .order_by()
        .exists()
    )
