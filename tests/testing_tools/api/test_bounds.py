"""What one call to the tools' REST can cause: the length of its errors, its statements, and its memory."""

import json
import tracemalloc
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chatapi.ui.error_texts import MAX_ERROR_BYTES, MAX_FIELDS
from instances.actions.lifecycle import create_instance
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.models import Bin
from tests.instances.api.conftest import ApiClient
from tests.testing_tools.api.conftest import capture

pytestmark = pytest.mark.django_db

MANY_FIELDS = {f"field{number}": 1 for number in range(5_000)}
LONG = "\x01" * 40_000


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "bins/"),
        ("PATCH", "bins/{bin}/"),
        ("POST", "bins/{bin}/captures/clear/"),
        ("POST", "bins/{bin}/captures/forward/"),
        ("POST", "bins/{bin}/captures/{capture}/replay/"),
        ("POST", "bins/{bin}/shares/"),
        ("POST", "instances/{instance}/simulations/"),
        ("POST", "instances/{instance}/simulation-runs/"),
        ("POST", "instances/{instance}/verification/start/"),
    ],
)
def test_odd_bodies_get_short_errors(alice: ApiClient, bin: Bin, verb: str, path: str) -> None:
    url = "/api/v1/" + path.format(
        bin=bin.key, capture=capture(bin).public_id, instance=alice.instance.number
    )
    client = Client(headers={"Authorization": f"Bearer {alice.key}"})
    bodies: list[Any] = [
        MANY_FIELDS, {LONG: 1}, [1], {"answer": MANY_FIELDS}, {"preset": LONG, "q": LONG, "url": LONG, "capture": LONG},
        {"kind": "message", "url": LONG, "fields": MANY_FIELDS},
        {"kind": "message", "fields": {LONG: LONG}, "body": LONG},
        {"answer": {"headers": [[LONG, LONG]] * 3}}, {"url": "http://127.0.0.1:9/", "headers": [[LONG, "1"]] * 3},
    ]  # fmt: skip
    for body in bodies:
        response = client.generic(verb, url, json.dumps(body), content_type="application/json")
        assert response.status_code == 400, response.content[:500]
        assert len(response.content) <= MAX_ERROR_BYTES
        assert len(response.json().get("fields", {})) <= MAX_FIELDS


def test_long_keys_and_ids_are_quoted_in_part(alice: ApiClient, bin: Bin) -> None:
    for path in (
        f"bins/{'a' * 9000}/",
        f"bins/{bin.key}/captures/{'a' * 9000}/",
        f"bins/{bin.key}/shares/%00/",
    ):
        response = Client(headers={"Authorization": f"Bearer {alice.key}"}).delete(f"/api/v1/{path}")
        assert response.status_code in (404, 405)
        assert len(response.content) <= MAX_ERROR_BYTES


def test_a_list_costs_the_same_statements_for_any_number_of_rows(alice: ApiClient, bin: Bin) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as statements:
            assert alice.get(path)[0] == 200
        return sum(row["sql"].startswith("SELECT") for row in statements)  # not "the key was used"

    captures = f"bins/{bin.key}/captures/"
    capture(bin)
    before = count("bins/"), count(captures)
    for _ in range(3):
        capture(open_bin(create_instance(alice.account)))
        capture(bin)
    assert (count("bins/"), count(captures)) == before


def test_the_list_reads_no_bodies(alice: ApiClient, bin: Bin) -> None:
    for _ in range(20):
        capture(bin, b"x" * 1_000_000)
    client = Client(headers={"Authorization": f"Bearer {alice.key}"})
    url = f"/api/v1/bins/{bin.key}/captures/"
    client.get(url)
    tracemalloc.start()
    try:
        assert len(client.get(url).json()["results"]) == 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
