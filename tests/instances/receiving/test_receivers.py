"""Resident receivers as real processes, with a messenger that is polled and one with a stream, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from hooks.models import Hook
from instances.actions.channel_links import remove_link, save_link
from instances.actions.lifecycle import delete_instance
from instances.models import Instance, Message, ReceiverState
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.receiving import polling, streaming
from tests.instances.receiving.conftest import Link
from tests.instances.receiving.polling import PollingMessenger
from tests.instances.receiving.processes import Receive
from tests.instances.receiving.streaming import StreamingMessenger
from tests.instances.receiving.wire_format import message

pytestmark = [pytest.mark.usefixtures("checked"), pytest.mark.timeout(300)]

Messenger = PollingMessenger | StreamingMessenger


@pytest.fixture(params=[polling.NAME, streaming.NAME])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def messenger(name: str) -> Iterator[Messenger]:
    with PollingMessenger() if name == polling.NAME else StreamingMessenger() as messenger:
        yield messenger


@pytest.fixture
def alice(transactional_db: None, link: Link, name: str, messenger: Messenger) -> Instance:
    return link(name, messenger.credentials("alice"))


def bodies(instance: Instance) -> list[str]:
    return list(Message.objects.filter(instance=instance).order_by("number").values_list("body", flat=True))


def numbers(*arguments: int) -> list[str]:
    return [str(number) for number in range(*arguments)]


def state(instance: Instance) -> ReceiverState:
    return ReceiverState.objects.get(instance=instance)


def wait_for(instance: Instance, expected: list[str], what: str = "all messages are received") -> None:
    wait_until(lambda: len(bodies(instance)) >= len(expected), what, 90)
    assert bodies(instance) == expected


def cursor_of(name: str, received: int) -> str:
    """Returns the cursor after so many events."""
    return str(received if name == polling.NAME else received - 1)


def test_events_are_received_in_order_with_their_hooks_and_the_cursor_saved(
    alice: Instance, messenger: Messenger, name: str, tmp_path: Path
) -> None:
    messenger.add("alice", *map(message, range(12)))
    with Receive(tmp_path):
        wait_for(alice, numbers(12))
        messenger.add("alice", *map(message, range(12, 15)))
        wait_for(alice, numbers(15))
        wait_until(lambda: messenger.confirmed["alice"] == 15, "the messenger hears of it")
    found = state(alice)
    assert (found.cursor, found.owner, found.error) == (cursor_of(name, 15), None, "")
    assert found.connected_at and found.success_at and found.received_at
    assert Hook.objects.filter(endpoint=alice.pk, kind="message").count() == 15
    messenger.add("alice", message(15))
    with Receive(tmp_path):
        wait_for(alice, numbers(16), "the next receiver continues after the cursor")


def test_kill_nine_in_the_middle_loses_and_doubles_nothing(
    alice: Instance, messenger: Messenger, tmp_path: Path
) -> None:
    number = 0
    for round in range(1, 4):
        with Receive(tmp_path) as killed:
            messenger.add("alice", *map(message, range(number, number + 100)))
            wait_until(lambda round=round: len(bodies(alice)) > 300 * (round - 1) + 50, "it receives")  # type: ignore[misc]
            # all of the first may have been received by now, but not these
            messenger.add("alice", *map(message, range(number + 100, number + 300)))
            number += 300
            killed.kill()
        found = len(bodies(alice))
        assert found < number, "it was killed in the middle"
        assert int(state(alice).cursor) <= found, "the cursor is never ahead of the events"
    with Receive(tmp_path):
        wait_for(alice, numbers(number))
    assert Hook.objects.filter(endpoint=alice.pk, kind="message").count() == number


def test_events_that_the_messenger_repeats_are_recorded_once(
    alice: Instance, messenger: Messenger, tmp_path: Path
) -> None:
    messenger.add("alice", *(message(number) for number in (0, 1, 0, 1, 2, 0)))
    with Receive(tmp_path):
        wait_until(lambda: messenger.confirmed["alice"] == 6, "all are confirmed")
    assert bodies(alice) == ["0", "1", "2"]


def test_two_receivers_share_the_instances_and_one_takes_over_when_the_other_dies(
    transactional_db: None, link: Link, name: str, messenger: Messenger, tmp_path: Path
) -> None:
    accounts = [f"account{number}" for number in range(10)]
    instances = [link(name, messenger.credentials(account)) for account in accounts]

    def owners() -> list[int]:
        """Returns how many instances each receiver has."""
        found = list(ReceiverState.objects.values_list("owner", flat=True))
        return sorted(found.count(owner) for owner in set(found) if owner is not None)

    with Receive(tmp_path) as first:
        wait_until(lambda: owners() == [10], "the first has all")
        with Receive(tmp_path) as second:
            wait_until(lambda: owners() == [5, 5], "each has half")
            for account in accounts:
                messenger.add(account, *map(message, range(20)))
            first.kill()
            wait_until(
                lambda: set(ReceiverState.objects.values_list("owner", flat=True)) == {second.run_id}, "over"
            )
            for account in accounts:
                messenger.add(account, *map(message, range(20, 30)))
            for instance in instances:
                wait_for(instance, numbers(30))
        assert owners() == [], "a receiver that stops gives its instances back"


def test_a_failing_messenger_is_tried_again_and_the_reason_is_shown(
    alice: Instance, messenger: Messenger, tmp_path: Path, name: str
) -> None:
    with Receive(tmp_path):
        wait_until(lambda: state(alice).connected_at, "connected")
        if isinstance(messenger, PollingMessenger):
            messenger.fault = 503, {}
            wait_until(lambda: state(alice).failures >= 2, "it fails twice")
            found = state(alice)
            assert found.error.startswith("The messenger responded with 503 to")
            assert found.connected_at is None and found.failing_since
            assert found.next_try_at > found.failing_since
            messenger.fault = None
        else:
            messenger.drop()
            wait_until(lambda: messenger.opened["alice"] >= 2, "it connects again")
        messenger.add("alice", message(0))
        wait_for(alice, ["0"])
        wait_until(lambda: state(alice).failing_since is None, "it is healthy again")
        assert state(alice).error == ""


def test_a_lost_link_changes_the_status_and_new_credentials_connect_at_once(
    transactional_db: None, link: Link, name: str, messenger: Messenger, tmp_path: Path
) -> None:
    alice = link(name, messenger.credentials("alice") | {"token": "wrong-token-of-alice"})
    messenger.add("alice", message(0))
    with Receive(tmp_path):
        wait_until(lambda: state(alice).failing_since, "it fails")
        alice.refresh_from_db()
        assert alice.account_status == "init"
        assert "token" in state(alice).error and "wrong-token" not in state(alice).error
        assert state(alice).next_try_at > timezone.now() + timedelta(minutes=3)
        save_link(alice, credentials=messenger.credentials("alice"), acting_user=None)
        wait_for(alice, ["0"])


def test_instances_that_are_stopped_unpaid_unlinked_or_deleted_are_not_received_for(
    transactional_db: None, link: Link, name: str, messenger: Messenger, tmp_path: Path
) -> None:
    stopped, unpaid, unlinked, deleted = (
        link(name, messenger.credentials(str(number))) for number in range(4)
    )
    with Receive(tmp_path):
        wait_until(lambda: not ReceiverState.objects.filter(connected_at=None).exists(), "all are connected")
        Instance.objects.filter(pk=stopped.pk).update(stopped_at=timezone.now())
        Instance.objects.filter(pk=unpaid.pk).update(paid_until=timezone.now())
        remove_link(unlinked, acting_user=None)
        delete_instance(deleted, acting_user=None)
        if isinstance(messenger, StreamingMessenger):
            wait_until(lambda: not messenger.streams, "the streams are closed", 60)
        else:
            wait_until(lambda: quiet(messenger), "no more polls", 60)
        Instance.objects.filter(pk=stopped.pk).update(stopped_at=None)
        messenger.add("0", message(0))
        wait_for(stopped, ["0"], "it is received for again")


def test_a_receiver_that_the_database_does_not_answer_leaves_the_messenger(
    transactional_db: None, link: Link, tmp_path: Path
) -> None:
    """After a while another machine has its instances; the stream would be open twice."""
    with StreamingMessenger() as messenger, Receive(tmp_path):
        alice = link(streaming.NAME, messenger.credentials("alice"))
        wait_until(lambda: messenger.opened["alice"] >= 1, "the stream is open", 90)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE hooks_runner IN ACCESS EXCLUSIVE MODE")  # the heartbeat waits
            messenger.add("alice", message(0))
            wait_until(lambda: not messenger.streams, "the stream has ended", 90)
            messenger.add("alice", message(1))
        wait_for(alice, ["0", "1"], "it is received again")
        assert messenger.opened["alice"] >= 2


def quiet(messenger: PollingMessenger) -> bool:
    """Returns whether no poll has come for longer than one lasts."""
    before = sum(messenger.asked.values())
    time.sleep(2 * polling.WAIT_SECONDS)
    return sum(messenger.asked.values()) == before


def test_an_event_that_is_refused_is_counted_and_does_not_stop_the_others(
    alice: Instance, messenger: Messenger, tmp_path: Path
) -> None:
    messenger.add("alice", message(0), message(1, sender="no number"), message(2))
    with Receive(tmp_path):
        wait_for(alice, ["0", "2"])
        wait_until(lambda: state(alice).refused == 1, "it is counted")
    assert state(alice).last_refusal.startswith(
        "MessageReceived: phone parameter should contain only numbers"
    )
