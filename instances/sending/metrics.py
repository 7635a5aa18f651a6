"""The numbers of sending that `/metrics` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Sum

from hooks.models import HEARTBEAT_AGE, Measure, Role, Runner, is_alive
from instances.models import OutgoingQueue

RESULTS = "sending_results"  # hooks_measure: the results that senders have recorded …
SENT, FAILED, RETRIED = "sent", "failed", "retried"  # … by these labels


@dataclass(frozen=True, slots=True)
class SendingNumbers:
    results: Mapping[str, float]
    waiting: int  # messages in queues, also of instances that may not send now
    in_flight: int
    senders: int


def sending_numbers() -> SendingNumbers:
    """Returns the numbers. Three queries, which read one row per non-empty queue."""
    measured = dict(
        Measure.objects.filter(name=RESULTS).values_list("label").annotate(value=Sum("value")).order_by()
    )
    runs = Runner.objects.unfinished(Role.OUTGOING).annotate(heartbeat_age=HEARTBEAT_AGE)
    alive = [in_flight for age, in_flight in runs.values_list("heartbeat_age", "in_flight") if is_alive(age)]
    waiting = OutgoingQueue.objects.filter(length__gt=0).aggregate(waiting=Sum("length"))["waiting"]
    return SendingNumbers(
        results={label: measured.get(label, 0.0) for label in (SENT, FAILED, RETRIED)},
        waiting=waiting or 0,
        in_flight=sum(alive),
        senders=len(alive),
    )
