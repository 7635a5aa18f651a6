"""The figures that pages show about an instance: what waits, what came of the last hour, the first steps.

Reads only; each function costs the same number of queries for one instance and for fifty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count, IntegerField, Q
from django.db.models.functions import Cast, Extract, Floor
from django.urls import reverse
from django.utils import timezone

from hooks.models import Hook, Kind, SkipReason, State, Tally
from instances.models import Instance
from instances.tool_links import tool_url

HOUR = timedelta(hours=1)
BARS = 12  # of five minutes each: the chart of the last hour
BAR_SECONDS = 3600 // BARS
CHART_HEIGHT = 24  # of the chart's viewBox; a bar is 8 wide, with 2 between
# An instance with more hooks than this is past its first steps, whatever it has left out.
FIRST_HOOKS = 500


class Bar(NamedTuple):
    """Five minutes of the chart, in units of its viewBox: where each part begins, and how high it is."""

    x: int
    delivered_y: float
    delivered: float
    failed_y: float
    failed: float


@dataclass
class Figures:
    """Hooks that wait now; hooks of the last hour that have arrived, and that have failed for good."""

    waiting: int = 0
    delivered: int = 0
    failed: int = 0
    # [delivered, failed] of each five minutes of the hour, the oldest first
    parts: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(BARS)])

    @property
    def bars(self) -> list[Bar]:
        """The chart of the last hour: what failed stands on what was delivered."""
        most = max([sum(part) for part in self.parts] + [1])
        bars = []
        for place, (delivered, failed) in enumerate(self.parts):
            high = [CHART_HEIGHT * part / most for part in (delivered, failed)]
            # one of a thousand must still be seen
            green, red = (max(part, 1.5) if part else 0.0 for part in high)
            bars.append(Bar(place * 10, CHART_HEIGHT - green, green, max(CHART_HEIGHT - green - red, 0), red))
        return bars

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
    now = timezone.now()
    first = int(now.timestamp()) // BAR_SECONDS - BARS + 1
    recent = hooks.filter(created_at__gte=now - HOUR, state__in=(State.DELIVERED, State.FAILED))
    part = Cast(Floor(Extract("created_at", "epoch") / BAR_SECONDS), IntegerField())
    counted = recent.annotate(part=part).values_list("endpoint_id", "state", "part").annotate(n=Count("id"))
    for key, state, at, count in counted:
        figures, which = found[key], int(state == State.FAILED)
        # the hour has no more than a part of its thirteenth bar; a clock may be a little ahead
        figures.parts[min(max(at - first, 0), BARS - 1)][which] += count
        figures.failed += count * which
        figures.delivered += count * (1 - which)
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

    A step is ticked when it is true, however it came about: by this page, the API or the wire contract. Empty too for
    those who may only look.
    """
    if not instance.may_change:
        return []
    # the newest 501 rows of a busy instance would be read for nothing, on every page
    emitted = Tally.objects.filter(pk=instance.pk).values_list("emitted", flat=True).first()
    if (emitted or 0) > FIRST_HOOKS:
        return []
    hooks = list(
        Hook.objects.filter(endpoint_id=instance.pk)
        .order_by("-id")
        .values_list("simulated", "kind", "state")[:FIRST_HOOKS]
    )
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
            tool_url("simulation", instance.number),
            any(simulated for simulated, _, _ in hooks),
        ),
        Step(
            "Send a message",
            "To any number: the sandbox contact receives it at once.",
            tool_url("sending", instance.number),
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
