"""How long the delivery log takes with each of its filters, on a million hooks with an attempt each.

`python -m tests.bench.log_filters` prints a table; `make bench` calls measure() on its own database.
"""

from __future__ import annotations

import time
from datetime import timedelta

from hooks.sql.partitions import first_id, today
from tests.bench import million
from tests.bench.environment import bench_database

ROUNDS = 20
MIDDLE = first_id(today() - timedelta(days=million.DAYS // 2))  # the key of a hook in the middle of the log
FILTERS = (
    "", "state=queued", "state=sending", "state=retrying", "state=delivered", "state=failed", "state=skipped",
    "state=cancelled", "kind=message", "kind=ack", "kind=status", "kind=chat", "answer=200", "answer=2xx",
    "answer=3xx", "answer=4xx", "answer=5xx", "answer=none", "period=hour", "period=day", "period=week",
    "simulated=yes", "simulated=no", "host=bot1.example", f"host={million.RARE['host']}", "host=nowhere.example",
    f"message={million.RARE['message']}", "message=none_of_them", "message=hook_00000000000000000000000000000001",
    "state=failed&answer=3xx", "kind=ack&period=week&state=failed", f"host={million.RARE['host']}&state=failed",
    f"before={MIDDLE}", f"before={MIDDLE}&answer=4xx", "text=none_of_them", "text=messages&state=failed",
)  # fmt: skip
# the part above the list, which is loaded separately
OVERVIEWS = ("", "period=hour", "period=week", "period=week&kind=message", "period=week&host=bot1.example")


def prepare_for_pages() -> None:
    """Serves static files under their plain names: collectstatic has not run, so there are no hashed ones."""
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns if it is missing


def measure() -> list[tuple[str, float]]:
    """Returns (filter as in the page's URL, 95th percentile of the complete page in ms).

    Fills the benchmark's database, requests the log of the busiest instance, and empties the database again.
    """
    from django.test import Client

    from accounts.models import User
    from instances.models import Instance
    from tests import session_client  # noqa: F401 - changes the test client

    prepare_for_pages()
    filled = million.fill(by_day=True)
    try:
        client = Client()
        client.force_login(User.objects.get(pk=filled.owner))
        number = Instance.objects.get(pk=filled.busy).number
        found = []
        requested = [("/log/", query) for query in FILTERS] + [
            ("/log/overview/", query) for query in OVERVIEWS
        ]
        for path, query in requested:
            times = []
            for _ in range(ROUNDS + 1):
                began = time.perf_counter()
                response = client.get(f"{path}?instance={number}&{query}")
                times.append((time.perf_counter() - began) * 1000)
                assert response.status_code == 200, query
            times = sorted(times[1:])  # the first request fills the caches and does not count
            name = query or "no filter"
            found.append(
                (name if path == "/log/" else f"above the list: {name}", times[int(len(times) * 0.95) - 1])
            )
        return found
    finally:
        million.empty()


if __name__ == "__main__":
    with bench_database():
        print("| filter | p95, ms |\n| --- | --- |")
        for name, milliseconds in measure():
            print(f"| {name} | {milliseconds:.0f} |")
