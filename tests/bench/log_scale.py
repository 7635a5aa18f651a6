"""How long the delivery log's pages, counts and REST lists take on 20 million hooks with an attempt each.

`python -m tests.bench.log_scale [--hooks 20000000] [--idle 100000]` prints a table. The busy instance has a million of
the hooks; 100 000 idle instances share nearly half of them. Filling takes about ten minutes and 20 GB.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench import million
from tests.bench.environment import bench_database, cpu_seconds
from tests.bench.log_filters import FILTERS, OVERVIEWS, prepare_for_pages

ROUNDS = 20
BUSY_HOOKS = 1_000_000
RARE = million.RARE
# of the REST list, over all 101 instances of the account and over the busy one
REST_FILTERS = (
    "", "state=failed", "state=queued&state=retrying", "state=cancelled", "kind=message", "kind=status", "kind=chat",
    "outcome=tls", "outcome=redirect", "outcome=timeout", "answer=200", "answer=2xx", "answer=3xx", "answer=5xx",
    "answer=none", "status=404", "status=204", f"message={RARE['message']}", f"host={RARE['host']}",
    "host=nowhere.example", f"chat={RARE['chat']}", "chat=unknown@c.us", "simulated=true", "simulated=false",
    "createdAfter=2020-01-01T00:00:00Z", "createdBefore=2020-01-01T00:00:00Z", "state=failed&kind=status",
    "state=delivered&host=rare.example",
)  # fmt: skip
# of the count before a resend
PREVIEWS = (
    "", "period=hour", "period=day", "period=week", "state=failed", "period=week&state=failed",
    "period=week&state=delivered", "kind=ack&period=week", "answer=5xx", f"host={RARE['host']}",
    "period=week&answer=4xx", "simulated=yes",
)  # fmt: skip
STAFF_PAGES = (
    "/admin/", "/admin/health/", "/admin/hooks/hook/", "/admin/hooks/attempt/", "/admin/hooks/endpoint/",
    "/admin/instances/instance/",
)  # fmt: skip


def requests(number: int) -> Iterator[tuple[str, str, str, dict[str, Any] | None]]:
    """Yields (name, kind of client, path, body of a POST or None)."""
    for query in FILTERS:
        yield f"log: {query or 'no filter'}", "page", f"/log/?instance={number}&{query}", None
    for query in ("", "state=failed", "kind=ack", f"host={RARE['host']}"):
        yield f"live: {query or 'no filter'}", "page", f"/log/live/?instance={number}&after=1&{query}", None
    for query in OVERVIEWS:
        yield f"chart: {query or 'no filter'}", "page", f"/log/overview/?instance={number}&{query}", None
    for query in PREVIEWS:
        path = f"/log/redeliver/?instance={number}&{query}"
        yield f"count before a resend: {query or 'no filter'}", "page", path, None
    for path in (
        "/instances/",
        f"/instances/{number}/",
        "/log/redeliveries/",
        f"/instances/{number}/settings/",
    ):
        yield path.replace(str(number), "N"), "page", path, None
    for query in REST_FILTERS:
        yield (
            f"REST, one instance: {query or 'no filter'}",
            "rest",
            f"/api/v1/hooks/?instance={number}&{query}",
            None,
        )
        yield f"REST, 101 instances: {query or 'no filter'}", "rest", f"/api/v1/hooks/?{query}", None
    for name, body in (
        ("state failed", {"state": ["failed"]}),
        ("one instance, delivered", {"state": ["delivered"], "instance": str(number)}),
        ("one instance, since 2020", {"createdAfter": "2020-01-01T00:00:00Z", "instance": str(number)}),
    ):
        yield f"REST, dry run: {name}", "rest", "/api/v1/redeliveries/", body | {"dryRun": True}
    yield "REST, instances", "rest", "/api/v1/instances/", None
    for path in STAFF_PAGES:
        yield path, "staff", path, None


def clients(filled: million.Million) -> dict[str, Callable[[str, Any], Any]]:
    """Returns how each kind of client sends a request."""
    from django.test import Client

    from accounts.actions.keys import issue_key
    from accounts.models import User
    from tests import session_client  # noqa: F401 - changes the test client

    alice = User.objects.get(account=filled.owner)
    page, staff, rest = Client(), Client(), Client()
    page.force_login(alice)
    boss, _ = User.objects.get_or_create(
        email="boss@million.example", defaults={"is_staff": True, "is_superuser": True}
    )
    staff.force_login(boss)
    _, key = issue_key(alice.account, acting_user=alice)
    headers = {"Authorization": f"Bearer {key}"}

    def send_rest(path: str, body: Any) -> Any:
        if body is None:
            return rest.get(path, headers=headers)
        return rest.post(path, body, content_type="application/json", headers=headers)

    return {
        "page": lambda path, body: page.get(path),
        "staff": lambda path, body: staff.get(path),
        "rest": send_rest,
    }


def measure(filled: million.Million, rounds: int = ROUNDS) -> list[tuple[str, float, float]]:
    """Returns (name of the request, 95th percentile in ms, the same of the CPU time), slowest first.

    The CPU time is this process's and that of its PostgreSQL session: on a busy machine it tells more.
    """
    from django.db import connection

    from instances.models import Instance

    prepare_for_pages()
    send = clients(filled)
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")  # their CPU time is not measured
        cursor.execute("SELECT pg_backend_pid()")
        pids = [cursor.fetchone()[0], os.getpid()]
    found = []
    for name, kind, path, body in requests(Instance.objects.get(pk=filled.busy).number):
        times, cpu_times = [], []
        for number in range(rounds + 1):
            began, cpu_began = time.perf_counter(), cpu_seconds(pids)
            response = send[kind](path, body)
            times.append((time.perf_counter() - began) * 1000)
            cpu_times.append((cpu_seconds(pids) - cpu_began) * 1000)
            assert response.status_code in (200, 204), (name, response.status_code, response.content[:300])
            if number and sum(times) > 20_000:  # a slow one needs no more
                break
        # the first request fills the caches and does not count
        found.append((name, percentile(times[1:]), percentile(cpu_times[1:])))
        print(f"… {found[-1][1]:6.0f} ms, CPU {found[-1][2]:6.0f} ms  {name}", file=sys.stderr, flush=True)
    return sorted(found, key=lambda one: -one[1])


def percentile(values: list[float]) -> float:
    return sorted(values)[max(int(len(values) * 0.95) - 1, 0)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.log_scale")
    parser.add_argument("--hooks", type=int, default=20 * BUSY_HOOKS)
    parser.add_argument("--idle", type=int, default=100_000)
    options = parser.parse_args()
    with bench_database():
        filled = million.fill(
            options.hooks,
            busy_every=max(options.hooks // BUSY_HOOKS, 2),
            idle=options.idle,
            by_day=True,
        )
        print("| request | p95, ms | CPU, ms |\n| --- | --- | --- |")
        for name, milliseconds, cpu in measure(filled):
            print(f"| {name} | {milliseconds:.0f} | {cpu:.0f} |")


if __name__ == "__main__":
    main()
