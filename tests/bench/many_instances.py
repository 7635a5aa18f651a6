"""The same events for 100 instances, and for 10 000 of 100 000 instances: does an idle instance cost anything?

`python -m tests.bench.many_instances [--instances 100000] [--seconds 60] [--rounds 2]` prints the figures, and the
times of what runs all the time; `make bench` calls compare() on its own database.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.bench import million
from tests.bench.environment import (
    Meter,
    Receiver,
    bench_database,
    dispatcher,
    postgres_pid,
    wait_for,
)
from tests.bench.scenarios import percentile, steady

FEW = 100
MANY = 100_000
ACTIVE = 10_000  # of MANY, within a minute
PER_SECOND = ACTIVE / 60


class Figures(NamedTuple):
    """p50 and p99 in ms from commit to request; CPU in µs per hook: of the dispatcher, and of PostgreSQL."""

    p50: float
    p99: float
    dispatcher: float
    database: float

    @property
    def cpu(self) -> float:
        return self.dispatcher + self.database


def create_instances(url: str, count: int, active: int) -> list[int]:
    """Creates instances that send to `url`; returns the keys of `active` of them, evenly spread.

    The active ones have signing secrets of their own; nothing is ever sent for the others.
    """
    from chatapi.encryption.cipher import encrypt
    from hooks.models import Endpoint
    from hooks.models.endpoints import new_secret
    from instances.actions.load_test import open_load_test
    from instances.models import Instance

    [template] = open_load_test(1, url=url, parallel=False, guaranteed=False)
    million.copy_instance(template.pk, count - 1)
    keys = list(Instance.objects.order_by("pk").values_list("pk", flat=True))[:: count // active]
    field: Any = Endpoint._meta.get_field("secret")
    execute(
        "UPDATE hooks_endpoint e SET secret = u.secret FROM unnest(%s::bigint[], %s::text[]) AS u (id, secret)"
        " WHERE e.id = u.id",
        [keys, [encrypt(new_secret(), field.context_of(key)) for key in keys]],
    )
    execute("VACUUM ANALYZE instances_instance, hooks_endpoint, hooks_lane, hooks_tally")
    execute("CHECKPOINT")
    return keys


def execute(sql: str, values: list[Any] | None = None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def measure(count: int, active: int, seconds: float) -> Figures:
    """Emits PER_SECOND events for `active` of `count` instances in turn, one per transaction."""
    million.empty()
    with Receiver() as receiver, dispatcher() as process:
        keys = create_instances(receiver.url, count, active)
        steady(receiver, keys[:FEW], PER_SECOND, 3)  # the first hooks prepare statements and connections
        receiver.get("reset")
        with Meter([process.pid], []) as sender, Meter([], [postgres_pid()]) as database:
            waits = steady(receiver, keys, PER_SECOND, seconds)
            wait_for(all_recorded, "all results are recorded", process=process)
        each = 1e6 / len(waits)
    return Figures(percentile(waits, 0.5), percentile(waits, 0.99), sender.cpu * each, database.cpu * each)


def all_recorded() -> bool:
    from hooks.models import UNFINISHED, Hook

    return not Hook.objects.filter(state__in=UNFINISHED).exists()


def compare(count: int, seconds: float, rounds: int) -> tuple[Figures, Figures]:
    """Measures FEW and `count` instances in turn; returns the best figures of each."""
    few: list[Figures] = []
    many: list[Figures] = []
    for number in range(rounds):
        for found, instances, active in ((few, FEW, FEW), (many, count, min(ACTIVE, count))):
            print(f"… round {number + 1}: {instances:,} instances", file=sys.stderr, flush=True)
            found.append(measure(instances, active, seconds))
            print(f"  {found[-1]}", file=sys.stderr, flush=True)
    return best(few), best(many)


def best(found: list[Figures]) -> Figures:
    return Figures(*(min(values) for values in zip(*found, strict=True)))


def periodic_work() -> dict[str, tuple[str, Callable[[], object]]]:
    """Returns how often each of these runs, whatever happens, and the call."""
    from hooks import metrics, tasks, worker_slots
    from hooks.dispatch import claim, due_lanes
    from hooks.maintenance import conservation, deleted_instances, removed_endpoints
    from instances import tasks as instance_tasks
    from instances.sending import channel_work, outgoing

    session = worker_slots.connect()
    return {
        "dispatcher: sweep": ("second", lambda: claim.sweep(session)),
        "dispatcher: expired leases": ("second", lambda: claim.requeue_expired(session)),
        "dispatcher: due lanes": ("second", lambda: due_lanes.due_lanes(session)),
        "dispatcher: next retry": ("second", lambda: due_lanes.seconds_to_next_retry(session)),
        "sender: due queues": ("second", outgoing.send_due),
        "sender: channels": ("second", channel_work.run_channel_work),
        "sender: next work of channels": ("second", channel_work.next_channel_work),
        "worker: due hooks": ("2 s", tasks.hooks_are_due),
        "worker: redelivery": ("2 s", tasks.ensure_redelivery),
        "endpoints that fail": ("minute", instance_tasks.pause_failing),
        "QR codes": ("minute", instance_tasks.expire_codes),
        "`/metrics`": ("call", metrics.snapshot),
        "hooks of deleted instances": ("hour", deleted_instances.drop),
        "removed endpoints": ("hour", removed_endpoints.clean),
        "`manage.py hooks check`": ("call", conservation.totals),
    }


def periodic_times(rounds: int = 20) -> dict[str, tuple[str, float]]:
    """Returns for each periodic work how often it runs, and the ms of its fastest round.

    The table of hooks is that of measure(); nothing waits.
    """
    found = {}
    for name, (often, call) in periodic_work().items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            call()
            times.append((time.perf_counter() - began) * 1000)
            if sum(times) > 5000:
                break
        found[name] = (often, min(times))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.many_instances")
    parser.add_argument("--instances", type=int, default=MANY)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with bench_database():
        few, many = compare(options.instances, options.seconds, options.rounds)
        with_many = periodic_times()
        million.empty()
        create_instances("http://127.0.0.1:1", FEW, FEW)
        with_few = periodic_times()
        print(
            "| instances | p50, ms | p99, ms | CPU of the dispatcher, µs per hook | of PostgreSQL |\n"
            + "| --- " * 5
            + "|"
        )
        for count, figures in ((FEW, few), (options.instances, many)):
            print(
                f"| {count:,} | {figures.p50:.1f} | {figures.p99:.1f}"
                f" | {figures.dispatcher:.0f} | {figures.database:.0f} |"
            )
        print(f"\np99 {many.p99 / few.p99:.2f} ×, CPU {many.cpu / few.cpu:.2f} ×\n")
        print(f"| what | every | {FEW} instances, ms | {options.instances:,}, ms |\n" + "| --- " * 4 + "|")
        for name, (often, ms) in with_many.items():
            print(f"| {name} | {often} | {with_few[name][1]:.1f} | {ms:.1f} |")


if __name__ == "__main__":
    main()
