"""What pages show of an instance's hooks beside hooks.log.endpoint_numbers: its chart, and skipped today."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from django.db.models import Count
from django.utils import timezone

from hooks.log.endpoint_numbers import EndpointNumbers
from hooks.models import Hook, SkipReason, State
from instances.models import Instance

CHART_HEIGHT = 24  # of the chart's viewBox; a bar is 8 wide, with 2 between two bars


class Bar(NamedTuple):
    """Five minutes of the chart, in units of its viewBox: the top and the height of each part."""

    x: int
    delivered_y: float
    delivered: float
    missing_y: float
    missing: float


def bars_of(numbers: EndpointNumbers) -> list[Bar]:
    """Returns the chart of the last hour; the part that was not delivered is above the delivered part."""
    highest = max([sent for sent, _ in numbers.parts] + [1])
    bars = []
    for place, (sent, delivered) in enumerate(numbers.parts):
        heights = [CHART_HEIGHT * part / highest for part in (delivered, sent - delivered)]
        # one hook in a thousand must still be visible
        green, red = (max(part, 1.5) if part else 0.0 for part in heights)
        bars.append(Bar(place * 10, CHART_HEIGHT - green, green, max(CHART_HEIGHT - green - red, 0), red))
    return bars


def skipped_today(instance: Instance) -> dict[str, int]:
    """By kind: how many of today's hooks (in the reader's time zone) were skipped because a flag is off. One query."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    counts: dict[str, int] = defaultdict(int)
    skipped = Hook.objects.of_first_endpoint(instance.pk).filter(
        created_at__gte=midnight,
        state=State.SKIPPED,
        skip_reason=SkipReason.FLAG_OFF,
    )
    counts.update(skipped.order_by().values_list("kind").annotate(n=Count("id")))
    return counts
