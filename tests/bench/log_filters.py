"""How long the delivery log takes with each of its filters, on a million hooks with an attempt each.

`python -m tests.bench.log_filters` prints a table by itself; `make bench` calls measure() in its own world.
"""

from __future__ import annotations

import time

from tests.bench import million
from tests.bench.environment import world

ROUNDS = 20
FILTERS = (
    "", "state=queued", "state=sending", "state=retrying", "state=delivered", "state=failed", "state=skipped",
    "state=cancelled", "kind=message", "kind=ack", "kind=status", "kind=chat", "answer=200", "answer=2xx",
    "answer=3xx", "answer=4xx", "answer=5xx", "answer=none", "period=hour", "period=day", "period=week",
    "simulated=yes", "simulated=no", "host=bot1.example", f"host={million.RARE['host']}", "host=nowhere.example",
    f"message={million.RARE['message']}", "message=none_of_them", "message=hook_00000000000000000000000000000001",
    "state=failed&answer=3xx", "kind=ack&period=week&state=failed", f"host={million.RARE['host']}&state=failed",
    "before=500000", "before=500000&answer=4xx", "text=none_of_them", "text=messages&state=failed",
)  # fmt: skip
# the part above the list, which is loaded separately
OVERVIEWS = ("", "period=hour", "period=week", "period=week&kind=message", "period=week&host=bot1.example")


def ready_for_pages() -> None:
    """What is measured is the page, not the search for hashed names of files that a bench does not collect."""
    from django.conf import settings

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing one


def measure() -> list[tuple[str, float]]:
    """(filter as in the page's address, 95th percentile of the whole page in ms): rows, counts and templates.

    It fills the database of a bench's world, asks the busiest instance's log, and empties the database again.
    """
    from django.test import Client

    from accounts.models import User
    from instances.models import Instance

    ready_for_pages()
    filled = million.fill()
    try:
        client = Client()
        client.force_login(User.objects.get(pk=filled.owner))
        number = Instance.objects.get(pk=filled.busy).number
        found = []
        asked = [("/log/", query) for query in FILTERS] + [("/log/overview/", query) for query in OVERVIEWS]
        for path, query in asked:
            times = []
            for _ in range(ROUNDS + 1):
                began = time.perf_counter()
                answer = client.get(f"{path}?instance={number}&{query}")
                times.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, query
            times = sorted(times[1:])  # the first one warms the caches, as the day's first visitor does
            name = query or "no filter"
            found.append(
                (name if path == "/log/" else f"above the list: {name}", times[int(len(times) * 0.95) - 1])
            )
        return found
    finally:
        million.empty()


if __name__ == "__main__":
    with world():
        print("| filter | p95, ms |\n| --- | --- |")
        for name, milliseconds in measure():
            print(f"| {name} | {milliseconds:.0f} |")
