"""kill -9 of a dispatcher at full speed: only requests in flight are sent twice, however many results wait."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from hooks.dispatch.lanes import PARALLEL_WIDTH
from hooks.models import Attempt, Endpoint, Hook, Runner, State
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, emit, wait_until
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

LANES, EACH = 5, 160
HOOKS = LANES * EACH


def lanes(url: str) -> list[Endpoint]:
    made = [InstanceFactory(url=url, parallel=True).endpoint for _ in range(LANES)]
    for endpoint in made:
        emit(endpoint, EACH)
    return made


def stop_recording() -> None:
    """Locks the attempts until the transaction ends: the recorder waits, and its results stay in the journal."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE hooks_attempt IN SHARE MODE")


def wait_until_responses_have_arrived() -> None:
    """Waits until the dispatcher says, after this moment, that no request is in flight."""
    began = timezone.now()
    said = Runner.objects.filter(finished_at=None, heartbeat_at__gt=began, in_flight=0)
    wait_until(said.exists, "all responses have arrived")


def assert_all_are_delivered(receiver: Receiver) -> None:
    wait_until(lambda: Hook.objects.filter(state=State.DELIVERED).count() == HOOKS, "all are delivered", 120)
    arrived = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert len(arrived) == HOOKS
    assert max(arrived.values()) <= 2
    assert set(Attempt.objects.values_list("number", flat=True)) == {1}
    output = StringIO()
    call_command("hooks", "check", stdout=output)  # exits with 1 if a hook is missing
    assert "0 wrong" in output.getvalue()


def test_no_hook_is_sent_twice_if_all_responses_have_arrived(tmp_path: Path) -> None:
    with Receiver() as receiver:
        lanes(receiver.url)
        with transaction.atomic():
            stop_recording()
            with Dispatch(tmp_path) as dispatcher:
                receiver.wait_for(HOOKS, 60)
                wait_until_responses_have_arrived()
                assert Hook.objects.filter(state=State.DELIVERED).count() == 0
                dispatcher.kill()
        with Dispatch(tmp_path):
            assert_all_are_delivered(receiver)
    assert len(receiver.requests) == HOOKS
    assert Attempt.objects.count() == HOOKS
    assert list((tmp_path / "dispatch").iterdir()) == []


def test_only_the_requests_in_flight_are_sent_twice(tmp_path: Path) -> None:
    with Receiver() as receiver:
        lanes(receiver.url)
        with transaction.atomic():
            stop_recording()
            with Dispatch(tmp_path) as dispatcher:
                receiver.wait_for(HOOKS // 2, 60)
                dispatcher.kill()
        with Dispatch(tmp_path):
            assert_all_are_delivered(receiver)
    assert len(receiver.requests) - HOOKS <= LANES * PARALLEL_WIDTH
