"""emit() creates a hook in the event's transaction: both are stored, or neither."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from hooks import outbox, tallies, worker_slots
from hooks.actions.endpoints import configure, override_url
from hooks.models import Endpoint, Hook, Kind, SkipReason, State, Tally
from hooks.outbox import Event
from tests.factories import InstanceFactory
from tests.hooks.notifications import received


def emit(endpoint: Endpoint, body: bytes = b"{}", skip: SkipReason | None = None) -> Hook:
    return outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=body, skip=skip)


def emitted(endpoint: Endpoint) -> int:
    return tallies.emitted([endpoint.pk])[endpoint.pk]


def counted_hooks() -> list[tuple[int, int]]:
    """How many hooks each endpoint has emitted, and how many of them were skipped."""
    tallies.add_up()
    return list(Tally.objects.order_by("pk").values_list("emitted", "skipped"))


def test_a_hook_is_queued_with_the_exact_bytes(endpoint: Endpoint) -> None:
    hook = outbox.emit(
        instance_id=endpoint.pk,
        kind=Kind.ACK,
        body='{"a":"ü"}'.encode(),
        message="true_1@c.us_A",
        chat="1@c.us",
    )
    hook.refresh_from_db()
    assert (hook.state, hook.kind, bytes(hook.body)) == (State.QUEUED, Kind.ACK, b'{"a":"\xc3\xbc"}')
    assert (hook.message, hook.chat) == ("true_1@c.us_A", "1@c.us")
    assert (hook.attempts_made, hook.attempts_allowed, hook.skip_reason) == (0, 1, "")
    assert (hook.next_attempt_at, hook.lease_until, hook.finished_at, hook.claim) == (None, None, None, 0)
    assert not hook.simulated
    assert emitted(endpoint) == 1


def test_with_guaranteed_hooks_twenty_attempts_are_allowed(endpoint: Endpoint) -> None:
    configure(endpoint, guaranteed=True)
    assert emit(endpoint).attempts_allowed == 20


def test_without_a_url_a_hook_is_skipped_with_the_reason(endpoint: Endpoint) -> None:
    configure(endpoint, url="")
    hook = emit(endpoint)
    assert (hook.state, hook.skip_reason) == (State.SKIPPED, SkipReason.NO_ADDRESS)
    assert hook.finished_at == hook.created_at
    assert emitted(endpoint) == 1


def test_an_override_counts_as_a_url(endpoint: Endpoint) -> None:
    configure(endpoint, url="")
    until = timezone.now() + timedelta(minutes=1)
    override_url(endpoint, url="http://127.0.0.1:9/bin", until=until, acting_user=None)
    assert emit(endpoint).state == State.QUEUED


@pytest.mark.parametrize("reason", SkipReason)
def test_a_skipped_hook_is_stored_with_its_reason(endpoint: Endpoint, reason: SkipReason) -> None:
    hook = emit(endpoint, skip=reason)
    hook.refresh_from_db()
    assert (hook.state, hook.skip_reason) == (State.SKIPPED, reason)
    assert emitted(endpoint) == 1


def test_hooks_of_an_instance_keep_the_order_of_their_events(endpoint: Endpoint) -> None:
    made = [emit(endpoint, body=b"%d" % number) for number in range(5)]
    assert [bytes(hook.body) for hook in Hook.objects.order_by("id")] == [b"0", b"1", b"2", b"3", b"4"]
    assert sorted(hook.webhook_id for hook in made) == sorted({hook.webhook_id for hook in made})


def test_many_events_are_inserted_in_order_with_one_query(
    endpoint: Endpoint, django_assert_num_queries: Callable[[int], AbstractContextManager[None]]
) -> None:
    events = [Event(Kind.MESSAGE, b"%d" % number) for number in range(99)]
    events.insert(50, Event(Kind.ACK, b"{}", skip=SkipReason.FLAG_OFF))
    with django_assert_num_queries(1):
        made = outbox.emit_all(endpoint.pk, events)
    kept = list(Hook.objects.order_by("id"))
    assert [hook.pk for hook in made] == [hook.pk for hook in kept]
    assert [bytes(hook.body) for hook in kept] == [event.body for event in events]
    assert [hook.state for hook in kept] == [State.QUEUED] * 50 + [State.SKIPPED] + [State.QUEUED] * 49
    assert len({hook.webhook_id for hook in kept}) == 100
    assert emitted(endpoint) == 100


def test_events_of_many_instances_are_inserted_as_those_of_each(
    endpoint: Endpoint, django_assert_num_queries: Callable[[int], AbstractContextManager[None]]
) -> None:
    """One has no URL, one has filters, and one is beside its bin; the others get one query together."""
    without_url = InstanceFactory(url="").endpoint
    filtered = InstanceFactory(url="http://a.example/").endpoint
    Endpoint.objects.filter(pk=filtered.pk).update(families=["ack"])
    other = InstanceFactory(url="http://b.example/").endpoint
    endpoints = [other, filtered, endpoint, without_url]
    events = [
        Event(Kind.MESSAGE, b'{"n":1}', "m1", "c1"),
        Event(Kind.ACK, b'{"n":2}', "m1", "c1", skip=SkipReason.FLAG_OFF),
        Event(Kind.ACK, b'{"n":3}', "m1", "c1"),
    ]
    for each in endpoints:
        outbox.emit_all(each.pk, events)
    columns = (
        "endpoint",
        "kind",
        "body",
        "message",
        "chat",
        "state",
        "skip_reason",
        "attempts_allowed",
        "to_url",
    )
    alone = list(Hook.objects.order_by("endpoint", "id").values_list(*columns))
    counted = counted_hooks()
    Hook.objects.all().delete()
    Tally.objects.update(emitted=0, skipped=0)
    outbox.emit_for_many({each.pk: events for each in endpoints})
    together = list(Hook.objects.order_by("endpoint", "id").values_list(*columns))
    assert [[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in together] == [
        [bytes(v) if isinstance(v, memoryview) else v for v in row] for row in alone
    ]
    assert counted_hooks() == counted
    assert {each.pk for each in endpoints} == {row[0] for row in together}
    with django_assert_num_queries(1):
        outbox.emit_for_many({each.pk: events for each in (endpoint, without_url, other)})
    with pytest.raises(Endpoint.DoesNotExist):
        outbox.emit_for_many({endpoint.pk: events, 0: events})


def test_without_events_no_hook_is_created(endpoint: Endpoint) -> None:
    assert outbox.emit_all(endpoint.pk, []) == []
    assert emitted(endpoint) == 0


def test_a_rollback_removes_the_hook_and_its_count(endpoint: Endpoint) -> None:
    class EventFailed(Exception):
        pass

    emit(endpoint)
    with pytest.raises(EventFailed), transaction.atomic():
        emit(endpoint)
        assert emitted(endpoint) == 2
        raise EventFailed
    assert Hook.objects.count() == 1
    assert emitted(endpoint) == 1


def test_a_body_that_is_not_utf8_is_rejected_and_not_counted(endpoint: Endpoint) -> None:
    with pytest.raises(UnicodeDecodeError):
        emit(endpoint, body=b"\xff")
    assert Hook.objects.count() == 0
    assert emitted(endpoint) == 0


def test_an_unknown_instance_raises_an_error(endpoint: Endpoint) -> None:
    with pytest.raises(Endpoint.DoesNotExist):
        outbox.emit(instance_id=endpoint.pk + 1, kind=Kind.MESSAGE, body=b"{}")
    assert Hook.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_emit_outside_a_transaction_raises_an_error() -> None:
    instance = InstanceFactory(url="http://127.0.0.1:9/")
    with pytest.raises(transaction.TransactionManagementError, match="must be created in the transaction"):
        emit(instance.endpoint)
    assert Hook.objects.count() == 0
    assert emitted(instance.endpoint) == 0


@pytest.mark.django_db(transaction=True)
def test_a_commit_wakes_the_dispatchers_and_a_rollback_does_not() -> None:
    endpoint = InstanceFactory(url="http://127.0.0.1:9/").endpoint
    with worker_slots.connect() as session:
        session.execute(f"LISTEN {outbox.CHANNEL}")
        with transaction.atomic():
            emit(endpoint)
            emit(endpoint)
        with transaction.atomic():
            emit(endpoint)
            transaction.set_rollback(True)
        with transaction.atomic():
            emit(endpoint, skip=SkipReason.FLAG_OFF)
        notes = set(received(session))
    assert notes == {("hooks", str(endpoint.pk))}
