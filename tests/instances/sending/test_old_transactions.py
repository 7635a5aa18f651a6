"""While an old transaction keeps vacuum from removing dead rows, sweeps take long: nothing waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from hooks import worker_slots
from hooks.dispatch.wakeup_pipe import WakeupPipe
from hooks.metrics import Counts
from hooks.models import Role
from instances.actions.sending.one_message import resend_message
from instances.channels import channel_of
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue, SendState
from instances.sending import claims
from instances.sending.database_threads import Claimer, Read, Sweeper, Swept
from instances.sending.lanes import Waiting
from instances.sending.sender import Sender
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import wait_until_unlocked
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.sandbox.messenger_process import MessengerProcess
from tests.instances.sending.running_sender import open_sender, running_sender
from tests.instances.sending.sending import (
    assert_nothing_lost,
    in_order,
    phone,
    queue_messages,
    sent,
    wait_until_empty,
)

pytestmark = pytest.mark.django_db(transaction=True)

SENT = 3_000  # messages of a queue that were sent
ME = 1_000_000_000_001
Session = psycopg.Connection[Any]


@pytest.fixture
def me() -> Iterator[Session]:
    """The session of a sender, which holds its advisory lock."""
    with worker_slots.connect() as session:
        session.execute("SELECT pg_advisory_lock(%s)", [ME])
        yield session


def add_queue(sender: Sender, instance: Instance, *numbers: int) -> None:
    """Adds a queue that this sender owns, with messages that have these numbers."""
    messages = [Waiting(number, number, f"chat {number}") for number in numbers]
    link = channel_of(instance).link(instance)
    sender.owned.add_read(Read(instance, link, 0.0, True, messages, numbers[0] if numbers else None))


def waiting_keys(sender: Sender, instance: Instance) -> set[int]:
    chats = sender.owned.queues[instance.pk].lane.chats
    return {waiting.key for chat in chats.values() for waiting in chat}


def own_row(instance: Instance, length: int, *, is_own: bool = True) -> claims.Queue:
    return claims.Queue(instance.pk, length, 0, is_own)


def test_messages_do_not_wait_for_a_sweep_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_may_end, has_begun = threading.Event(), threading.Event()

    def sweep(*arguments: object, **options: object) -> list[claims.Queue]:
        has_begun.set()
        assert sweep_may_end.wait(120)
        return []

    monkeypatch.setattr(claims, "sweep", sweep)
    instance = InstanceFactory()
    with running_sender():
        try:
            assert has_begun.wait(60)
            for first in (0, 10):
                queue_messages(instance, 10, chats=2, first=first)
                wait_until_empty(instance)
            assert not sweep_may_end.is_set()
        finally:
            sweep_may_end.set()
    assert sent(instance) == in_order(20, chats=2)
    assert_nothing_lost()


def test_a_stop_does_not_wait_for_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun = threading.Event()

    def sweep(session: Any, *arguments: object, **options: object) -> list[claims.Queue]:
        has_begun.set()
        session.execute("SELECT pg_sleep(3600)")
        return []

    monkeypatch.setattr(claims, "sweep", sweep)
    with running_sender():
        assert has_begun.wait(60)


def test_the_heartbeat_does_not_wait_for_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_may_end = threading.Event()

    def sweep(*arguments: object, **options: object) -> list[claims.Queue]:
        assert sweep_may_end.wait(120)
        return []

    monkeypatch.setattr(claims, "sweep", sweep)
    with running_sender() as sender:
        try:
            slot = sender.worker_slot
            for _ in range(3):
                last = slot.last_heartbeat
                wait_until(lambda: slot.last_heartbeat > last, "a heartbeat", 60)  # noqa: B023
        finally:
            sweep_may_end.set()


def test_after_a_break_of_the_session_runs_have_time_to_acquire_their_locks() -> None:
    """As after a failover: the queues of another sender, which has not connected again yet, stay its own."""
    instance = InstanceFactory()
    queue_messages(instance, 1, chats=1)
    with worker_slots.hold_slot(Role.OUTGOING, range(1, 2)) as other:
        assert other is not None
        claims.own(other.session, other.id, [instance.pk])
        other.session.close()
        with worker_slots.connect() as session:
            wait_until_unlocked(session, other.id)
    with worker_slots.hold_slot(Role.OUTGOING, range(1)) as slot:
        assert slot is not None
        wakeup = WakeupPipe()
        claimer, sweeper = Claimer(slot, wakeup, Counts()), Sweeper(slot.id, wakeup)

        def own() -> list[int]:
            """Returns the queues that a sweep finds, of which the claimer then owns as many as it may."""
            claimer.own_queues([instance.pk], [])
            claimer.jobs.get()()  # type: ignore[misc]
            sweeper.sweep()
            return [row.lane for row in sweeper.swept.popleft().queues]

        claimer.reconnect()
        sweeper.reconnect()
        assert own() == []
        assert OutgoingQueue.objects.get(pk=instance.pk).owner == other.id
        for thread in (claimer, sweeper):
            assert thread.reconnected_at is not None
            thread.reconnected_at -= worker_slots.RECONNECT_SECONDS
        assert own() == [instance.pk]
        assert OutgoingQueue.objects.get(pk=instance.pk).owner == slot.id
        sweeper.session.close()
        wakeup.close()


def test_a_queue_that_was_read_after_the_sweep_began_keeps_its_messages() -> None:
    instance = InstanceFactory()
    with open_sender() as sender:
        began = time.monotonic()
        add_queue(sender, instance, 1, 2)
        sender.owned.compare(Swept(began, [], None))
        assert waiting_keys(sender, instance) == {1, 2}
        sender.owned.compare(Swept(time.monotonic(), [], None))  # not connected any more
        assert waiting_keys(sender, instance) == set()


def test_a_sweep_is_compared_only_while_no_queue_is_read_or_taken() -> None:
    instance = InstanceFactory()
    with open_sender() as sender:
        add_queue(sender, instance, 1)
        sender.sweeper.swept.append(Swept(time.monotonic(), [own_row(instance, 5)], None))
        sender.claimer.submit(lambda: None)  # is not carried out: the thread is not started
        sender.collect_thread_results()
        assert sender.sweeper.swept
        sender.claimer.done += 1
        sender.collect_thread_results()
        assert not sender.sweeper.swept
        assert list(sender.owned.to_read_again) == [instance.pk]


def test_a_queue_that_was_given_up_during_a_sweep_is_left_to_others() -> None:
    instance = InstanceFactory()
    with open_sender() as sender:
        add_queue(sender, instance, 1)
        swept = Swept(time.monotonic(), [own_row(instance, 1)], 1)
        sender.owned.sharing.note_left([instance.pk])
        sender.owned.forget([instance.pk])
        sender.owned.compare(swept)
        assert not sender.owned.to_own and not sender.owned.queues


def test_a_new_message_of_a_queue_that_was_just_released_is_owned_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The notification arrived while the queue was owned; the next sweep may be far away."""
    instance = InstanceFactory()
    owned: list[int] = []
    with open_sender() as sender:
        monkeypatch.setattr(sender.claimer, "own_queues", lambda lanes, started: owned.extend(lanes))
        add_queue(sender, instance)
        sender.owned.to_read[instance.pk] = None
        sender.owned.forget([instance.pk])
        sender.claim()
        assert not sender.owned.to_read
    assert owned == [instance.pk]


