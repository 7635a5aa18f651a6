"""How long the delivery log of all instances takes: a million hooks of one account with 1 000 instances.

`python -m tests.bench.log_of_all_instances [--queries] [PATTERN]` prints a table of the complete page, of the part
above the list and of the poll. `--queries` lists the time of each query too. PATTERN: only requests that contain it.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.bench import million
from tests.bench.environment import bench_database
from tests.bench.log_filters import FILTERS, OVERVIEWS, prepare_for_pages

INSTANCES = 1_000
ROUNDS = 10
LEFT_OUT = "before="  # the same for one instance and for many


def requests() -> list[str]:
    return [
        *(f"/log/?{query}" for query in FILTERS if LEFT_OUT not in query),
        *(f"/log/counts/?{query}" for query in FILTERS if LEFT_OUT not in query),
        *(f"/log/overview/?{query}" for query in OVERVIEWS),
        "/log/live/?after=1",
        "/instances/",
    ]


class Queries:
    """An execute wrapper that adds up the time of each statement."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.times[sql].append((time.perf_counter() - began) * 1000)

    @property
    def total(self) -> float:
        return sum(map(sum, self.times.values()))


def fill() -> million.Million:
    """Fills the database as million.fill does, and gives all instances to alice."""
    from instances.models import Instance

    filled = million.fill(idle=INSTANCES - million.OTHERS - 2, by_day=True)
    Instance.objects.update(owner=Instance.objects.get(pk=filled.busy).owner)
    return filled


def measure(wanted: str = "", *, with_queries: bool = False) -> None:
    """Prints (request, median and 95th percentile in ms, the median's time in PostgreSQL, number of queries)."""
    from django.db import connection
    from django.test import Client

    from accounts.models import User
    from tests import session_client  # noqa: F401 - changes the test client

    prepare_for_pages()
    client = Client()
    client.force_login(User.objects.get(pk=fill().owner))
    print(
        "| request | p50, ms | p95, ms | queries | of which in queries, ms |\n| --- | --- | --- | --- | --- |"
    )
    for path in [path for path in requests() if wanted in path]:
        found = []
        for _ in range(ROUNDS + 1):
            queries = Queries()
            with connection.execute_wrapper(queries):
                began = time.perf_counter()
                response = client.get(path)
                found.append(((time.perf_counter() - began) * 1000, queries))
            assert response.status_code in (200, 204), path
        found = sorted(
            found[1:], key=lambda one: one[0]
        )  # the first request fills the caches and does not count
        (middle, queries), (late, _) = found[ROUNDS // 2], found[max(int(ROUNDS * 0.95) - 1, 0)]
        count = sum(map(len, queries.times.values()))
        print(f"| {path} | {middle:.0f} | {late:.0f} | {count} | {queries.total:.0f} |", flush=True)
        if with_queries:
            for sql, times in sorted(queries.times.items(), key=lambda one: -sum(one[1]))[:6]:
                print(f"    {sum(times):6.1f} ms in {len(times)}: {' '.join(sql.split())[:400]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.log_of_all_instances")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--queries", action="store_true")
    options = parser.parse_args()
    with bench_database():
        measure(options.pattern, with_queries=options.queries)


if __name__ == "__main__":
    main()
