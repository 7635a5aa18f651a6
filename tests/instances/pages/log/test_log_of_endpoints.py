"""The log of an instance with several endpoints: all of their hooks, or those of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hooks import outbox
from hooks.actions.endpoint_list import add_endpoint
from hooks.log.chart import chart_of
from hooks.log.counts import counts_by_state
from hooks.log.newest import newest_hooks, newest_key
from hooks.models import Endpoint, Hook, Kind, State
from hooks.outbox import Event
from instances.models import Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(url="http://127.0.0.1:9/first")


@pytest.fixture
def other(instance: Instance) -> Endpoint:
    """A second endpoint. Three events: each has a hook for both endpoints."""
    endpoint = add_endpoint(instance.pk, url="http://127.0.0.1:9/other", acting_user=None)
    for number in range(3):
        with transaction.atomic():
            outbox.emit_all(instance.pk, [Event(Kind.MESSAGE, b'{"n":%d}' % number)])
    instance.endpoint.refresh_from_db()
    return endpoint


@pytest.fixture
def owner(client: Client, instance: Instance) -> Client:
    client.force_login(instance.owner.owner)
    return client


def exported(owner: Client, instance: Instance, **query: Any) -> list[str]:
    """The ids of the hooks in the exported log."""
    response = owner.get(reverse("log:export"), {"instance": instance.number, "as": "ndjson", **query})
    assert response.status_code == 200
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    return [json.loads(line)["id"] for line in lines]


def ids(*endpoints: int) -> list[str]:
    newest_first = Hook.objects.filter(endpoint__in=endpoints).order_by("-pk")
    return [hook.webhook_id for hook in newest_first]


def test_the_newest_hooks_of_all_endpoints_are_merged(instance: Instance, other: Endpoint) -> None:
    both = instance.endpoint.sibling_ids
    assert both == [instance.pk, other.pk]
    for limit in (1, 4, 10):
        found = newest_hooks(Hook.objects.all(), {}, both, limit)
        assert [hook.webhook_id for hook in found] == ids(*both)[:limit]
    [*_, last] = newest_hooks(Hook.objects.all(), {}, both, 2)
    rest = newest_hooks(Hook.objects.all(), {}, both, 10, before=last.pk)
    assert [hook.webhook_id for hook in rest] == ids(*both)[2:]
    assert newest_key(Hook.objects.all(), both) == Hook.objects.latest("pk").pk


def test_the_instance_loaded_with_its_endpoint_needs_no_query_for_the_ids(
    instance: Instance, other: Endpoint
) -> None:
    loaded = Instance.objects.select_related("endpoint").get(pk=instance.pk)
    with CaptureQueriesContext(connection) as queries:
        hooks = Hook.objects.of_instance(loaded)
    assert len(queries) == 0
    assert hooks.count() == 6


def test_the_export_of_all_endpoints_and_of_one(owner: Client, instance: Instance, other: Endpoint) -> None:
    assert exported(owner, instance) == ids(instance.pk, other.pk)
    assert exported(owner, instance, endpoint=other.pk) == ids(other.pk)
    assert exported(owner, instance, endpoint=instance.pk, state="queued") == ids(instance.pk)


def test_another_instances_endpoint_is_ignored_by_the_log_and_refused_by_the_export(
    owner: Client, instance: Instance, other: Endpoint
) -> None:
    foreign = InstanceFactory(url="http://127.0.0.1:9/foreign")
    with transaction.atomic():
        outbox.emit_all(foreign.pk, [Event(Kind.MESSAGE, b"{}")])
    query = {"instance": str(instance.number), "endpoint": str(foreign.pk)}
    page = owner.get(reverse("log:list"), query)
    assert {hook.endpoint_id for hook in page.context["rows"]} == {instance.pk, other.pk}
    assert page.context["filters"].ignored == ["endpoint"]
    assert owner.get(reverse("log:export"), {**query, "as": "csv"}).status_code == 400


def test_counts_and_chart_add_the_endpoints_up(instance: Instance, other: Endpoint) -> None:
    both = instance.endpoint.sibling_ids
    assert counts_by_state(both)["queued"] == 6
    assert counts_by_state([other.pk])["queued"] == 3
    messages = Hook.objects.of_endpoints(both).filter(kind=Kind.MESSAGE)
    assert counts_by_state(both, messages)["queued"] == 6
    assert chart_of(both, None, None).totals["waiting"] == 6
    assert chart_of(both, None, None, messages).totals["waiting"] == 6
    assert chart_of([other.pk], None, None, messages).totals["waiting"] == 3


def test_the_log_shows_one_endpoint(owner: Client, instance: Instance, other: Endpoint) -> None:
    Hook.objects.filter(endpoint=other).update(state=State.CANCELLED, finished_at="2030-01-01T00:00:00Z")
    page = owner.get(reverse("log:list"), {"instance": instance.number, "endpoint": other.pk})
    assert [hook.webhook_id for hook in page.context["rows"]] == ids(other.pk)
    assert page.context["total"] == 3
