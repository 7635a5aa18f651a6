"""How long deliveries pause when Patroni changes the primary: `python -m tests.bench.failover --runs 10`.

Two PostgreSQL servers under Patroni with the configuration of deploy/patroni, the whole product on them, and up to 10
messages of contacts and 10 sent messages per second (tests/faults/steady_load.py). After each change, every accepted
message must have arrived. The old primary is started again before the next change.

switchover  planned, by Patroni's API
database    kill -9 of PostgreSQL; its Patroni stays
node        kill -9 of Patroni and PostgreSQL; then systemd's ExecStopPost releases the leader lock
machine     kill -9 of both; the leader lock is left to expire
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.environment import bench_database
from tests.product import Product

BEFORE = 1.0  # s before a change that belong to the pause


@dataclass
class Run:
    """One change: until the other server accepted writes, the pause of deliveries (both in s), hooks sent twice."""

    promoted: float
    pause: float
    doubled: int


def measure(faults: list[str], runs: int) -> dict[str, list[Run]]:
    from tests.faults.patroni import Cluster, Node, wait_for_promotion
    from tests.faults.steady_load import SteadyLoad
    from tests.faults.test_patroni import demo_instance, product_on
    from tests.receiver import Receiver

    def switchover(cluster: Cluster, _: Node) -> None:
        cluster.switch_over()

    def database(_: Cluster, primary: Node) -> None:
        primary.kill_server()

    def node(_: Cluster, primary: Node) -> None:
        primary.kill()
        primary.release_leader()

    def machine(_: Cluster, primary: Node) -> None:
        primary.kill()

    causes: dict[str, Callable[[Cluster, Node], None]] = {
        "switchover": switchover,
        "database": database,
        "node": node,
        "machine": machine,
    }
    found: dict[str, list[Run]] = {name: [] for name in faults or causes}
    with (
        temporary_folder() as folder,
        Cluster(folder, is_durable=True) as cluster,
        Receiver() as receiver,
        product_on(cluster, folder / "product") as product,
    ):
        rest = demo_instance(product, receiver)
        for number in range(runs):
            for name, results in found.items():
                cluster.wait_until_synchronous()
                primary, standby = cluster.primary(), cluster.standby()
                receiver.requests.clear()
                with SteadyLoad(rest, receiver) as load:
                    load.wait_for_requests(30)
                    began = time.monotonic()
                    causes[name](cluster, primary)
                    promoted = wait_for_promotion(standby) - began
                    load.wait_for_requests(20)
                    pause = load.longest_pause(began - BEFORE, time.monotonic())
                assert not load.repeated_messages()
                results.append(Run(promoted, pause, len(load.repeated_hooks())))
                print(
                    f"{number + 1} {name:>10}: promoted after {promoted:.1f} s, deliveries paused {pause:.1f} s, "
                    f"{len(load.accepted)} accepted, {results[-1].doubled} hooks sent twice",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
                if primary.process and primary.process.poll() is not None:
                    primary.start()
        for command in ("hooks", "messages"):
            done = product.manage(command, "check")
            assert done.returncode == 0, done.stdout + done.stderr
    return found


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields a folder, and has the product's tables created in it once, as for the tests."""
    with tempfile.TemporaryDirectory(prefix="chatapi-failover-") as name:
        Product.prepared_in = Path(name) / "prepared"
        Product.prepared_in.mkdir()
        yield Path(name)
        Product.prepared_in = None


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.failover")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("faults", nargs="*", help="switchover, database, node, machine; all by default")
    options = parser.parse_args()
    with bench_database():
        figures = measure(options.faults, options.runs)
    for name, runs in figures.items():
        pauses = sorted(run.pause for run in runs)
        print(
            f"{name}: paused {pauses[0]:.1f} to {pauses[-1]:.1f} s, median {pauses[len(pauses) // 2]:.1f}; "
            f"promoted after {max(run.promoted for run in runs):.1f} s at most; "
            f"{sum(run.doubled for run in runs)} hooks sent twice in {len(runs)} runs; 0 lost"
        )


if __name__ == "__main__":
    main()
