"""How long the server takes for each page, in an account whose busiest instance has half of a million hooks.

`python -m tests.bench.pages` prints a table; `make bench` calls measure() on its own database. A page of
tests/chatapi/ui/pages.py that is not measured here must be in `NOT_MEASURED`, with the reason.
"""

from __future__ import annotations

import time
from typing import Any

from tests.bench import million
from tests.bench.environment import bench_database
from tests.bench.log_filters import prepare_for_pages

ROUNDS = 20
# Pages that do not depend on the amount of data: they read a few rows of one user, or none. The last one asks for a
# password, which the bench's user has not.
NOT_MEASURED = ("account_", "mfa_", "usersessions_", "shared:", "accounts:invitation", "account-delete")


def urls(filled: million.Million) -> dict[str, str]:
    """Returns each page's URL for alice and her busiest instance, with a delivered hook, 500 captures and a job."""
    from django.urls import reverse

    from hooks.actions import redelivery
    from hooks.models import Hook, State
    from instances.models import Instance
    from testing_tools.verification.actions import bins as bin_actions
    from testing_tools.verification.actions import captures as capture_actions
    from testing_tools.verification.models import Capture
    from tests.chatapi.permissions import ADDRESSES
    from tests.chatapi.ui.pages import QUERIES

    instance = Instance.objects.get(pk=filled.busy)
    hook = Hook.objects.filter(endpoint_id=filled.busy, state=State.DELIVERED).latest("id")
    job = redelivery.plan(
        Instance.objects.filter(pk=filled.busy), wanted={"kinds": ["status"]}, acting_user=None
    )
    bin = bin_actions.open_bin(instance)
    for _ in range(500):
        capture_actions.capture(bin.key, method="POST", body=bytes(hook.body))
    capture = Capture.objects.filter(bin=bin).latest("number")
    known: dict[str, Any] = {
        "number": instance.number, "key": bin.key, "chat_id": "1@c.us", "public_id": hook.public_id,
        "endpoint_id": filled.busy,
    }  # fmt: skip
    found = {}
    for name in QUERIES:
        if name.startswith(NOT_MEASURED) or name == "instances:chat":
            continue
        more: dict[str, Any] = {}
        if name.startswith("testing:bin-"):
            more["public_id"] = capture.public_id
        elif name == "log:redelivery":
            more["public_id"] = job.public_id
        elif name == "docs:receiver":
            more["key"] = "python"
        path = reverse(name, kwargs={key: (known | more)[key] for key in ADDRESSES[name]})
        found[name] = f"{path}?instance={instance.number}"
    return found


def measure() -> list[tuple[str, float]]:
    """Returns (page, 95th percentile in ms). Fills the benchmark's database, and empties it again."""
    from django.test import Client

    from accounts.models import User
    from tests import session_client  # noqa: F401 - changes the test client

    prepare_for_pages()
    filled = million.fill(by_day=True)
    try:
        client = Client()
        client.force_login(User.objects.get(pk=filled.owner))
        found = []
        for name, url in urls(filled).items():
            times = []
            for _ in range(ROUNDS + 1):
                began = time.perf_counter()
                response = client.get(url)
                times.append((time.perf_counter() - began) * 1000)
                assert response.status_code == 200, (name, response.status_code)
            times = sorted(times[1:])  # the first request fills the caches and does not count
            found.append((name, times[int(len(times) * 0.95) - 1]))
        return found
    finally:
        million.empty()


if __name__ == "__main__":
    with bench_database():
        print("| page | p95, ms |\n| --- | --- |")
        for name, milliseconds in sorted(measure(), key=lambda one: -one[1]):
            print(f"| {name} | {milliseconds:.0f} |")
