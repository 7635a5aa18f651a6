"""An event creates one hook for each endpoint of its instance that it matches, in its transaction."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from hooks import outbox, tallies
from hooks.actions import endpoint_list
from hooks.actions.endpoint_list import add_endpoint, remove_endpoint
from hooks.actions.endpoints import set_filters
from hooks.actions.hooks import NotPossible, resend
from hooks.filters import Filters
from hooks.maintenance import conservation, removed_endpoints
from hooks.models import MAX_ENDPOINTS, OTHER_IDS, Endpoint, Hook, Kind, SkipReason, State, Tally
from hooks.outbox import Event
from instances.actions.lifecycle import delete_instance
from instances.actions.stopping import start_instance, stop_instance
from instances.models import Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)

OWN, OTHER = "http://127.0.0.1:9/first", "http://127.0.0.1:9/other"
MESSAGE, ACK, STATUS = (Event(kind, b"{}") for kind in (Kind.MESSAGE, Kind.ACK, Kind.STATUS))


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(url=OWN)


def add(instance: Instance, url: str = OTHER, **given: Any) -> Endpoint:
    return add_endpoint(instance.pk, url=url, acting_user=None, **given)


def emit(instance: Instance, *events: Event) -> list[Hook]:
    with transaction.atomic():
        return outbox.emit_all(instance.pk, events)


def hooks_of(endpoint: Endpoint) -> list[tuple[str, str]]:
    return list(Hook.objects.filter(endpoint=endpoint).order_by("pk").values_list("kind", "state"))


def assert_conserved() -> None:
    assert [conservation.missing(row) for row in conservation.totals()] == [0] * Endpoint.objects.count()
    assert conservation.unknown_endpoints() == []


def test_each_endpoint_has_a_hook_of_its_own(instance: Instance) -> None:
    other = add(instance, guaranteed=True)
    first, second = emit(instance, MESSAGE)
    assert (first.endpoint_id, second.endpoint_id) == (instance.pk, other.pk)
    assert first.public_id != second.public_id
    assert (first.attempts_allowed, second.attempts_allowed) == (1, 20)
    assert_conserved()


def test_an_event_that_a_filter_excludes_writes_nothing(instance: Instance) -> None:
    acks = add(instance, filters=Filters(families=("ack",)))
    set_filters(instance.endpoint, filters=Filters(families=("message", "status")), acting_user=None)
    emit(instance, MESSAGE, ACK, STATUS, ACK)
    assert hooks_of(instance.endpoint) == [("message", "queued"), ("status", "queued")]
    assert hooks_of(acks) == [("ack", "queued"), ("ack", "queued")]
    tallies.add_up()
    assert list(Tally.objects.order_by("pk").values_list("emitted", "skipped")) == [(2, 0), (2, 0)]
    assert_conserved()


def test_the_filters_of_an_only_endpoint_may_exclude_every_event(instance: Instance) -> None:
    set_filters(instance.endpoint, filters=Filters(families=("status",)), acting_user=None)
    assert emit(instance, MESSAGE, ACK) == []
    assert tallies.emitted([instance.pk]) == {instance.pk: 0}


@pytest.mark.parametrize("reason", [SkipReason.FLAG_OFF, SkipReason.STOPPED, SkipReason.NOT_PAID])
def test_a_skipped_event_is_written_for_the_first_endpoint_only(
    instance: Instance, reason: SkipReason
) -> None:
    other = add(instance)
    emit(instance, ACK._replace(skip=reason), MESSAGE)
    assert hooks_of(instance.endpoint) == [("ack", "skipped"), ("message", "queued")]
    assert hooks_of(other) == [("message", "queued")]
    tallies.add_up()
    assert list(Tally.objects.order_by("pk").values_list("emitted", "skipped")) == [(2, 1), (1, 0)]
    assert_conserved()


def test_without_a_first_url_the_others_get_their_hooks(instance: Instance) -> None:
    other = add(instance)
    Endpoint.objects.filter(pk=instance.pk).update(url="")
    emit(instance, MESSAGE)
    assert hooks_of(instance.endpoint) == [("message", "skipped")]
    assert hooks_of(other) == [("message", "queued")]
    assert_conserved()


def test_the_number_of_queries_does_not_grow_with_the_events_or_endpoints(instance: Instance) -> None:
    def queries(count: int) -> list[str]:
        with (
            transaction.atomic(),
            CaptureQueriesContext(
                connection,
            ) as captured,
        ):
            outbox.emit_all(instance.pk, [MESSAGE] * count)
        return [query["sql"] for query in captured if "pg_notify" not in query["sql"]]

    alone = queries(1)
    assert len(alone) == 1  # the tally and the hooks
    assert len(queries(50)) == 1
    add(instance)
    assert len(queries(1)) == len(queries(50)) == 4
    for _ in range(5):
        add(instance)
    assert len(queries(1)) == len(queries(50)) == 4


def test_ids_of_each_lane_are_in_the_order_of_events(instance: Instance) -> None:
    other = add(instance)
    for kind in (MESSAGE, ACK, STATUS):
        emit(instance, kind, MESSAGE)
    wanted = [kind for event in (MESSAGE, ACK, STATUS) for kind in (event.kind, Kind.MESSAGE)]
    for endpoint in (instance.endpoint, other):
        assert [kind for kind, _ in hooks_of(endpoint)] == wanted


def test_the_first_endpoint_has_the_key_of_its_instance_and_the_others_do_not(instance: Instance) -> None:
    other = add(instance)
    assert instance.endpoint.pk == instance.pk
    assert instance.endpoint.is_first
    assert other.pk >= OTHER_IDS
    assert not other.is_first
    assert Endpoint.objects.get(first_of=instance).others == [other.pk]
    with pytest.raises(IntegrityError), transaction.atomic():
        Endpoint.objects.create(pk=instance.pk + 1, instance=instance, url=OTHER)
    with pytest.raises(IntegrityError), transaction.atomic():
        Endpoint.objects.filter(pk=other.pk).update(first_of=instance)


def test_the_secrets_of_endpoints_differ_and_can_be_read(instance: Instance) -> None:
    other = add(instance)
    secrets = {Endpoint.objects.get(pk=key).secret for key in (instance.pk, other.pk)}
    assert len(secrets) == 2
    assert all(secret.startswith("whsec_") for secret in secrets)


def test_an_instance_has_at_most_ten_endpoints(instance: Instance) -> None:
    added = [add(instance) for _ in range(MAX_ENDPOINTS - 1)]
    with pytest.raises(NotPossible, match="10 endpoints"):
        add(instance)
    remove_endpoint(added[0], acting_user=None)
    add(instance)


def test_the_first_endpoint_is_not_removed(instance: Instance) -> None:
    with pytest.raises(NotPossible, match="first endpoint"):
        remove_endpoint(instance.endpoint, acting_user=None)


def test_a_removed_endpoint_keeps_its_log_and_gets_no_more_hooks(instance: Instance) -> None:
    other = add(instance)
    emit(instance, MESSAGE)
    remove_endpoint(other, acting_user=None)
    emit(instance, MESSAGE)
    assert hooks_of(other) == [("message", "cancelled")]
    assert hooks_of(instance.endpoint) == [("message", "queued")] * 2
    assert {hook.endpoint_id for hook in Hook.objects.of_instance(Instance.objects.get())} == {
        instance.pk,
        other.pk,
    }
    with pytest.raises(NotPossible, match="was removed"):
        resend(Hook.objects.get(endpoint=other), acting_user=None)
    assert_conserved()
    removed_endpoints.clean()
    assert Endpoint.objects.filter(pk=other.pk).exists()  # its hook is in the log
    Hook.objects.filter(endpoint=other).delete()
    removed_endpoints.clean()
    assert not Endpoint.objects.filter(pk=other.pk).exists()
    assert Endpoint.objects.get(first_of=instance).others == []


def test_a_task_cancels_what_the_removal_of_an_endpoint_leaves(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_list, "CANCELLED_AT_ONCE", 2)
    other = add(instance)
    emit(instance, *[MESSAGE] * 8)
    remove_endpoint(other, acting_user=None)
    assert [state for _, state in hooks_of(other)] == ["cancelled"] * 2 + ["queued"] * 6
    assert [task.func() for task in OrmQ.objects.all()] == ["hooks.maintenance.removed_endpoints.clean"]
    monkeypatch.setattr(removed_endpoints, "BATCH", 2)
    with CaptureQueriesContext(connection) as queries:
        removed_endpoints.clean()
    portions = [query for query in queries.captured_queries if query["sql"].startswith('UPDATE "hooks_hook"')]
    assert len(portions) == 3
    assert hooks_of(other) == [("message", "cancelled")] * 8
    assert_conserved()


def test_a_retry_after_the_removal_is_cancelled(instance: Instance) -> None:
    other = add(instance)
    emit(instance, MESSAGE)
    Hook.objects.filter(endpoint=other).update(
        state=State.SENDING, lease_until="2030-01-01T00:00:00Z", claim=1
    )
    remove_endpoint(other, acting_user=None)
    assert hooks_of(other) == [("message", "sending")]
    Hook.objects.filter(endpoint=other).update(state=State.RETRYING, lease_until=None)
    removed_endpoints.clean()
    assert hooks_of(other) == [("message", "cancelled")]
    assert_conserved()


def test_a_stop_pauses_every_endpoint_and_a_start_resumes_them(instance: Instance) -> None:
    other = add(instance)
    stop_instance(instance, reason="test", acting_user=None)
    added = add(instance, url=f"{OTHER}2")
    assert set(Endpoint.objects.values_list("pause_reason", flat=True)) == {"stopped"}
    start_instance(instance, acting_user=None)
    assert {endpoint.pk: endpoint.pause_reason for endpoint in Endpoint.objects.all()} == {
        instance.pk: "",
        other.pk: "",
        added.pk: "",
    }


def test_a_deleted_instance_takes_all_its_endpoints(instance: Instance) -> None:
    add(instance)
    add(instance)
    delete_instance(instance, acting_user=None)
    assert not Endpoint.objects.exists()
    assert not Tally.objects.exists()
