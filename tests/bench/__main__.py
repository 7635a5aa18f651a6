"""Measure, and print a Markdown table. `make bench`, or `python -m tests.bench --hooks 20000`.

Everything runs on the same cores: PostgreSQL, the receiver and the dispatcher. Read the ratios rather than the
figures: a machine's speed cancels out of them.
"""

from __future__ import annotations

import argparse
import time

from tests.bench import peers
from tests.bench.world import (
    Receiver,
    body,
    count_done,
    cpu_seconds,
    dispatcher,
    fill_backlog,
    open_instances,
    peak_memory,
    postgres_pid,
    world,
)

LANES = 100


def backlog(hooks: int, *, parallel: bool, delay: float) -> dict[str, float]:
    """Deliver a backlog; the rate counts from the first delivery to the last."""
    receiver = Receiver(delay)
    keys = open_instances(LANES, receiver.url, parallel=parallel)
    fill_backlog(keys, hooks)
    pg = postgres_pid()
    before = cpu_seconds(pg)
    with dispatcher() as process:
        while not (first := count_done(keys)):
            time.sleep(0.02)
        began = time.perf_counter()
        while count_done(keys) < hooks:
            time.sleep(0.05)
        seconds = time.perf_counter() - began
        cpu = cpu_seconds(process.pid) + cpu_seconds(pg) - before
        memory = peak_memory(process.pid)
    report = receiver.report()
    return {
        "rate": (hooks - first) / seconds,
        "cpu": cpu * 1000 / hooks,
        "memory": memory,
        "inversions": report["inversions"],
    }


def wake_up(rate: float, seconds: float) -> list[float]:
    """Milliseconds from the emit (in its transaction) to the receiver, sorted, at `rate` events/s."""
    from django.db import transaction

    from hooks.models import Kind
    from hooks.outbox import emit

    receiver = Receiver()
    keys = open_instances(LANES, receiver.url, parallel=False)
    with dispatcher():
        time.sleep(3)  # it has started and listens
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            pause = began + number / rate - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            with transaction.atomic():
                emit(instance_id=keys[number % LANES], kind=Kind.MESSAGE, body=body(number // LANES))
        while count_done(keys) < int(rate * seconds):
            time.sleep(0.1)
    return list(receiver.report()["waits"])


def row(what: str, ours: str, ratio: str = "") -> None:
    print(f"| {what} | {ours} | {ratio} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench")
    parser.add_argument("--hooks", type=int, default=20_000)
    options = parser.parse_args()
    with world():
        receiver = Receiver()
        loop = peers.requests_loop(receiver.url, options.hooks // 10)
        ceiling = peers.bare_curl_multi(receiver.url, options.hooks)
        receiver.report()
        print("| what | measured | ratio |\n| --- | --- | --- |")
        row("a loop of requests, nothing logged", f"{loop:.0f}/s", "1")
        row(
            "the bare CurlMulti loop, nothing logged (the ceiling)",
            f"{ceiling:.0f}/s",
            f"{ceiling / loop:.1f}",
        )
        found = backlog(options.hooks, parallel=True, delay=0)
        row("backlog, parallel, logged and signed", f"{found['rate']:.0f}/s", f"{found['rate'] / loop:.1f}")
        row("… CPU of dispatcher and PostgreSQL", f"{found['cpu']:.2f} s per 1 000")
        row("… peak memory of the dispatcher", f"{found['memory']:.0f} MB")
        found = backlog(options.hooks, parallel=False, delay=20)
        row(
            f"backlog, ordered, endpoint answers in 20 ms, {found['inversions']:.0f} inversions",
            f"{found['rate']:.0f}/s",
            f"{found['rate'] / loop:.1f}",
        )
        for rate in (100, 400):
            waits = wake_up(rate, 10)
            middle, late = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
            row(f"emit to receiver at {rate}/s", f"p50 {middle:.1f} ms, p99 {late:.1f} ms")


if __name__ == "__main__":
    main()
