"""The checks that show why a running verification has received no requests for a minute, each with its result."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from django.utils.text import capfirst

from hooks.models import UNFINISHED, Endpoint, Hook, SkipReason, State
from instances.models import Instance
from testing_tools.verification.models import Bin

SILENT_AFTER = timedelta(minutes=1)
FLAGS = (
    ("ack_notifications_on", "ackNotificationsOn", "acks of sent messages"),
    ("status_notifications_on", "statusNotificationsOn", "status changes"),
    ("chat_update_on", "chatUpdateOn", "chat changes"),
)


class Check(NamedTuple):
    """One check: whether it passed, the finding, and what to do if it failed."""

    passed: bool
    text: str
    advice: str = ""


def is_silent(bin: Bin, endpoint: Endpoint, now: datetime | None = None) -> bool:
    """Returns whether a running verification has received no requests for a minute."""
    now = now or timezone.now()
    if not endpoint.is_overridden(now) or endpoint.override_until is None:
        return False
    started = endpoint.override_until - timedelta(minutes=settings.VERIFICATION_MINUTES)
    return started < now - SILENT_AFTER and not bin.captures.filter(at__gt=now - SILENT_AFTER).exists()


def checklist(instance: Instance, endpoint: Endpoint) -> list[Check]:
    """Returns the checks of the conditions for hooks to arrive, in the order to check them."""
    return [
        check_paid(instance),
        check_linked(instance),
        *check_flags(instance),
        check_queue(endpoint),
        check_last_event(endpoint),
    ]


def check_paid(instance: Instance) -> Check:
    if instance.is_paid:
        return Check(True, "The instance is on trial." if instance.is_trial else "The instance is paid.")
    return Check(
        False,
        f"{capfirst(instance.why_unpaid)}, so it creates no hooks.",
        "Ask the administrator of this site to record a payment.",
    )


def check_linked(instance: Instance) -> Check:
    if instance.is_authenticated:
        return Check(True, "The instance is authenticated.")
    return Check(
        False,
        f"The instance is not authenticated: its status is “{instance.account_status}”.",
        "Scan the QR code on the instance's page.",
    )


def check_flags(instance: Instance) -> list[Check]:
    off = [(name, events) for field, name, events in FLAGS if not getattr(instance, field)]
    checks = [Check(True, "Messages always create hooks, in both directions.")]
    if off:
        names = ", ".join(f"{name} ({events})" for name, events in off)
        checks.append(
            Check(
                False,
                f"Off, so these create no hooks: {names}.",
                "Turn on what you need on the instance's page.",
            )
        )
    else:
        checks.append(Check(True, "Acks, status changes and chat changes are on."))
    return checks


def check_queue(endpoint: Endpoint) -> Check:
    waiting = endpoint.hooks.filter(state__in=UNFINISHED).count()
    if not waiting:
        return Check(True, "No hooks are waiting: the queue is empty.")
    hooks = "1 hook is" if waiting == 1 else f"{waiting} hooks are"
    return Check(False, f"{hooks} waiting to be sent.", "The delivery log says why.")


def check_last_event(endpoint: Endpoint) -> Check:
    last = Hook.objects.filter(endpoint=endpoint).order_by("-id").first()
    if last is None:
        return Check(
            False, "This instance has had no event yet.", "Create one: simulate a hook or a sandbox message."
        )
    when = f"{timezone.localtime(last.created_at):%-d %B, %H:%M:%S %Z}"
    skipped = (
        endpoint.hooks.filter(state=State.SKIPPED, created_at__gt=timezone.now() - timedelta(hours=1))
        .order_by()
        .values_list("skip_reason")
        .annotate(count=Count("id"))
    )
    reasons = "; ".join(f"{count} × {SkipReason(reason).label}" for reason, count in skipped)
    if reasons:
        return Check(
            False,
            f"The last event was at {when}. Skipped in the last hour: {reasons}.",
            "Skipped hooks are never sent.",
        )
    return Check(True, f"The last event was at {when}.")
