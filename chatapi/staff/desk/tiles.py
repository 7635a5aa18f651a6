"""The numbers at the top of the support desk, each with its course over the last hour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.urls import reverse
from django.utils import timezone

from hooks.log.counts import Count
from hooks.metrics import MAX_FAILING, MAX_WAITING, Load, current_load
from hooks.models import LoadSample

PERIOD = timedelta(hours=1)
WIDTH, HEIGHT = 120, 28  # of the chart's viewBox
MINUTE = timedelta(minutes=1)
# Samples are a minute apart. After a longer gap there is no rate: nothing was measured.
LONGEST_GAP = 2.5 * MINUTE


class Tile(NamedTuple):
    """One number. `points` is the line of the chart in units of its viewBox; empty without two samples."""

    label: str
    words: str
    url: str
    points: str
    highest: str
    is_bad: bool


def tiles() -> list[Tile]:
    """Returns the four tiles. Four queries, seven without a recent sample; none reads a hook that was sent.

    Waiting hooks are those of the newest sample: to count them took 490 ms with 100 000 endpoints, on a busy machine.
    """
    now = timezone.now()
    samples = list(LoadSample.objects.filter(minute__gt=now - PERIOD).order_by("minute"))
    newest = samples[-1] if samples and now - samples[-1].minute < LONGEST_GAP else None
    load = current_load(due=newest.waiting if newest else None)
    delivered = rates(samples)
    endpoints = reverse("admin:hooks_endpoint_changelist")

    def tile(label: str, url: str, read: Callable[[Load | LoadSample], int], limit: int) -> Tile:
        course = [(sample.minute, float(read(sample))) for sample in samples]
        value = read(load)
        return Tile(label, words(value, limit), url, line(course, now), highest(course), value > 0)

    return [
        tile("Waiting hooks", reverse("admin:health"), lambda load: load.waiting, MAX_WAITING),
        Tile(
            "Delivered per minute",
            words(round(delivered[-1][1]), None) if is_recent(delivered, now) else "–",
            reverse("admin:hooks_hook_changelist"),
            line(delivered, now),
            highest(delivered),
            is_bad=False,
        ),
        tile("Failing endpoints", f"{endpoints}?health=failing", lambda load: load.failing, MAX_FAILING),
        tile("Paused endpoints", f"{endpoints}?health=paused", lambda load: load.paused, MAX_FAILING),
    ]


def rates(samples: Sequence[LoadSample]) -> list[tuple[datetime, float]]:
    """Returns how many hooks were delivered per minute between each two neighbouring samples."""
    return [
        (after.minute, max(after.delivered - before.delivered, 0) / ((after.minute - before.minute) / MINUTE))
        for before, after in pairwise(samples)
        if after.minute - before.minute <= LONGEST_GAP
    ]


def is_recent(course: Sequence[tuple[datetime, float]], now: datetime) -> bool:
    return bool(course) and now - course[-1][0] < 2 * LONGEST_GAP


def words(value: int, limit: int | None) -> str:
    return Count.of(value, more=limit is not None and value >= limit).words


def highest(course: Sequence[tuple[datetime, float]]) -> str:
    """The highest value in words; empty without a line."""
    return words(round(max(value for _, value in course)), None) if len(course) > 1 else ""


def line(course: Sequence[tuple[datetime, float]], now: datetime) -> str:
    """Returns the points of an SVG polyline: the period from left to right, from 0 to the highest value."""
    if len(course) < 2:
        return ""
    top = max(1, *(value for _, value in course))
    left = now - PERIOD
    return " ".join(
        f"{max((at - left) / PERIOD, 0) * WIDTH:.1f},{HEIGHT - 2 - value / top * (HEIGHT - 4):.1f}"
        for at, value in course
    )
