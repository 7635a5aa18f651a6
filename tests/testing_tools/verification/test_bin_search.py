"""The search of the account finds bins by name, key and URL, and captured requests by id."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import KEEP_FOR, Bin, Capture
from tests.factories import AccountFactory, InstanceFactory, member_of
from tests.instances.pages.search.searching import found

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(client: Client) -> Instance:
    alice = AccountFactory(email="alice@example.org")
    client.force_login(alice.owner)
    return InstanceFactory(owner=alice, name="Shop")


def capture(bin: Bin) -> Capture:
    stored = capture_actions.capture(bin.key, method="POST", path="/orders", body=b'{"a": 1}')
    assert stored is not None
    return Capture.objects.get(bin=bin, number=stored.number)


def urls(client: Client, query: str) -> list[str]:
    return [url for _, url in found(client, query)]


def test_the_bin_of_an_instance_is_found_by_name_key_and_url(client: Client, shop: Instance) -> None:
    bin, other = bin_actions.open_bin(shop), bin_actions.open_bin(InstanceFactory(owner=shop.owner))
    page = f"/testing/bins/{bin.key}/"
    for query in ("shop", "bin of shop", bin.key, bin.key.upper(), bin.url, f"{bin.url}/orders", page):
        assert ("Bin of Shop", page) in found(client, query), query
        assert f"/testing/bins/{other.key}/" not in urls(client, query)
    assert client.get(page).status_code == 200


def test_the_own_bin_is_found_by_its_url(client: Client, shop: Instance) -> None:
    bin = bin_actions.open_own_bin(shop.owner)
    assert ("My bin", f"/testing/bins/{bin.key}/") in found(client, bin.url)


def test_a_captured_request_is_found_by_its_id_and_by_its_pages(client: Client, shop: Instance) -> None:
    bin = bin_actions.open_bin(shop)
    kept = capture(bin)
    page = f"/testing/bins/{bin.key}/?open={kept.public_id}"
    for query in (kept.public_id, page, f"/testing/bins/{bin.key}/{kept.public_id}/"):
        assert ("POST /orders", page) in found(client, query), query
    assert client.get(page).status_code == 200


@pytest.mark.parametrize("field", ["deleted_at", "at"])
def test_a_request_that_is_not_kept_is_not_found(client: Client, shop: Instance, field: str) -> None:
    kept = capture(bin_actions.open_bin(shop))
    Capture.objects.update(**{field: timezone.now() - KEEP_FOR})
    assert not [url for url in urls(client, kept.public_id) if "open=" in url]


def test_members_and_strangers_find_the_bins_that_they_can_open(client: Client, shop: Instance) -> None:
    of_instance, own = bin_actions.open_bin(shop), bin_actions.open_own_bin(shop.owner)
    queries = [(bin, query) for bin in (of_instance, own) for query in (bin.url, capture(bin).public_id)]
    for user in (member_of(shop.owner, "viewer", "vera@example.org"), AccountFactory().owner):
        client.force_login(user)
        for bin, query in queries:
            can_open = client.get(f"/testing/bins/{bin.key}/").status_code == 200
            assert any(bin.key in url for url in urls(client, query) if "?q=" not in url) == can_open


def test_no_search_reads_the_bins_and_captures_of_others(client: Client, shop: Instance) -> None:
    """3 000 bins and 30 000 captures: every plan finds them by an index."""
    bin = bin_actions.open_bin(shop)
    kept = capture(bin)
    others = [AccountFactory() for _ in range(100)]
    created = Instance.objects.bulk_create(
        [Instance(owner=others[n % 100], number=30_000 + n, name=f"Other {n}") for n in range(3_000)]
    )
    bins = Bin.objects.bulk_create([Bin(instance=one) for one in created])
    Capture.objects.bulk_create([Capture(bin=one, number=n, method="PUT") for one in bins for n in range(10)])
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE testing_tools_bin, testing_tools_capture, instances_instance, accounts_account"
        )
    for query in ("shop", bin.key, bin.url, kept.public_id):
        with CaptureQueriesContext(connection) as queries:
            assert any(bin.key in url for url in urls(client, query))
        for executed in queries.captured_queries:
            if not executed["sql"].startswith("SELECT") or "testing_tools_" not in executed["sql"]:
                continue
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + executed["sql"].replace("%", "%%"), [])
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert not re.search(r"Seq Scan on testing_tools_", plan), plan