def explain_pages(session: Session, sql: str, parameters: Any) -> int:
    """Runs the statement; returns how many pages it read."""
    found = session.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters).fetchone()
    assert found
    plan = found[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def pages_read(instance: Instance, after: int) -> int:
    with worker_slots.connect() as session:
        return explain_pages(session, claims.WAITING, [[instance.pk], [after]])


def test_a_queue_is_read_from_the_first_message_that_has_not_ended() -> None:
    """The entries of sent messages stay in the index until vacuum removes them."""
    instance = InstanceFactory()
    with worker_slots.connect() as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT count(*) FROM instances_outgoingmessage")
        OutgoingMessage.objects.bulk_create(
            OutgoingMessage(
                instance=instance, queue_number=number, message_id=f"id {number}", chat_id="1@c.us"
            )
            for number in range(1, SENT + 1)
        )
        OutgoingMessage.objects.all().delete()
        OutgoingQueue.objects.filter(pk=instance.pk).update(last_number=SENT)
        queue_messages(instance, 2, chats=2)
        with open_sender() as sender:
            add_queue(sender, instance, SENT + 1, SENT + 2)
            ended = sender.owned.queues[instance.pk].lane.ended_up_to
        assert ended == SENT
        whole, bounded = pages_read(instance, 0), pages_read(instance, ended)
        session.execute("ROLLBACK")
    assert bounded < whole / 10


ACCEPT = (
    f"UPDATE {claims.QUEUE} SET last_number = last_number + 1, length = length + 1 WHERE instance_id = %s"
)


def updates(session: Session) -> tuple[int, int]:
    """Returns how many queues this session has updated, and how many of these updates were HOT."""
    found = session.execute(
        "SELECT pg_stat_get_xact_tuples_updated(%(table)s::regclass),"
        " pg_stat_get_xact_tuples_hot_updated(%(table)s::regclass)",
        {"table": claims.QUEUE},
    ).fetchone()
    assert found
    return found[0], found[1]


def test_messages_of_an_owned_queue_change_no_index(me: Session) -> None:
    """Accepted, paced and sent one at a time, the queue is empty after each: all its updates are HOT."""
    instance = InstanceFactory()
    me.execute(ACCEPT, [instance.pk])
    assert list(claims.own(me, ME, [instance.pk])) == [instance.pk]
    with me.transaction():
        before = updates(me)
        for _ in range(5):  # their versions have room on the page
            claims.pace(me, {instance.pk: 1})
            me.execute(f"UPDATE {claims.QUEUE} SET length = length - 1 WHERE instance_id = %s", [instance.pk])
            me.execute(ACCEPT, [instance.pk])
        after = updates(me)
    assert (after[0] - before[0], after[1] - before[1]) == (15, 15)


def test_a_sweep_reads_few_of_the_old_versions_of_a_queue(me: Session) -> None:
    """Each leaves no entry in the index of active queues, but one page in sixty does."""
    instance = InstanceFactory()
    me.execute(ACCEPT, [instance.pk])
    claims.own(me, ME, [instance.pk])
    with worker_slots.connect() as old:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM instances_outgoingmessage")
        for _ in range(SENT // 2):
            me.execute(f"UPDATE {claims.QUEUE} SET length = length - 1 WHERE instance_id = %s", [instance.pk])
            me.execute(ACCEPT, [instance.pk])
        [found] = claims.sweep(me, ME)
        statement = claims.with_connected(claims.SWEEP, {"me": ME, "may_take_over": True})
        pages = explain_pages(me, *statement)
        old.execute("ROLLBACK")
    assert (found.lane, found.length, found.is_own) == (instance.pk, 1, True)
    assert pages < SENT / 10


def test_a_queue_is_active_while_it_has_messages_or_an_owner(me: Session) -> None:
    instance = InstanceFactory()
    queue = OutgoingQueue.objects.filter(pk=instance.pk)

    def state() -> tuple[bool, bool]:
        return queue.get().is_active, queue.with_messages().exists()

    assert state() == (False, False)
    me.execute(ACCEPT, [instance.pk])
    assert state() == (True, True)
    claims.own(me, ME, [instance.pk])
    queue.shorten(1)
    assert state() == (True, False)
    claims.release(me, ME, [instance.pk])
    assert state() == (False, False)


@pytest.fixture(scope="module")
def started() -> Iterator[MessengerProcess]:
    with MessengerProcess() as messenger:
        yield messenger


@pytest.fixture
def messenger(started: MessengerProcess, settings: Any) -> MessengerProcess:
    settings.SANDBOX_OVER_HTTP, settings.SANDBOX_MESSENGER_URL = True, started.url
    started.reset()
    return started


@pytest.fixture
def no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty queue is kept: what its sender does not know is not found by owning it again."""
    monkeypatch.setattr("instances.sending.owned_queues.IDLE_SECONDS", 3600.0)


def wait_until_read(sender: Sender, instance: Instance, number: int) -> None:
    """Waits until the sender knows that all messages up to this number have ended."""
    wait_until(
        lambda: (
            instance.pk in sender.owned.queues and sender.owned.queues[instance.pk].lane.ended_up_to == number
        ),
        "the whole queue was read again",
        60,
    )


def test_a_failed_message_that_is_resent_is_found(
    messenger: MessengerProcess, no_release: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.sending.owned_queues.READ_AGAIN_SECONDS", 0.0)
    instance = InstanceFactory()
    fault = {"kind": "status", "status": 400, "error": "Not now.", "times": 1}
    messenger.order(instance=instance.number, faults=[fault])
    with running_sender() as sender:
        queue_messages(instance, 3, chats=1)
        wait_until_empty(instance)
        [failed] = OutgoingMessage.objects.failed()
        messenger.order(instance=instance.number, faults=[{"kind": "hang", "times": 1}])
        queue_messages(instance, 1, chats=1, first=3)
        wait_until_read(sender, instance, 3)
        resend_message(instance, message_id=failed.message_id)
        wait_until_empty(instance)
    assert sent(instance) == {f"{phone(0)}@c.us": [1, 2, 3, 0]}
    assert_nothing_lost()


def test_what_postgresql_lost_in_a_failover_is_found_although_it_was_read_before(
    messenger: MessengerProcess, no_release: None
) -> None:
    """The queue is read from its start again: a message before the known ones is in it, as being sent."""
    instance = InstanceFactory()
    with running_sender() as sender:
        queue_messages(instance, 3, chats=1)
        wait_until_empty(instance)
        messenger.order(instance=instance.number, faults=[{"kind": "hang", "times": 1}])
        queue_messages(instance, 1, chats=1, first=3)
        wait_until(
            lambda: OutgoingMessage.objects.filter(state=SendState.SENDING).exists(), "it is being sent", 60
        )
        lost = Message.objects.get(instance=instance, body="1")
        sender.owned.queues[instance.pk].lane.ended_up_to = 3
        OutgoingMessage.objects.create(
            instance=instance, queue_number=lost.number, message_id=lost.message_id, body="1",
            chat_id=f"{phone(0)}@c.us", state=SendState.SENDING, tries=1, last_try_at=timezone.now(),
        )  # fmt: skip
        Message.objects.filter(pk=lost.pk).delete()
        OutgoingQueue.objects.filter(pk=instance.pk).update(length=2)
        with worker_slots.connect() as session:
            session.execute("SELECT pg_terminate_backend(%s)", [sender.worker_slot.session.info.backend_pid])
        wait_until_empty(instance)
    assert sent(instance)[f"{phone(0)}@c.us"].count(1) == 1
