"""Hooks that `chatapi listen` takes: their order, leases, replaced runs, reports, and what dispatchers leave alone."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from hooks import outbox, worker_slots
from hooks.actions import listening
from hooks.actions.endpoint_list import remove_endpoint
from hooks.actions.endpoints import change_endpoint, pause, resume
from hooks.actions.hooks import cancel, resend, skip
from hooks.actions.listening import InvalidClaim, Replaced, Report, Run, TakenHook
from hooks.dispatch.claim import requeue_expired
from hooks.explain.sentences import explain_hook
from hooks.explain.verdicts import verdict_of
from hooks.http import Response
from hooks.maintenance import auto_pause, removed_endpoints
from hooks.maintenance.conservation import missing, totals
from hooks.models import Attempt, Endpoint, Hook, Kind, Lane, Outcome, Side, State, Verdict
from hooks.outbox import Event
from hooks.signing import signature
from hooks.urls.webhook_urls import InvalidUrl
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, wait_until
from tests.receiver import Receiver

URL = "http://localhost:3000/hook"


@pytest.fixture
def instance_id(db: None) -> int:
    return InstanceFactory().pk


def emit(instance_id: int, *numbers: int) -> None:
    for number in numbers:
        with transaction.atomic():
            outbox.emit_all(instance_id, [Event(Kind.MESSAGE, b'{"n":%d}' % number)])


def numbers(hooks: list[TakenHook]) -> list[int]:
    return [int(bytes(taken.hook.body)[5:-1]) for taken in hooks]


def report(taken: TakenHook, status: int = 200, **more: object) -> Report:
    outcome = more.pop("outcome", Outcome.OK if status == 200 else Outcome.NOT_200)
    response = Response(outcome=outcome, status=status or None, total_ms=5.0, **more)  # type: ignore[arg-type]
    return Report(taken.claim, timedelta(milliseconds=3), response)


def waiting(run: Run) -> list[str]:
    hooks = Hook.objects.filter(endpoint=run.endpoint).order_by("pk")
    return list(hooks.values_list("state", flat=True))


def start(instance_id: int, **more: str) -> Run:
    return listening.start(instance_id, url=URL, acting_user=None, **more)


def test_hooks_wait_and_are_taken_in_order(instance_id: int) -> None:
    run = start(instance_id)
    emit(instance_id, *range(25))

    first = listening.take(run)
    assert numbers(first) == list(range(listening.PORTION))
    hooks = listening.record(run, [report(taken) for taken in first])

    assert {hook.state for hook in hooks.values()} == {State.DELIVERED}
    assert numbers(listening.take(run)) == list(range(listening.PORTION, 25))


def test_a_portion_has_a_megabyte_of_bodies(instance_id: int) -> None:
    run = start(instance_id)
    for _ in range(3):
        with transaction.atomic():
            outbox.emit_all(instance_id, [Event(Kind.MESSAGE, b'"%s"' % (b"x" * 600_000))])

    assert [len(taken.hook.body) for taken in listening.take(run)] == [600_002]


def test_the_headers_are_those_of_a_delivery(instance_id: int) -> None:
    run = start(instance_id)
    emit(instance_id, 1)

    [taken] = listening.take(run)

    names = [name for name, _ in taken.headers]
    assert names == [
        "Host", "Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "webhook-signature",
        "webhook-attempt", "Content-Length",
    ]  # fmt: skip
    headers = dict(taken.headers)
    content = f"{taken.hook.webhook_id}.{headers['webhook-timestamp']}.".encode() + b'{"n":1}'
    assert headers["webhook-signature"] == signature(run.endpoint.secret, content)
    assert (headers["Host"], headers["webhook-attempt"]) == ("localhost:3000", "1/1")
    listening.record(run, [report(taken)])
    assert Attempt.objects.get().request_headers == taken.headers


def test_a_new_run_gets_what_a_killed_one_had_taken(instance_id: int) -> None:
    killed = start(instance_id)
    emit(instance_id, 1, 2, 3)
    one, two, _three = listening.take(killed)
    listening.record(killed, [report(one)])

    run = start(instance_id)

    with pytest.raises(Replaced):
        listening.take(killed)
    listening.record(killed, [report(two)])  # its attempt was made: it is logged, and the hook comes again
    assert numbers(listening.take(run)) == [2, 3]
    assert Attempt.objects.filter(hook=two.hook).count() == 1
    assert waiting(run) == [State.DELIVERED, State.SENDING, State.SENDING]
    listening.stop(killed)
    assert waiting(run) == [State.DELIVERED, State.SENDING, State.SENDING]
    listening.stop(run)
    assert waiting(run) == [State.DELIVERED, State.QUEUED, State.QUEUED]


def test_a_run_gets_again_what_it_has_not_reported(instance_id: int) -> None:
    run = start(instance_id)
    emit(instance_id, 1, 2)

    lost = listening.take(run)
    again = listening.take(run)

    assert numbers(again) == numbers(lost) == [1, 2]
    listening.record(run, [report(again[0])])
    repeated = listening.record(run, [report(again[0])])
    assert [hook.attempts_made for hook in repeated.values()] == [1]
    assert Attempt.objects.count() == 1


def test_a_failed_hook_is_retried_and_explained(instance_id: int) -> None:
    run = start(instance_id)
    change_endpoint(run.endpoint, guaranteed=True, acting_user=None)
    emit(instance_id, 1)
    [taken] = listening.take(run)

    refused = report(
        taken, 0, outcome=Outcome.REFUSED, error="refused on the computer that runs chatapi listen"
    )
    [hook] = listening.record(run, [refused]).values()

    assert (hook.state, hook.attempts_made, hook.attempts_allowed) == (State.RETRYING, 1, 20)
    attempt = Attempt.objects.get()
    assert (attempt.side, verdict_of(attempt)) == (Side.ENDPOINT, Verdict.NOT_REACHED)
    assert listening.take(run) == []
    Hook.objects.update(next_attempt_at=timezone.now())
    [again] = listening.take(run)
    assert dict(again.headers)["webhook-attempt"] == "2/20"
    listening.record(run, [report(again)])
    assert waiting(run) == [State.DELIVERED]


def test_a_resent_hook_reaches_the_program(instance_id: int) -> None:
    run = start(instance_id)
    emit(instance_id, 1)
    [taken] = listening.take(run)
    listening.record(run, [report(taken, 500)])
    assert waiting(run) == [State.FAILED]

    resend(taken.hook, acting_user=None)

    [again] = listening.take(run)
    assert again.hook.pk == taken.hook.pk
    assert Attempt.objects.get().status == 500
    listening.record(run, [report(again)])
    assert waiting(run) == [State.DELIVERED]


def test_strict_order_gives_one_at_a_time_and_none_after_a_retry(instance_id: int) -> None:
    run = start(instance_id)
    change_endpoint(run.endpoint, guaranteed=True, strict=True, acting_user=None)
    emit(instance_id, 1, 2)

    [taken] = listening.take(run)
    assert numbers([taken]) == [1]
    listening.record(run, [report(taken, 500)])
    assert listening.take(run) == []
    Hook.objects.filter(pk=taken.hook.pk).update(next_attempt_at=timezone.now())
    [again] = listening.take(run)
    assert numbers([again]) == [1]
    listening.record(run, [report(again)])
    assert numbers(listening.take(run)) == [2]


def test_nothing_is_given_while_paused_and_waiting_hooks_can_be_skipped_and_cancelled(
    instance_id: int,
) -> None:
    run = start(instance_id)
    emit(instance_id, 1, 2, 3)
    one, two, three = Hook.objects.filter(endpoint=run.endpoint).order_by("pk")
    pause(run.endpoint, acting_user=None)
    assert listening.take(run) == []
    resume(run.endpoint, acting_user=None)

    skip(one, acting_user=None)
    cancel(two, acting_user=None)

    assert [taken.hook.pk for taken in listening.take(run)] == [three.pk]


def test_names_have_endpoints_of_their_own_and_keep_their_url(instance_id: int) -> None:
    mine, other = start(instance_id), start(instance_id, name="Laptop of Bob")
    again = listening.start(instance_id, url="http://localhost:4000/", acting_user=None)

    assert mine.endpoint.pk == again.endpoint.pk != other.endpoint.pk
    assert Endpoint.objects.get(pk=mine.endpoint.pk).url == "http://localhost:4000/"
    with pytest.raises(InvalidUrl):
        change_endpoint(again.endpoint, url="http://192.0.2.1/", acting_user=None)


def test_claims_of_others_are_refused(instance_id: int) -> None:
    run, other = start(instance_id), start(instance_id, name="Other")
    emit(instance_id, 1)
    [taken] = listening.take(other)

    for claim in (taken.claim, "x", ""):
        with pytest.raises(InvalidClaim):
            listening.record(run, [report(taken)._replace(claim=claim)])
    with pytest.raises(InvalidClaim):
        listening.record(other, [report(taken)] * 2)
    assert Attempt.objects.count() == 0


def test_whether_a_computer_is_connected(instance_id: int) -> None:
    run = start(instance_id)
    lane = Lane.objects.get(pk=run.endpoint.pk)
    assert lane.is_connected()
    assert not lane.is_connected(timezone.now() + timedelta(minutes=1))
    listening.stop(run)
    assert not Lane.objects.get(pk=run.endpoint.pk).is_connected()


def test_the_sentence_of_a_hook_that_waits(instance_id: int) -> None:
    start(instance_id)
    emit(instance_id, 1)
    hook = Hook.objects.exclude(endpoint=instance_id).get()
    assert explain_hook(hook) == "Waiting until chatapi listen fetches it."


def test_a_new_run_forgets_the_failures_of_the_ones_before(instance_id: int) -> None:
    """The time while no computer was connected is no time of failures: it does not pause the endpoint."""
    run = start(instance_id)
    emit(instance_id, *range(auto_pause.MIN_FAILURES))
    listening.record(run, [report(taken, 500) for taken in listening.take(run)])
    yesterday = timezone.now() - auto_pause.PAUSE_AFTER - timedelta(hours=1)
    Endpoint.objects.filter(pk=run.endpoint.pk).update(failing_since=yesterday)

    run = start(instance_id)
    emit(instance_id, 10)
    listening.record(run, [report(taken, 500) for taken in listening.take(run)])

    assert auto_pause.pause_failing() == []
    since = Endpoint.objects.get(pk=run.endpoint.pk).failing_since
    assert since is not None
    assert since > yesterday + timedelta(hours=1)


def test_what_was_taken_before_the_endpoint_was_removed_is_recorded(instance_id: int) -> None:
    run = start(instance_id)
    change_endpoint(run.endpoint, guaranteed=True, acting_user=None)
    emit(instance_id, 1, 2, 3)
    one, two, _three = listening.take(run)

    remove_endpoint(run.endpoint, acting_user=None)
    listening.record(run, [report(one)])
    listening.record(run, [report(two, 500)])

    assert waiting(run) == [State.DELIVERED, State.RETRYING, State.SENDING]
    assert Endpoint.objects.get(pk=run.endpoint.pk).failing_since is None
    Hook.objects.filter(endpoint=run.endpoint).update(lease_until=timezone.now() - timedelta(minutes=1))
    requeue_expired(raw_session())
    removed_endpoints.clean()
    assert waiting(run) == [State.DELIVERED, State.CANCELLED, State.CANCELLED]
    assert not any(missing(row) for row in totals())


def raw_session() -> Any:
    connection.ensure_connection()
    return connection.connection


@pytest.mark.django_db(transaction=True)
def test_a_late_report_and_a_start_with_another_url_do_not_wait_for_each_other() -> None:
    """A start locks as recording does: the hooks before their endpoint."""
    instance_id = InstanceFactory().pk
    run = start(instance_id)
    emit(instance_id, 1)
    [taken] = listening.take(run)

    def restart() -> None:
        listening.start(instance_id, url="http://localhost:4000/", acting_user=None)
        connection.close()

    with worker_slots.connect() as recorder, recorder.transaction():
        recorder.execute("SELECT FROM hooks_hook WHERE id = %s FOR UPDATE", [taken.hook.pk])
        starting = threading.Thread(target=restart)
        starting.start()
        mine = [recorder.info.backend_pid]
        blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid)))"
        wait_until(lambda: recorder.execute(blocked, mine).fetchone() == (True,), "the start waits")
        # does not wait for the start, which waits for this transaction
        recorder.execute(
            "SELECT FROM hooks_endpoint WHERE id = %s FOR NO KEY UPDATE NOWAIT", [run.endpoint.pk]
        )
    starting.join(60)
    assert Endpoint.objects.get(pk=run.endpoint.pk).url == "http://localhost:4000/"


@pytest.mark.django_db(transaction=True)
def test_dispatchers_send_no_hook_of_it(tmp_path: Path) -> None:
    with Receiver() as receiver, Receiver() as other:
        instance_id = InstanceFactory(url=other.url).pk
        run = listening.start(instance_id, url=receiver.url, acting_user=None)
        emit(instance_id, 1, 2)
        [left, _] = listening.take(run)
        Hook.objects.filter(pk=left.hook.pk).update(lease_until=timezone.now() - timedelta(seconds=10))
        with Dispatch(tmp_path):
            other.wait_for(2)
            wait_until(lambda: waiting(run)[0] == State.QUEUED, "the sweep has put back the hook")
        assert receiver.requests == []
        taken, cancelled = listening.take(run)
        assert numbers([taken, cancelled]) == [1, 2]
        listening.record(run, [report(taken)])
        cancel(cancelled.hook, acting_user=None)
    call_command("hooks", "check", stdout=StringIO())  # exits with 1 if a hook is missing
