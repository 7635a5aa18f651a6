"""The log of all instances of a user: their hooks merged, with the same filters."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry
from hooks.actions.endpoints import pause
from hooks.log import index_order, recent
from hooks.log.chart import chart_of
from hooks.log.counts import MAX_COUNT, counts_by_state
from hooks.log.endpoint_health import health_of
from hooks.log.index_order import in_index_order, newest_keys, newest_sql
from hooks.models import Hook, Kind, Outcome, Redelivery, RedeliveryPart, State, smallest_public_id
from hooks.sql.partitions import today
from instances.models import Instance
from instances.pages.log import filters as log_filters
from instances.pages.log import list_views
from instances.pages.log.filters import Filters
from tests.factories import AccountFactory, InstanceFactory, create_hook, member_of
from tests.hooks.dispatch.test_plans_by_statistics import check, fill

pytestmark = pytest.mark.django_db
URL = "https://a.example/hook"


def make(instance: Instance, state: str = State.DELIVERED, **fields: Any) -> Hook:
    body = fields.pop("body", b'{"messages":[]}')
    finished = None if state in (State.QUEUED, State.RETRYING) else "2026-11-01T00:00Z"
    known = {"kind": Kind.MESSAGE, "finished_at": finished, **fields}
    return create_hook(endpoint=instance.endpoint, state=state, body=body, **known)


@pytest.fixture
def shops(instance: Instance) -> list[Instance]:
    """Three of alice's; the first is tests' `instance`."""
    return [
        instance,
        *(InstanceFactory(owner=instance.owner, name=name, url=URL) for name in ("Bakery", "Florist")),
    ]


@pytest.fixture
def hooks(shops: list[Instance]) -> list[Hook]:
    """Six hooks, two of each shop, oldest first; and one of a stranger."""
    make(InstanceFactory(owner=AccountFactory(email="stranger@example.org"), name="Not yours"))
    found = []
    for shop in shops * 2:
        found.append(make(shop, last_host="a.example", last_status=200, last_outcome=Outcome.OK))
    return found


def listed(client: Client, **query: str) -> list[Hook]:
    return list(client.get("/log/", query).context["rows"])


def test_all_instances_are_shown_until_one_is_chosen(alice, shops, hooks):
    page = alice.get("/log/")
    assert page.context["rows"] == hooks[::-1]
    assert page.context["total"] == 6
    text = page.content.decode()
    assert text.count("Bakery") >= 2 and text.count("Florist") >= 2
    assert "Not yours" not in text
    assert '<span class="chooser-name">All instances</span>' in text
    assert listed(alice, instance=str(shops[1].number)) == [hooks[4], hooks[1]]


def test_the_menu_leads_to_all_instances_until_one_is_chosen(alice, shops):
    assert 'href="/log/"' in alice.get("/account/").content.decode()
    one = f"/log/?instance={shops[1].number}"
    alice.get(one)
    assert f'href="{one}"' in alice.get("/account/").content.decode()
    assert 'href="/log/"' in alice.get("/log/").content.decode()


def test_an_only_instance_is_the_chosen_one(alice, instance):
    page = alice.get("/log/")
    assert page.context["instance"] == instance
    assert "All instances</span>" not in page.content.decode()


@pytest.mark.parametrize("many", [recent.MANY, 1], ids=["few endpoints", "many endpoints"])
def test_the_filters_are_those_of_one_instance(alice, shops, hooks, monkeypatch, many):
    """`many` endpoints are read in another way; both find the same."""
    for module in (recent, log_filters, *many_in()):
        monkeypatch.setattr(module, "MANY", many)
    failed = make(shops[2], State.FAILED, kind=Kind.ACK, last_status=500, last_host="b.example",
                  last_outcome=Outcome.NOT_200, message="m1", body=b"needle")  # fmt: skip
    waiting = make(shops[0], State.QUEUED, simulated=True)
    for query in (
        {"state": "failed"}, {"kind": "ack"}, {"answer": "5xx"}, {"host": "b.example"}, {"message": "m1"},
        {"text": "needle"}, {"kind": "ack", "state": "failed", "period": "hour"},
    ):  # fmt: skip
        assert listed(alice, **query) == [failed], query
        page = alice.get("/log/counts/", query)  # of many endpoints, the page loads them after the list
        assert 'Failed <b class="nums">1</b>' in " ".join(page.text.split())
        chart = alice.get("/log/overview/", query).context["chart"]
        assert chart.totals["failed"] == 1, query
    assert alice.get("/log/").context["is_counted"] == (many > 1)
    assert listed(alice, simulated="yes") == [waiting]
    assert listed(alice, text="none") == []
    assert listed(alice, before=str(hooks[2].pk)) == [hooks[1], hooks[0]]
    query = {"after": hooks[-1].pk, "kind": "ack"}
    assert "1 new, show" in alice.get("/log/live/", query).content.decode()
    assert "1 new, show" in alice.get("/log/live/", {**query, "text": "needle"}).content.decode()
    overview = alice.get("/log/overview/").context
    assert overview["chart"].totals == {"delivered": 6, "failed": 1, "waiting": 1, "skipped": 0}
    assert overview["health"].failed == failed


def many_in() -> list[Any]:
    from hooks.log import endpoint_health
    from instances.pages.log import list_views, summary_views

    return [endpoint_health, list_views, summary_views]


def test_the_export_is_of_all_instances(alice, hooks):
    response = alice.get("/log/export/?as=ndjson")
    lines = b"".join(response.streaming_content).decode().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [hook.webhook_id for hook in hooks[::-1]]


def test_selected_hooks_of_several_instances_are_resent_by_one_job(alice, shops, hooks):
    stranger = Hook.objects.exclude(pk__in=[hook.pk for hook in hooks]).get()
    ids = [hook.public_id.hex for hook in (hooks[0], hooks[1], stranger)]
    alice.post("/log/redeliver/chosen/", {"hook": ids})
    job = Redelivery.objects.get()
    assert job.planned == 2
    assert {part.endpoint.instance for part in job.parts.all()} == {shops[0], shops[1]}
    assert [item["job"] for item in alice.get("/log/").context["jobs"]] == [job]


def test_each_account_has_a_job_of_its_own(client, shops, hooks):
    """A member of one account neither sees nor stops what is resent in another, and the audit log of both has it."""
    manager = member_of(shops[0].owner, "manager", "mia@example.org")
    viewer = member_of(shops[0].owner, "viewer", "victor@example.org")
    first = InstanceFactory(owner=manager.account, name="Mine", url=URL)
    own = make(first)
    client.force_login(manager)
    response = client.post("/log/redeliver/chosen/", {"hook": [own.public_id.hex, hooks[0].public_id.hex]})
    assert response["Location"] == "/log/redeliveries/"
    jobs = {part.endpoint.instance: part.job for part in RedeliveryPart.objects.all()}
    assert {instance: job.filter for instance, job in jobs.items()} == {
        first: {"hooks": [own.public_id.hex]}, shops[0]: {"hooks": [hooks[0].public_id.hex]}
    }  # fmt: skip
    for instance in jobs:
        assert AuditEntry.objects.filter(account=instance.owner, action="redelivery.planned").count() == 1
    for hook in (own, hooks[0]):  # now neither can be resent
        Hook.objects.filter(pk=hook.pk).update(state=State.QUEUED, finished_at=None)
    response = client.post("/log/redeliver/chosen/", {"hook": [own.public_id.hex, hooks[0].public_id.hex]})
    assert response["Location"] == "/log/"
    assert Redelivery.objects.count() == 2
    client.force_login(viewer)
    assert client.get(f"/log/redeliveries/{jobs[first].public_id}/").status_code == 404
    assert client.get(f"/log/redeliveries/{jobs[shops[0]].public_id}/").status_code == 200


def test_a_viewer_reads_all_instances_and_resends_none_of_the_others(client, shops, hooks):
    viewer = member_of(shops[0].owner, "viewer", "victor@example.org")
    mine = InstanceFactory(owner=viewer.account, name="Mine", url=URL)
    own = make(mine)
    client.force_login(viewer)
    page = client.get("/log/")
    assert page.context["rows"] == [own, *hooks[::-1]]
    assert page.content.decode().count('name="hook"') == 1
    assert client.post("/log/redeliver/chosen/", {"hook": [hooks[0].public_id.hex]}).status_code == 403
    assert not Redelivery.objects.exists()
    client.post("/log/redeliver/chosen/", {"hook": [own.public_id.hex, hooks[0].public_id.hex]})
    assert Redelivery.objects.get().planned == 1


def test_an_instance_that_is_lost_while_the_page_is_read_has_no_row(alice, shops, hooks, monkeypatch):
    read_page = list_views.read_page
    other = AccountFactory(email="other@example.org")

    def read_then_lose(*given: Any) -> Any:
        found = read_page(*given)
        Instance.objects.filter(pk=shops[1].pk).update(owner=other)
        return found

    monkeypatch.setattr(list_views, "read_page", read_then_lose)
    assert listed(alice) == [hooks[5], hooks[3], hooks[2], hooks[0]]


def test_paused_endpoints_are_named_with_their_instance(alice, shops):
    pause(shops[1].endpoint, acting_user=None)
    text = " ".join(alice.get("/log/").content.decode().split())
    assert "Delivery to an endpoint of Bakery is paused." in text


def test_with_a_thousand_instances_no_step_reads_or_sorts_all_hooks(monkeypatch) -> None:
    """One instance has all the hooks; statistics are those of an account in which few have any."""
    keys = [InstanceFactory().endpoint.pk for _ in range(3)]
    fill(keys[:1], delivered=8_000, retrying=4_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE hooks_hook")
    absent = list(range(10**9, 10**9 + 1_000))  # as of instances without hooks
    everyone = keys + absent
    limit = 100
    for wanted in (
        {},
        {"states": ["retrying"]},
        {"kinds": ["message"]},
        {"states": ["delivered", "retrying"]},
    ):
        sql, values = newest_sql(everyone, wanted, limit=limit)
        with in_index_order(wanted):
            check(sql, values, most=10 * limit + len(everyone) * 2, is_prepared=False)
        assert newest_keys(everyone, wanted, limit=5) == newest_keys(keys, wanted, limit=5)
        assert recent.recent_keys(everyone, wanted, limit=50) == newest_keys(keys, wanted, limit=50)
        assert recent.count(everyone, wanted, 7) == 7
    # the newest hooks are older than the day that is looked at first
    monkeypatch.setattr(index_order, "today", lambda: today() + timedelta(days=9))
    assert newest_keys(everyone, {}, limit=5) == newest_keys(keys, {}, limit=5)


@pytest.mark.parametrize(("limit", "counts"), [(6, 0), (5, 1)])
def test_hooks_are_not_counted_where_the_site_has_too_few(limit, counts, instance) -> None:
    """There are five after the first one, which is an hour old."""
    older = make(instance, public_id=smallest_public_id(timezone.now() - timedelta(hours=1)))
    newer = [make(instance) for _ in range(5)]
    everyone = [instance.pk, *range(10**9, 10**9 + 1_000)]
    with CaptureQueriesContext(connection) as queries:
        found = recent.recent_keys(everyone, {}, limit=limit)
    assert found == [hook.pk for hook in reversed([older, *newer])][:limit]
    assert sum("SELECT count(*)" in query["sql"] for query in queries) == counts


def test_counts_and_numbers_of_a_thousand_instances(monkeypatch) -> None:
    instance = InstanceFactory()
    for _ in range(3):
        make(instance, State.FAILED, last_status=500, last_outcome=Outcome.NOT_200, last_ms=5)
    make(instance, State.QUEUED)
    everyone = [instance.pk, *range(10**9, 10**9 + 1_000)]
    counts = counts_by_state(everyone)
    assert (counts["failed"], counts["queued"], counts["delivered"]) == (3, 1, 0)
    assert chart_of(everyone, None, None).totals == {"delivered": 0, "failed": 3, "waiting": 1, "skipped": 0}
    health = health_of(everyone)
    assert (health.tried, health.p50, health.numbers.waiting) == (3, 5, 1)
    newest = Filters.from_query({"kind": "message"}).recent_keys(everyone, MAX_COUNT)
    assert len(newest) == 4
