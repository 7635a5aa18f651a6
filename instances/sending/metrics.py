"""The numbers of sending that `/metrics` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Sum

from hooks.models import HEARTBEAT_AGE, Measure, Role, Runner, is_alive
from instances.channels import CHANNELS
from instances.models import OutgoingQueue

RESULTS = "sending_results"  # hooks_measure: the results that senders have recorded …
SENT, FAILED, RETRIED = "sent", "failed", "retried"  # … by these labels
# The same by channel, which is the label: one row of hooks_measure for each channel, slot and result.
BY_CHANNEL = {result: f"{RESULTS}_{result}" for result in (SENT, FAILED, RETRIED)}


@dataclass(frozen=True, slots=True)
class SendingNumbers:
    results: Mapping[str, float]
    by_channel: Mapping[tuple[str, str], float]  # (channel, result), of the channels that are installed
    waiting: int  # messages in queues, also of instances that may not send now
    in_flight: int
    senders: int


def sending_numbers() -> SendingNumbers:
    """Returns the numbers. Three queries, which read one row per non-empty queue."""
    named = Measure.objects.filter(name__in=[RESULTS, *BY_CHANNEL.values()])
    summed = named.values_list("name", "label").annotate(value=Sum("value")).order_by()
    measured = {(name, label): value for name, label, value in summed}
    runs = Runner.objects.unfinished(Role.OUTGOING).annotate(heartbeat_age=HEARTBEAT_AGE)
    alive = [in_flight for age, in_flight in runs.values_list("heartbeat_age", "in_flight") if is_alive(age)]
    waiting = OutgoingQueue.objects.with_messages().aggregate(waiting=Sum("length"))["waiting"]
    return SendingNumbers(
        results={result: measured.get((RESULTS, result), 0.0) for result in BY_CHANNEL},
        by_channel={
            (channel, result): measured.get((name, channel), 0.0)
            for channel in CHANNELS
            for result, name in BY_CHANNEL.items()
        },
        waiting=waiting or 0,
        in_flight=sum(alive),
        senders=len(alive),
    )
