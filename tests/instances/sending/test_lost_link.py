"""Messages that wait while their instance is not linked, and those that come when it is linked again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from instances.models import Instance
from instances.sending.lanes import Lane
from instances.sending.sender import Sender
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.sandbox.messenger_process import MessengerProcess
from tests.instances.sending.running_sender import running_sender
from tests.instances.sending.sending import in_order, phone, queue_messages, sent, wait_until_empty

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def messenger(settings: Any) -> Iterator[MessengerProcess]:
    with MessengerProcess() as started:
        settings.SANDBOX_OVER_HTTP, settings.SANDBOX_MESSENGER_URL = True, started.url
        yield started


@pytest.fixture(autouse=True)
def no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty queue is kept: its lane stays the same."""
    monkeypatch.setattr("instances.sending.owned_queues.IDLE_SECONDS", 3600.0)


def stop_sweeps(sender: Sender) -> None:
    """Lets no sweep begin any more, and waits until the last one was compared: its end plans the next one."""
    sender.sweeper.sweep_if_due = lambda: None  # type: ignore[method-assign]
    wait_until(lambda: not sender.sweeper.busy and not sender.sweeper.swept, "no sweep is left")
    sender.sweeper.next_sweep = math.inf


def lane_with_two(sender: Sender, instance: Instance) -> Lane:
    """Returns the lane of the instance, which holds the messages 1 and 2; 0 was sent."""
    queue_messages(instance, 1, chats=1)
    wait_until_empty(instance)
    lane = sender.owned.queues[instance.pk].lane
    lane.is_held = True
    queue_messages(instance, 2, chats=1, first=1)
    wait_until(lambda: lane.count() == 2, "it knows both")
    return lane


def link_and_send(instance: Instance, body: int) -> None:
    """Links the instance again, and waits until a new message is sent."""
    Instance.objects.filter(pk=instance.pk).update(account_status="authenticated")
    queue_messages(instance, 1, chats=1, first=body)
    wait_until(lambda: body in sent(instance).get(f"{phone(0)}@c.us", []), "the new one is sent", 60)


def test_what_waited_while_the_link_was_lost_is_sent_before_a_new_message(
    messenger: MessengerProcess,
) -> None:
    """A sweep drops the messages of an instance that may not send; the new one wakes the sender before the next."""
    instance = InstanceFactory()
    with running_sender() as sender:
        lane = lane_with_two(sender, instance)
        Instance.objects.filter(pk=instance.pk).update(account_status="loading")
        wait_until(lambda: not lane.chats, "a sweep has dropped them")
        stop_sweeps(sender)
        lane.is_held = False
        link_and_send(instance, 3)
    assert sent(instance) == in_order(4, chats=1)


def test_what_waited_while_the_token_was_revoked_is_sent_before_a_new_message(
    messenger: MessengerProcess,
) -> None:
    """The sender drops the others when the messenger refuses the first one, before any sweep."""
    instance = InstanceFactory()
    with running_sender() as sender:
        lane = lane_with_two(sender, instance)
        stop_sweeps(sender)
        messenger.order(instance=instance.number, revoked=True)
        lane.is_held = False
        queue_messages(instance, 1, chats=1, first=3)
        wait_until(lambda: not Instance.objects.get(pk=instance.pk).is_authenticated, "it is unlinked")
        wait_until(lambda: lane.is_quiet and lane.count() == 1, "it has dropped all but the refused one")
        messenger.order(instance=instance.number)
        link_and_send(instance, 4)
    assert sent(instance) == in_order(5, chats=1)
