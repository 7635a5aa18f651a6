"""The statistics read the counts of their own endpoints and period only, among a million of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.actions.keys import issue_key
from hooks.models import CountingStart, MinuteCount
from instances.models import Instance
from tests.bench.million import copy_instance
from tests.executed_plans import executed_plans
from tests.factories import AccountFactory, InstanceFactory
from tests.hooks.dispatch.test_plans_by_statistics import outline, rows_read

pytestmark = pytest.mark.django_db
INSTANCES = 1_000  # of the account, and as many of another one
OWN, OTHERS = 100, 900  # minutes of each instance that have counts, within 30 days
DAYS = 30
DESCENTS = 5  # pages of the index that are read for one endpoint
# Minute by minute, as dispatchers write them.
FILL = """
INSERT INTO hooks_minutecount (endpoint_id, minute, delivered, failed)
SELECT id, at, 3, 1 FROM (
    SELECT own.id, date_trunc('minute', now()) - n * interval '432 minutes' AS at
    FROM generate_series(1, %(own)s) AS n, generate_series(%(first)s, %(first)s + %(instances)s - 1) AS own (id)
    UNION ALL
    SELECT other.id, date_trunc('minute', now()) - n * interval '48 minutes'
    FROM generate_series(1, %(others)s) AS n,
        generate_series(%(first)s + %(instances)s, %(first)s + 2 * %(instances)s - 1) AS other (id)
) AS counts ORDER BY at, id
"""


@pytest.fixture
def first() -> Instance:
    """The first of alice's INSTANCES instances; each has counts of OWN minutes."""
    alice, bob = AccountFactory(email="alice@example.org"), AccountFactory(email="bob@example.org")
    template = InstanceFactory(owner=alice, url="http://a.example/")
    key = copy_instance(template.pk, 2 * INSTANCES)
    template.delete()
    Instance.objects.filter(pk__gte=key + INSTANCES).update(owner=bob)
    CountingStart.objects.update_or_create(id=1, defaults={"at": timezone.now() - timedelta(days=DAYS + 1)})
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"own": OWN, "others": OTHERS, "first": key, "instances": INSTANCES})
        assert cursor.rowcount == 1_000_000
        cursor.execute("ANALYZE hooks_minutecount, hooks_endpoint, instances_instance, accounts_account")
    return Instance.objects.get(pk=key)


def pages_read(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.timeout(300)
def test_the_page_and_rest_read_what_they_show(client: Client, first: Instance) -> None:
    """Of a million rows those of the own endpoints in the period; not more pages than rows, but for the index."""
    alice = first.owner
    _, key = issue_key(alice, acting_user=None)
    now = timezone.now()
    day, week, month = (now - timedelta(days=days) for days in (1, 7, DAYS))
    in_url = f"createdAfter={week:%Y-%m-%dT%H:%M:%SZ}"
    cases = [
        ("/statistics/?period=1d", day, INSTANCES),
        ("/statistics/", week, INSTANCES),
        ("/statistics/?period=30d", month, INSTANCES),
        (f"/statistics/?instance={first.number}", week, 1),
        (f"/api/v1/statistics/?{in_url}", week, INSTANCES),
        (f"/api/v1/instances/{first.number}/statistics/?{in_url}", week, 1),
    ]
    client.force_login(alice.owner)
    for url, since, instances in cases:
        headers = {"Authorization": f"Bearer {key}"} if url.startswith("/api/") else {}
        endpoints = range(first.pk, first.pk + instances)
        # the first bar starts at a full hour or day
        shown = MinuteCount.objects.filter(
            endpoint_id__in=endpoints, minute__gte=since - timedelta(days=1)
        ).count()
        assert shown
        with executed_plans("hooks_minutecount") as plans:
            assert client.get(url, headers=headers).status_code == 200, url
        assert plans, url
        for plan in plans:
            assert rows_read(plan) <= shown, f"{url}\n{outline(plan)}"
            assert pages_read(plan) <= shown + DESCENTS * instances, f"{url}\n{outline(plan)}"
