"""The figures that pages show about an instance: what waits, what came of the last hour, the first steps.

Reads only; each function costs the same number of queries for one instance and for fifty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone

from hooks.models import Hook, Kind, SkipReason, State
from instances.models import Instance

HOUR = timedelta(hours=1)
# An instance with more hooks than this is past its first steps, whatever it has left out.
FIRST_HOOKS = 500


@dataclass
class Figures:
    """Hooks that wait now; hooks of the last hour that have arrived, and that have failed for good."""

    waiting: int = 0
    delivered: int = 0
    failed: int = 0

    @property
    def finished(self) -> int:
        return self.delivered + self.failed

    @property
    def percent(self) -> int | None:
        """How many of a hundred have arrived, rounded down, so that 100 means all; None: there were none."""
        return 100 * self.delivered // self.finished if self.finished else None


def figures_of(instances: Iterable[Instance]) -> dict[int, Figures]:
    """By the instances' primary keys; every instance has an entry. Two queries."""
    keys = [instance.pk for instance in instances]
    found: dict[int, Figures] = {key: Figures() for key in keys}
    hooks = Hook.objects.filter(endpoint_id__in=keys).order_by()
    # three conditions and not one IN: each is a partial index of its own
    waiting = Q(state=State.QUEUED) | Q(state=State.RETRYING) | Q(state=State.SENDING)
    for key, count in hooks.filter(waiting).values_list("endpoint_id").annotate(n=Count("id")):
        found[key].waiting = count
    recent = hooks.filter(created_at__gte=timezone.now() - HOUR, state__in=(State.DELIVERED, State.FAILED))
    for key, state, count in recent.values_list("endpoint_id", "state").annotate(n=Count("id")):
        setattr(found[key], "delivered" if state == State.DELIVERED else "failed", count)
    return found


def skipped_today(instance: Instance) -> dict[str, int]:
    """By kind of hook: how many of today's (in the site's zone) were not sent because a flag is off. One query."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    counts: dict[str, int] = defaultdict(int)
    skipped = Hook.objects.filter(
        endpoint_id=instance.pk,
        created_at__gte=midnight,
        state=State.SKIPPED,
        skip_reason=SkipReason.FLAG_OFF,
    )
    counts.update(skipped.order_by().values_list("kind").annotate(n=Count("id")))
    return counts


class Step(NamedTuple):
    """One line of the first-run checklist, and where it is done."""

    title: str
    text: str
    url: str
    done: bool


def first_steps(instance: Instance) -> list[Step]:
    """Link, set the address, simulate, send, see the ack; empty once all is done or long past. Two queries.

    A step is ticked when it is true, however it came about: by this page, the API or the wire contract.
    """
    hooks = list(
        Hook.objects.filter(endpoint_id=instance.pk)
        .order_by("-id")
        .values_list("simulated", "kind", "state")[: FIRST_HOOKS + 1]
    )
    if len(hooks) > FIRST_HOOKS:
        return []
    sent = instance.last_queue_number > 0
    page, asked = instance.get_absolute_url(), f"?instance={instance.number}"
    steps = [
        Step(
            "Link the instance",
            "Scan its code with the sandbox phone; a real messenger is linked the same way.",
            f"{page}#status",
            instance.is_authenticated,
        ),
        Step(
            "Set the webhook address",
            "Where your own server waits for hooks. None yet? Webhook Verification gives you one.",
            f"{page}#webhook",
            bool(instance.endpoint.url),
        ),
        Step(
            "Simulate a hook",
            "One hook, made by hand and sent at once: see what your server makes of it.",
            reverse("testing:simulation") + asked,
            any(simulated for simulated, _, _ in hooks),
        ),
        Step(
            "Send a message",
            "To any number: the sandbox contact receives it at once.",
            reverse("testing:sending") + asked,
            sent,
        ),
        Step(
            "See the ack arrive",
            "Switch ackNotificationsOn on, send once more, and find “delivered” in the log.",
            reverse("log:list") + f"{asked}&kind=ack",
            any(
                kind == Kind.ACK and state == State.DELIVERED and not simulated
                for simulated, kind, state in hooks
            ),
        ),
    ]
    return [] if all(step.done for step in steps) else steps
