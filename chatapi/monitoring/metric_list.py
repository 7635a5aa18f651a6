"""Every metric of /metrics: its meaning, its labels, its unit, and where its value comes from.

One table. /metrics, docs/metrics.md and the Grafana dashboard are made from it, and the alert rules (alert_list.py) may
name nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chatapi.monitoring.upkeep import UpkeepNumbers
from hooks.metrics import CLAIM, COMMIT, LATENESS, RECORD, Histogram, Snapshot
from instances.limits.disk_space import DiskSpace
from instances.receiving.health import ReceivingNumbers
from instances.sending.metrics import SendingNumbers


class Kind(StrEnum):
    """The type of a metric, as Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """The unit of the dashboard, as Grafana calls it."""

    NUMBER = "short"
    SECONDS = "s"
    BYTES = "bytes"


class Group(StrEnum):
    """The row of the dashboard, and the section of docs/metrics.md."""

    DELIVERY = "Delivery of hooks"
    SENDING = "Sending of messages"
    RECEIVING = "Receiving from messengers"
    UPKEEP = "Upkeep of the database"
    MACHINE = "Machine"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a scrape reads. `disk` is None if it cannot be read."""

    hooks: Snapshot
    failing_endpoints: int
    receiving: ReceivingNumbers
    sending: SendingNumbers
    upkeep: UpkeepNumbers
    disk: DiskSpace | None


Samples = Mapping[tuple[str, ...], float]  # by the values of the labels
Found = float | Samples | Histogram | None


@dataclass(frozen=True, slots=True)
class Metric:
    """`read` returns one number, numbers by the values of the labels, a histogram, or None if there is no value."""

    group: Group
    kind: Kind
    name: str  # without the `_total` that Prometheus appends to counters
    meaning: str
    read: Callable[[Numbers], Found]
    labels: tuple[str, ...] = ()
    unit: Unit = Unit.NUMBER
    is_of_machine: bool = False  # else every web server on every machine responds the same

    @property
    def series(self) -> str:
        """The name in queries: that of the buckets for a histogram."""
        return self.name + {Kind.COUNTER: "_total", Kind.GAUGE: "", Kind.HISTOGRAM: "_bucket"}[self.kind]


def by_one(found: Mapping[str, float]) -> Samples:
    return {(label,): number for label, number in found.items()}


def by_two(found: Mapping[tuple[str, str], float]) -> Samples:
    return dict(found.items())


def or_nan(age: float | None) -> float:
    return math.nan if age is None else age


METRICS = (
    Metric(
        Group.DELIVERY, Kind.COUNTER, "chatapi_hooks_emitted", "Hooks created.", lambda n: n.hooks.emitted
    ),
    Metric(
        Group.DELIVERY, Kind.COUNTER, "chatapi_hooks_finished",
        "Hooks that ended as delivered, failed, skipped or cancelled; counted again after a resend.",
        lambda n: by_one(n.hooks.finished), ("state",),
    ),
    Metric(
        Group.DELIVERY, Kind.COUNTER, "chatapi_attempts", "Attempts, by outcome.",
        lambda n: by_one(n.hooks.attempts), ("outcome",),
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_hooks_waiting",
        "Due hooks that wait; lane is ordered or parallel, turn is first or retry; counted up to 100 000.",
        lambda n: {(one.lane, one.turn): one.number for one in n.hooks.waiting}, ("lane", "turn"),
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_hooks_oldest_waiting_seconds",
        "How long the oldest of these hooks has waited.",
        lambda n: {(one.lane, one.turn): one.oldest for one in n.hooks.waiting}, ("lane", "turn"),
        Unit.SECONDS,
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_hooks_in_flight", "Requests to endpoints in flight.",
        lambda n: n.hooks.in_flight,
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_dispatchers", "Running dispatchers.",
        lambda n: n.hooks.dispatchers,
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_dispatcher_heartbeat_age_seconds",
        "Time since the last heartbeat of any dispatcher; NaN without one.",
        lambda n: or_nan(n.hooks.heartbeat_age), unit=Unit.SECONDS,
    ),
    Metric(
        Group.DELIVERY, Kind.HISTOGRAM, "chatapi_claim_seconds",
        "Duration of one claim of due hooks in the database.",
        lambda n: n.hooks.histograms[CLAIM], unit=Unit.SECONDS,
    ),
    Metric(
        Group.DELIVERY, Kind.HISTOGRAM, "chatapi_record_seconds",
        "Duration of recording one batch of results in the database.",
        lambda n: n.hooks.histograms[RECORD], unit=Unit.SECONDS,
    ),
    Metric(
        Group.DELIVERY, Kind.HISTOGRAM, "chatapi_commit_seconds",
        "Duration of the commit of such a batch. It waits for the disk and a synchronous standby, as that of an event.",
        lambda n: n.hooks.histograms[COMMIT], unit=Unit.SECONDS,
    ),
    Metric(
        Group.DELIVERY, Kind.HISTOGRAM, "chatapi_retry_lateness_seconds",
        "Time from when a retry was due until it was claimed.",
        lambda n: n.hooks.histograms[LATENESS], unit=Unit.SECONDS,
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_endpoints", "Endpoints that have ever had a hook to send.",
        lambda n: n.hooks.endpoints,
    ),
    Metric(
        Group.DELIVERY, Kind.GAUGE, "chatapi_endpoints_failing",
        "Endpoints all of whose attempts have failed for more than ten minutes and less than a day, without paused "
        "ones and those of `chatapi.listen`; counted up to 10 000.",
        lambda n: n.failing_endpoints,
    ),
    Metric(
        Group.SENDING, Kind.COUNTER, "chatapi_messages",
        "Tries of messages: sent, failed, or retried when the message is tried again.",
        lambda n: by_one(n.sending.results), ("result",),
    ),
    Metric(
        Group.SENDING, Kind.COUNTER, "chatapi_channel_messages", "Tries of messages, by channel.",
        lambda n: by_two(n.sending.by_channel), ("channel", "result"),
    ),
    Metric(
        Group.SENDING, Kind.GAUGE, "chatapi_messages_waiting", "Messages in queues.",
        lambda n: n.sending.waiting,
    ),
    Metric(
        Group.SENDING, Kind.GAUGE, "chatapi_messages_in_flight", "Messages that are being sent.",
        lambda n: n.sending.in_flight,
    ),
    Metric(Group.SENDING, Kind.GAUGE, "chatapi_senders", "Running senders.", lambda n: n.sending.senders),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_receivers", "Running receivers.",
        lambda n: n.receiving.receivers,
    ),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_receiver_heartbeat_age_seconds",
        "Time since the last heartbeat of any receiver; NaN without one.",
        lambda n: or_nan(n.receiving.heartbeat_age), unit=Unit.SECONDS,
    ),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_channel_links",
        "Accounts that instances are linked to: linked, lost (the messenger does not accept the credentials any "
        "more), or unconnected (saved and not connected, or waiting for a scan).",
        lambda n: by_two(n.receiving.links), ("channel", "state"),
    ),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_receiving_instances",
        "Instances that are received from, by the state of their connection: connected, failing or unconnected.",
        lambda n: by_one(n.receiving.instances), ("state",),
    ),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_callbacks_waiting",
        "Callbacks of messengers whose events are not recorded yet; counted up to 10 000.",
        lambda n: n.receiving.callbacks_waiting,
    ),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_callbacks_oldest_waiting_seconds",
        "How long the oldest of these callbacks has waited.",
        lambda n: n.receiving.callbacks_oldest, unit=Unit.SECONDS,
    ),
    Metric(
        Group.RECEIVING, Kind.GAUGE, "chatapi_callbacks_failed",
        "Callbacks that failed; counted up to 10 000.", lambda n: n.receiving.callbacks_failed,
    ),
    Metric(
        Group.UPKEEP, Kind.GAUGE, "chatapi_replication_lag_seconds",
        "How far the slowest standby of the database is behind; NaN without one, and if the database's user may not "
        "see it (pg_read_all_stats).",
        lambda n: or_nan(n.upkeep.lag), unit=Unit.SECONDS,
    ),
    Metric(
        Group.UPKEEP, Kind.GAUGE, "chatapi_hooks_oldest_finished_seconds",
        "Age of the oldest finished hook; NaN without one.",
        lambda n: or_nan(n.upkeep.oldest), unit=Unit.SECONDS,
    ),
    Metric(
        Group.UPKEEP, Kind.GAUGE, "chatapi_hooks_kept_seconds",
        "How long finished hooks are kept: HOOKS_KEEP_DAYS, and up to one partition longer.",
        lambda n: n.upkeep.kept, unit=Unit.SECONDS,
    ),
    Metric(
        Group.MACHINE, Kind.GAUGE, "chatapi_disk_free_bytes", "Free space of the disk of DATA_DIR.",
        lambda n: n.disk and float(n.disk.free), unit=Unit.BYTES, is_of_machine=True,
    ),
    Metric(
        Group.MACHINE, Kind.GAUGE, "chatapi_disk_required_bytes",
        "Free space below which nothing large is stored.",
        lambda n: n.disk and float(n.disk.required), unit=Unit.BYTES, is_of_machine=True,
    ),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}
