"""A second endpoint that hangs, is dead or flooded changes nothing for the first endpoint of the same instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction

from hooks import outbox
from hooks.actions.endpoint_list import add_endpoint, remove_endpoint
from hooks.models import Attempt, Endpoint, Hook, Kind, Outcome, State
from hooks.outbox import Event
from tests.factories import InstanceFactory
from tests.faults import servers
from tests.hooks.dispatch.dispatching import Dispatch, Held, wait_until
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = 60
FLOOD = 3_000  # hooks that wait for the second endpoint beforehand


@contextmanager
def hanging() -> Iterator[str]:
    held = Held()
    with Receiver(held) as receiver:
        try:
            yield receiver.url
        finally:
            held.release.set()


@contextmanager
def refusing() -> Iterator[str]:
    with servers.refusing() as port:
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def unknown() -> Iterator[str]:
    yield "http://second.invalid/"


def emit_events(instance_id: int, first: int, count: int) -> None:
    """Emits one event per transaction, as a busy instance does."""
    for number in range(first, first + count):
        with transaction.atomic():
            outbox.emit_all(instance_id, [Event(Kind.MESSAGE, b'{"n":%d}' % number)])


def assert_check_passes() -> None:
    output = StringIO()
    call_command("hooks", "check", stdout=output)  # exits with 1 if a hook is missing
    assert "1 instances with 2 endpoints checked, 0 wrong." in output.getvalue()


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("fault", [hanging, refusing, unknown])
def test_the_first_endpoint_gets_all_its_hooks_in_order(
    tmp_path: Path, fault: Callable[[], AbstractContextManager[str]], parallel: bool
) -> None:
    with Receiver() as receiver, fault() as url:
        first = InstanceFactory(url=receiver.url).endpoint
        second = add_endpoint(
            first.instance_id, url=url, guaranteed=True, parallel=parallel, acting_user=None
        )
        emit_events(first.pk, 0, FLOOD // EVENTS)
        with Dispatch(tmp_path):
            emit_events(first.pk, FLOOD // EVENTS, EVENTS)
            total = FLOOD // EVENTS + EVENTS
            wait_until(lambda: delivered(first) == total, "the first endpoint has all its hooks", 60)
            assert [received.json()["n"] for received in receiver.requests] == list(range(total))
            attempts = Attempt.objects.filter(hook__endpoint=first)
            assert set(attempts.values_list("outcome", "number")) == {(Outcome.OK, 1)}
            assert attempts.count() == total
            assert delivered(second) == 0
            remove_endpoint(second, acting_user=None)
    assert_check_passes()


def test_a_flooded_endpoint_does_not_delay_its_sibling(tmp_path: Path) -> None:
    held = Held()
    with Receiver() as receiver, Receiver(held) as slow:
        first = InstanceFactory(url=receiver.url).endpoint
        second = add_endpoint(first.instance_id, url=slow.url, acting_user=None)
        with transaction.atomic():
            outbox.emit_all(first.pk, [Event(Kind.MESSAGE, b'{"n":0}')] * FLOOD)
        Hook.objects.filter(endpoint=first).update(state=State.CANCELLED, finished_at="2030-01-01T00:00:00Z")
        with Dispatch(tmp_path):
            held.wait_for_arrival()
            emit_events(first.pk, 1, EVENTS)
            wait_until(lambda: delivered(first) == EVENTS, "the first endpoint has its new hooks", 60)
            assert Hook.objects.filter(endpoint=second, state=State.QUEUED).count() > FLOOD / 2
            assert [received.json()["n"] for received in receiver.requests] == list(range(1, EVENTS + 1))
            held.release.set()
    assert_check_passes()


def delivered(endpoint: Endpoint) -> int:
    return Hook.objects.filter(endpoint=endpoint, state=State.DELIVERED).count()
