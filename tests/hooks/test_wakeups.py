"""Wake-ups: sent after the commit, gathered, and never relied on. No event waits for another instance's commit."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import psycopg
import pytest
from django.db import connection, transaction

from hooks import outbox, wakeups, worker_slots
from hooks.actions.hooks import resend
from hooks.models import Hook, Kind, SkipReason, State
from hooks.wakeups import Notifier, notifier, notify_after_commit
from instances import tasks
from instances.actions.sending.accept import OUTGOING_CHANNEL, send_message
from instances.channels.sandbox.actions.receipts import CHANNEL_WORK, wake_sending_loop
from instances.models import Instance, Message
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, emit, states, wait_until
from tests.hooks.notifications import received
from tests.receiver import Receiver
from tests.threads import results_in_threads

CHANNEL = "test_wakeups"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def listening() -> Iterator[psycopg.Connection[Any]]:
    """A session that listens to all channels, as the dispatcher and the sending loop do."""
    notifier.close()  # nothing of an earlier test arrives
    with worker_slots.connect() as session:
        for channel in (CHANNEL, outbox.CHANNEL, OUTGOING_CHANNEL):
            session.execute(f"LISTEN {channel}")
        yield session


# -- what is sent


def test_a_savepoint_that_is_rolled_back_wakes_nothing(listening: psycopg.Connection[Any]) -> None:
    with transaction.atomic():
        with transaction.atomic():
            notify_after_commit(CHANNEL, "kept")
        with transaction.atomic():
            notify_after_commit(CHANNEL, "rolled back")
            transaction.set_rollback(True)
        assert received(listening) == []  # nothing before the commit
    assert received(listening) == [(CHANNEL, "kept")]


def test_outside_a_transaction_a_wakeup_is_sent_immediately(listening: psycopg.Connection[Any]) -> None:
    notify_after_commit(CHANNEL)
    assert received(listening) == [(CHANNEL, "")]


def test_a_message_in_the_queue_and_a_receipt_wake_the_sending_loop(
    listening: psycopg.Connection[Any],
) -> None:
    instance = InstanceFactory()
    send_message(instance, chat_id="17680561234", body="Hello")
    with transaction.atomic():
        wake_sending_loop()
    assert received(listening) == [(OUTGOING_CHANNEL, str(instance.pk)), (OUTGOING_CHANNEL, CHANNEL_WORK)]


def test_wakeups_that_wait_are_sent_in_one_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[list[tuple[str, str]]] = []

    def send(found: list[tuple[str, str]]) -> bool:
        statements.append(found)
        return True

    own = Notifier()
    monkeypatch.setattr(own, "send", send)
    for payload in ("1", "2", "1"):
        own.waiting.put(("hooks", payload))
    own.add("outgoing", "")
    own.close()
    assert statements == [[("hooks", "1"), ("hooks", "2"), ("outgoing", "")]]


def test_the_first_wakeup_after_a_quiet_time_does_not_wait_for_the_thread(
    listening: psycopg.Connection[Any],
) -> None:
    own = Notifier()
    own.thread = threading.current_thread()  # so that add() starts none
    with worker_slots.connect() as own.session:
        own.add(CHANNEL, "first")
        own.add(CHANNEL, "second")
        assert [note.payload for note in listening.notifies(timeout=30, stop_after=1)] == ["first"]
        assert own.waiting.qsize() == 2  # the response to the first, and the second
        assert own.is_response_good()


def test_wakeups_of_many_threads_all_arrive(listening: psycopg.Connection[Any]) -> None:
    def add(thread: int) -> None:
        for number in range(200):
            notifier.add(CHANNEL, f"{thread} {number}")

    results_in_threads(add, 8)
    payloads = [payload for _, payload in received(listening)]
    assert sorted(payloads) == sorted(f"{thread} {number}" for thread in range(8) for number in range(200))


@pytest.mark.parametrize(("added", "seconds"), [(56, 0.001), (57, 0.005)])
def test_wakeups_are_gathered_for_longer_at_a_high_rate(
    monkeypatch: pytest.MonkeyPatch, added: int, seconds: float
) -> None:
    slept: list[float] = []
    times = iter([16 + step / 16 for step in range(5)])
    monkeypatch.setattr(wakeups, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: next(times)))
    own = Notifier()
    own.thread = threading.current_thread()  # so that add() starts none
    for number in range(added):
        own.add(CHANNEL, str(number))
    for _ in range(4):  # in each sixteenth of a second; all were added in the first one
        own.gather()
    assert slept == [0.001, seconds, seconds, 0.001]


def test_too_many_wakeups_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "MAX_WAITING", 3)
    own = Notifier()
    own.thread = threading.current_thread()  # so that add() starts none
    for number in range(5):
        own.add(CHANNEL, str(number))
    assert own.waiting.qsize() == 3


# -- the session and the process


def test_a_broken_session_is_replaced(listening: psycopg.Connection[Any]) -> None:
    notify_after_commit(CHANNEL, "first")
    note = next(listening.notifies(timeout=30))
    assert note.payload == "first"
    listening.execute("SELECT pg_terminate_backend(%s, 60000)", [note.pid])
    notify_after_commit(CHANNEL, "second")
    assert received(listening) == [(CHANNEL, "second")]


def test_a_wakeup_that_cannot_be_sent_does_not_fail_its_caller(
    listening: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise psycopg.OperationalError("the server is down")

    with monkeypatch.context() as patch:
        patch.setattr(worker_slots, "connect_without_state", refuse)
        endpoint = InstanceFactory(url="http://127.0.0.1:9/").endpoint
        emit(endpoint)
        assert received(listening) == []
    assert "the database does not respond (the server is down)" in caplog.text
    emit(endpoint)
    assert received(listening) == [(outbox.CHANNEL, str(endpoint.pk))]


def test_a_forked_child_sends_its_own_wakeups_before_it_ends(listening: psycopg.Connection[Any]) -> None:
    notifier.add(CHANNEL, "parent")  # its thread and its session do not exist in the child
    assert [note.payload for note in listening.notifies(timeout=60, stop_after=1)] == ["parent"]
    assert notifier.session
    child = multiprocessing.get_context("fork").Process(target=notifier.add, args=(CHANNEL, "child"))
    child.start()
    child.join()
    assert child.exitcode == 0
    notifier.add(CHANNEL, "parent again")
    assert received(listening) == [(CHANNEL, "child"), (CHANNEL, "parent again")]


# -- a lost wake-up


@pytest.fixture
def no_wakeups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drops all wake-ups of this process."""
    monkeypatch.setattr(notifier, "add", lambda channel, payload: None)


