"""The numbers of hooks that pages show for an instance: waiting, results of the last hour, skipped today.

Reads only. The number of queries does not depend on the number of instances.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count, IntegerField, Q
from django.db.models.functions import Cast, Extract, Floor
from django.utils import timezone

from hooks.models import Hook, SkipReason, State
from instances.models import Instance

HOUR = timedelta(hours=1)
BARS = 12  # of five minutes each, for the chart of the last hour
BAR_SECONDS = 3600 // BARS
CHART_HEIGHT = 24  # of the chart's viewBox; a bar is 8 wide, with 2 between two bars


class Bar(NamedTuple):
    """Five minutes of the chart, in units of its viewBox: the top and the height of each part."""

    x: int
    delivered_y: float
    delivered: float
    failed_y: float
    failed: float


@dataclass
class DeliveryCounts:
    """Hooks waiting now, and the delivered and failed hooks of those created in the last hour."""

    waiting: int = 0
    delivered: int = 0
    failed: int = 0
    # [delivered, failed] of each five minutes, oldest first
    parts: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(BARS)])

    @property
    def bars(self) -> list[Bar]:
        """The chart of the last hour; the failed part is above the delivered part."""
        highest = max([sum(part) for part in self.parts] + [1])
        bars = []
        for place, (delivered, failed) in enumerate(self.parts):
            heights = [CHART_HEIGHT * part / highest for part in (delivered, failed)]
            # one hook in a thousand must still be visible
            green, red = (max(part, 1.5) if part else 0.0 for part in heights)
            bars.append(Bar(place * 10, CHART_HEIGHT - green, green, max(CHART_HEIGHT - green - red, 0), red))
        return bars

    @property
    def finished(self) -> int:
        return self.delivered + self.failed

    @property
    def percent(self) -> int | None:
        """The delivered share, rounded down so that 100 means all; None if no hook was finished."""
        return 100 * self.delivered // self.finished if self.finished else None


def count_deliveries(instances: Iterable[Instance]) -> dict[int, DeliveryCounts]:
    """By the instances' primary keys; every instance has an entry. Two queries."""
    keys = [instance.pk for instance in instances]
    found: dict[int, DeliveryCounts] = {key: DeliveryCounts() for key in keys}
    hooks = Hook.objects.filter(endpoint_id__in=keys).order_by()
    # Three conditions, not one IN: each uses a partial index of its own.
    waiting = Q(state=State.QUEUED) | Q(state=State.RETRYING) | Q(state=State.SENDING)
    for key, count in hooks.filter(waiting).values_list("endpoint_id").annotate(n=Count("id")):
        found[key].waiting = count
    now = timezone.now()
    first = int(now.timestamp()) // BAR_SECONDS - BARS + 1
    recent = hooks.filter(created_at__gte=now - HOUR, state__in=(State.DELIVERED, State.FAILED))
    part = Cast(Floor(Extract("created_at", "epoch") / BAR_SECONDS), IntegerField())
    counted = recent.annotate(part=part).values_list("endpoint_id", "state", "part").annotate(n=Count("id"))
    for key, state, at, count in counted:
        counts, which = found[key], int(state == State.FAILED)
        # The hour covers only a part of its thirteenth bar, and a clock may be slightly ahead.
        counts.parts[min(max(at - first, 0), BARS - 1)][which] += count
        counts.failed += count * which
        counts.delivered += count * (1 - which)
    return found


def skipped_today(instance: Instance) -> dict[str, int]:
    """By kind: how many of today's hooks (in the site's time zone) were skipped because a flag is off. One query."""
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
