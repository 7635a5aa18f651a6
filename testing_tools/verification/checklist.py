"""Why nothing comes: what a verification says after a minute of silence, each point with whether it holds."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from hooks.models import UNFINISHED, Endpoint, Hook, SkipReason, State
from instances.models import Instance
from testing_tools.verification.models import Bin

SILENT_AFTER = timedelta(minutes=1)
FLAGS = (
    ("ack_notifications_on", "ackNotificationsOn", "ticks of sent messages"),
    ("status_notifications_on", "statusNotificationsOn", "status changes"),
    ("chat_update_on", "chatUpdateOn", "chat changes"),
)


class Point(NamedTuple):
    """One point of the checklist: does it hold, what is true, and what to do if it does not hold."""

    holds: bool
    words: str
    advice: str = ""


def is_silent(bin: Bin, endpoint: Endpoint, now: datetime | None = None) -> bool:
    """Has a running verification brought nothing for a minute?"""
    now = now or timezone.now()
    if not endpoint.is_borrowed(now) or endpoint.borrowed_until is None:
        return False
    started = endpoint.borrowed_until - timedelta(minutes=settings.VERIFICATION_MINUTES)
    return started < now - SILENT_AFTER and not bin.captures.filter(at__gt=now - SILENT_AFTER).exists()


def checklist(instance: Instance, endpoint: Endpoint) -> list[Point]:
    """What must be true for hooks to arrive, in the order in which to look."""
    return [paid(instance), linked(instance), *flags(instance), queue(endpoint), last_event(endpoint)]


def paid(instance: Instance) -> Point:
    if instance.is_paid:
        return Point(True, "The instance is paid.")
    return Point(False, "The instance is not paid, so it makes no hooks.", "Extend it, then try again.")


def linked(instance: Instance) -> Point:
    if instance.is_authenticated:
        return Point(True, "The instance is authenticated.")
    return Point(
        False,
        f"The instance is not authenticated: its status is “{instance.account_status}”.",
        "Scan the QR code on the instance's page.",
    )


def flags(instance: Instance) -> list[Point]:
    off = [(name, what) for field, name, what in FLAGS if not getattr(instance, field)]
    points = [Point(True, "Messages are always hooked, in both directions.")]
    if off:
        words = ", ".join(f"{name} ({what})" for name, what in off)
        points.append(
            Point(
                False, f"Off, so not hooked: {words}.", "Switch on what you wait for on the instance's page."
            )
        )
    else:
        points.append(Point(True, "Ticks, status changes and chat changes are switched on."))
    return points


def queue(endpoint: Endpoint) -> Point:
    waiting = endpoint.hooks.filter(state__in=UNFINISHED).count()
    if not waiting:
        return Point(True, "No hook is waiting: the queue is empty.")
    hooks = "1 hook waits" if waiting == 1 else f"{waiting} hooks wait"
    return Point(False, f"{hooks} to be sent.", "The delivery log says why.")


def last_event(endpoint: Endpoint) -> Point:
    last = Hook.objects.filter(endpoint=endpoint).order_by("-id").first()
    if last is None:
        return Point(
            False,
            "There has been no event at this instance yet.",
            "Make one: a simulation or a sandbox message.",
        )
    when = f"{timezone.localtime(last.created_at):%-d %B, %H:%M:%S %Z}"
    skipped = (
        endpoint.hooks.filter(state=State.SKIPPED, created_at__gt=timezone.now() - timedelta(hours=1))
        .order_by()
        .values_list("skip_reason")
        .annotate(count=Count("id"))
    )
    why = "; ".join(f"{count} × {SkipReason(reason).label}" for reason, count in skipped)
    if why:
        return Point(
            False,
            f"The last event was at {when}. Skipped in the last hour: {why}.",
            "Skipped hooks are never sent.",
        )
    return Point(True, f"The last event was at {when}.")