@pytest.mark.usefixtures("checked", "no_wakeups")
def test_hooks_are_delivered_without_wakeups(tmp_path: Path) -> None:
    with Receiver() as receiver, Dispatch(tmp_path):
        endpoint = InstanceFactory(url=receiver.url).endpoint
        for _ in range(3):
            emit(endpoint)
            wait_until(lambda: states(endpoint) == {State.DELIVERED}, "the hook is delivered")
    assert len(receiver.requests) == 3


@pytest.fixture
def sending_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs the sending loop in a thread."""
    stop, stop_now = os.pipe()
    monkeypatch.setenv("WORKER_STOP_FD", str(stop))

    def run() -> None:
        try:
            tasks.send_outgoing()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    os.close(stop_now)
    thread.join()
    os.close(stop)


@pytest.mark.usefixtures("no_wakeups", "sending_loop")
def test_messages_are_sent_without_wakeups() -> None:
    instance = InstanceFactory()
    for number in range(3):
        message = send_message(instance, chat_id="17680561234", body=str(number))
        sent = Message.objects.filter(message_id=message.message_id)
        wait_until(sent.all().exists, "the message is sent")


# -- commits do not wait for each other


def set_standby(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET synchronous_standby_names {value}")
        cursor.execute("SELECT pg_reload_conf()")


class WaitingCommits:
    """Commits in a thread until a commit waits for a standby, which does not exist; ends with the block.

    Only this thread waits: the tests' server has synchronous_commit=off.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.pid = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit = on")
                cursor.execute("SELECT pg_backend_pid()")
                self.pid = cursor.fetchone()[0]
            while not self.ending.wait(0.01):
                with transaction.atomic():
                    self.work()
        finally:
            connection.close()

    def __enter__(self) -> Self:
        set_standby("= 'missing'")
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        set_standby("= DEFAULT")
        self.thread.join()

    def is_waiting(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'", [self.pid]
            )
            return cursor.fetchone() is not None

    def locks_of_notify(self) -> int:
        """Returns how many of NOTIFY's server-wide locks the session holds."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype = 'object' AND database = 0"
                " AND classid = 'pg_database'::regclass AND objid = 0",
                [self.pid],
            )
            return int(cursor.fetchone()[0])


def emit_skipped(instance: Instance) -> Hook:
    with transaction.atomic():
        return outbox.emit(instance_id=instance.pk, kind=Kind.MESSAGE, body=b"{}", skip=SkipReason.FLAG_OFF)


def receive_receipt(instance: Instance) -> None:
    emit_skipped(instance)
    wake_sending_loop()


WORKS: dict[str, Callable[[Instance], object]] = {
    "event": lambda instance: emit(instance.endpoint),
    "message in the queue": lambda instance: send_message(instance, chat_id="17680561234", body="Hello"),
    "receipt": receive_receipt,
    "resend": lambda instance: resend(emit_skipped(instance), acting_user=None),
}


@pytest.mark.parametrize("work", WORKS)
def test_a_commit_that_waits_for_a_standby_does_not_hold_up_another_instance(work: str) -> None:
    """NOTIFY in the transaction fails this test: the second instance waits for the lock that the first one holds."""
    first, second = InstanceFactory(url="http://127.0.0.1:9/"), InstanceFactory(url="http://127.0.0.1:9/")
    with WaitingCommits(lambda: WORKS[work](first)) as commits:
        wait_until(commits.is_waiting, "a commit of the first instance waits for the standby")
        assert commits.locks_of_notify() == 0
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            for one in WORKS.values():
                one(second)
            cursor.execute("RESET lock_timeout")
        assert commits.is_waiting()
