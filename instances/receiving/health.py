"""How receiving works for one instance in words, and for all of them in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import product

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from hooks.models import HEARTBEAT_AGE, Role, Runner, is_alive
from instances.models import (
    CALLBACK_WAITING_SQL,
    AccountStatus,
    ChannelLink,
    Instance,
    ReceiverState,
    StoredCallback,
)
from instances.receiving.links import pushes_always, pushing_channel, receiving_channel, resident_names
from instances.receiving.ownership import received_instances

MAX_COUNTED = 10_000  # callbacks
# Of a link: the messenger accepts it; it does not any more; it was saved and is not connected, or waits for a scan.
LINK_STATES = ("linked", "lost", "unconnected")


@dataclass(frozen=True, slots=True)
class ReceivingHealth:
    """Such as "Connected" since a time; `problem` is a sentence for people, or empty.

    If `has_failed_callbacks`, people may let them be handled again.
    """

    word: str
    since: datetime | None = None
    problem: str = ""
    has_failed_callbacks: bool = False


def describe_receiving(instance: Instance) -> ReceivingHealth | None:
    """Returns the health of the instance's link; None for a channel without a messenger outside, such as the sandbox.

    At most one query for a channel that is received from, three for one that pushes, else none.
    """
    if instance.channel not in resident_names():
        return None
    state = ReceiverState.objects.filter(instance=instance).first()
    if state is None:
        return ReceivingHealth("Not linked")
    if state.lost_at:
        return ReceivingHealth("Link lost", state.lost_at, state.lost_reason)
    if receiving_channel(instance.channel):
        found = describe_state(state)
        if pushes_always(instance.channel):
            pushed = describe_callbacks(instance)
            problem, has_failed = found.problem or pushed.problem, pushed.has_failed_callbacks
            found = replace(found, problem=problem, has_failed_callbacks=has_failed)
    elif pushing_channel(instance.channel):
        found = describe_callbacks(instance)
    else:
        found = ReceivingHealth("Checked every minute")
    return found if found.problem or not state.check_error else replace(found, problem=state.check_error)


def describe_state(state: ReceiverState) -> ReceivingHealth:
    problem = ""
    if state.refused:
        events = "event" if state.refused == 1 else "events"
        problem = f"{state.refused} {events} could not be recorded. The last one: {state.last_refusal}"
    if state.failing_since:
        return ReceivingHealth("Failing", state.failing_since, state.error)
    if state.connected_at:
        return ReceivingHealth("Connected", state.connected_at, problem)
    return ReceivingHealth("Not connected yet", None, problem)


def describe_callbacks(instance: Instance) -> ReceivingHealth:
    waiting = StoredCallback.objects.waiting().filter(instance=instance).order_by("pk").first()
    failed = StoredCallback.objects.failed().filter(instance=instance).order_by("-failed_at")
    problem = waiting.error if waiting and waiting.error else ""
    if last := failed.first():
        problem = f"A callback failed: {last.error}"
    if waiting is not None:
        return ReceivingHealth("Callbacks waiting", waiting.received_at, problem, last is not None)
    return ReceivingHealth("Callbacks handled", None, problem, last is not None)


@dataclass(frozen=True, slots=True)
class ReceivingNumbers:
    """Of all instances. `callbacks_oldest` is an age in seconds."""

    receivers: int = 0
    heartbeat_age: float | None = None  # seconds since the last heartbeat of any receiver; None without one
    links: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (channel, state of LINK_STATES)
    instances: Mapping[str, int] = field(
        default_factory=lambda: {"connected": 0, "failing": 0, "unconnected": 0}
    )
    callbacks_waiting: int = 0
    callbacks_oldest: float = 0.0
    callbacks_failed: int = 0


COUNT_CALLBACKS = f"""
    SELECT (SELECT count(*) FROM (SELECT FROM {{table}} WHERE {CALLBACK_WAITING_SQL} LIMIT %(limit)s) w),
        (SELECT min(received_at) FROM (
            SELECT received_at FROM {{table}} WHERE {CALLBACK_WAITING_SQL} LIMIT %(limit)s) w),
        (SELECT count(*) FROM (SELECT FROM {{table}} WHERE failed_at IS NOT NULL LIMIT %(limit)s) f)
"""


def receiving_numbers() -> ReceivingNumbers:
    """Returns the numbers for /metrics. Four queries; none while no channel needs a receiver."""
    if not resident_names():
        return ReceivingNumbers()
    runs = Runner.objects.unfinished(Role.RECEIVING).annotate(heartbeat_age=HEARTBEAT_AGE)
    ages = [age for age in runs.values_list("heartbeat_age", flat=True) if age is not None]
    failing = Q(receiver_state__failing_since__isnull=False)
    connected = Q(receiver_state__connected_at__isnull=False) & ~failing
    counted = received_instances().aggregate(
        total=Count("pk"), connected=Count("pk", filter=connected), failing=Count("pk", filter=failing)
    )
    with connection.cursor() as cursor:
        cursor.execute(COUNT_CALLBACKS.format(table=StoredCallback._meta.db_table), {"limit": MAX_COUNTED})
        waiting, oldest, failed = cursor.fetchone()
    return ReceivingNumbers(
        receivers=sum(map(is_alive, ages)),
        heartbeat_age=max(min(ages).total_seconds(), 0.0) if ages else None,
        links=count_links(),
        instances={
            "connected": counted["connected"],
            "failing": counted["failing"],
            "unconnected": counted["total"] - counted["connected"] - counted["failing"],
        },
        callbacks_waiting=waiting,
        callbacks_oldest=max((timezone.now() - oldest).total_seconds(), 0.0) if oldest else 0.0,
        callbacks_failed=failed,
    )


def count_links() -> dict[tuple[str, str], int]:
    """Returns the links of each channel that needs a receiver, by state. One query, which reads every link."""
    linked = Q(instance__account_status=AccountStatus.AUTHENTICATED)
    lost = Q(instance__receiver_state__lost_at__isnull=False) & ~linked
    rows = ChannelLink.objects.values("channel").order_by()
    counted = rows.annotate(
        total=Count("pk"), linked=Count("pk", filter=linked), lost=Count("pk", filter=lost)
    )
    found = dict.fromkeys(product(resident_names(), LINK_STATES), 0)
    for row in counted:
        others = row["total"] - row["linked"] - row["lost"]
        for state, number in zip(LINK_STATES, (row["linked"], row["lost"], others), strict=True):
            if (row["channel"], state) in found:
                found[row["channel"], state] = number
    return found
