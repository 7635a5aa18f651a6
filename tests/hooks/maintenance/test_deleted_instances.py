"""The hooks of a deleted instance: they are not shown or sent, and their rows are deleted in small transactions."""

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from hooks import outbox
from hooks.dispatch import claim, due_lanes
from hooks.maintenance import deleted_instances
from hooks.maintenance.conservation import missing, totals
from hooks.models import Attempt, Endpoint, Hook, Kind, Outcome, Tally
from instances.actions.lifecycle import delete_instance
from instances.models import Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


def emit(endpoint: Endpoint, count: int) -> list[int]:
    """Creates `count` queued hooks, the first with an attempt; returns their keys."""
    with transaction.atomic():
        hooks = [outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}") for _ in range(count)]
    Attempt.objects.create(
        hook=hooks[0], number=1, started_at=hooks[0].created_at, url="http://a.example/", outcome=Outcome.OK
    )
    return [hook.pk for hook in hooks]


def left() -> list[int]:
    return list(Hook.objects.order_by("pk").values_list("pk", flat=True))


def test_a_deletion_changes_no_hook_and_queues_the_task_that_does(endpoint: Endpoint) -> None:
    keys = emit(endpoint, 3)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        delete_instance(endpoint.instance, acting_user=None)
    assert not [query["sql"] for query in queries if '"hooks_hook"' in query["sql"]]
    assert [task.func() for task in OrmQ.objects.order_by("pk")] == [
        "hooks.maintenance.deleted_instances.drop",
        "instances.actions.deleted_data.drop",
    ]
    assert not Instance.objects.exists()
    assert left() == keys
    assert not Hook.objects.of_instances(Instance.objects.all()).exists()


def test_hooks_of_a_deleted_instance_are_not_sent(endpoint: Endpoint) -> None:
    emit(endpoint, 1)
    key, other = endpoint.pk, InstanceFactory(url="http://127.0.0.1:9/hook").endpoint
    emit(other, 1)
    delete_instance(endpoint.instance, acting_user=None)
    connection.ensure_connection()
    assert due_lanes.due_lanes(connection.connection) == [other.pk]
    assert claim.claim_hooks(connection.connection, 1, {key: 5}).hooks == []


def test_the_task_drops_only_hooks_of_deleted_instances_with_their_attempts(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted_instances, "BATCH", 2)
    emit(endpoint, 5)
    other = InstanceFactory(url="http://127.0.0.1:9/hook").endpoint
    kept = emit(other, 2)
    delete_instance(endpoint.instance, acting_user=None)
    assert deleted_instances.drop() == "5 hooks of 1 deleted instances dropped"
    assert left() == kept
    assert [attempt.hook_id for attempt in Attempt.objects.all()] == kept[:1]
    assert deleted_instances.drop() == "0 hooks of 0 deleted instances dropped"


def test_a_run_whose_time_is_over_queues_the_next(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleted_instances, "BATCH", 2)
    keys = emit(endpoint, 5)
    delete_instance(endpoint.instance, acting_user=None)
    OrmQ.objects.all().delete()
    assert deleted_instances.drop(0) == "2 hooks of 1 deleted instances dropped, more may be left"
    assert left() == keys[2:]
    assert [task.func() for task in OrmQ.objects.all()] == ["hooks.maintenance.deleted_instances.drop"]


def test_hooks_dropped_from_an_existing_instance_are_counted(endpoint: Endpoint) -> None:
    emit(endpoint, 3)
    assert deleted_instances.drop_hooks_of(endpoint.pk) == 3
    assert Tally.objects.get(pk=endpoint.pk).dropped == 3
    assert [missing(row) for row in totals()] == [0]


def test_hooks_of_deleted_instances_are_found_with_an_index(endpoint: Endpoint) -> None:
    with connection.cursor() as cursor:
        # PostgreSQL would read or sort a small table completely despite its indexes
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        for sql, parameters in (
            (deleted_instances.LANES_OF_DELETED, []),
            (deleted_instances.LOCK_HOOKS, [endpoint.pk, 10]),
        ):
            cursor.execute(f"EXPLAIN {sql}", parameters)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on hooks_hook" not in plan, plan
            assert not re.search(r"->  (Incremental )?Sort\b", plan), plan  # merging partitions is no sort
