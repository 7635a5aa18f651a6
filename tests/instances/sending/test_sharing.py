"""Which queues a sender gives up when others start, and how many it may own."""

from __future__ import annotations

import pytest
from django.db import connection

from hooks import worker_slots
from hooks.models import Role
from instances.channels.requests import Limits
from instances.models import Instance, OutgoingQueue
from instances.sending import claims
from instances.sending.lanes import Lane, Lanes, Waiting
from instances.sending.sharing import Sharing
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.sending.sending import queue_messages


@pytest.fixture
def lanes() -> Lanes:
    """Four lanes with two chats each; 1 and 2 have a message in flight."""
    made = Lanes(100)
    for key in (1, 2, 3, 4):
        lane = Lane(key, Limits(in_flight=1))
        lane.add([Waiting(10 * key, 1, "a"), Waiting(10 * key + 1, 2, "b")])
        made.insert(lane)
        if key < 3:
            lane.pick(0.0, 1)
            made.in_flight += 1
    return made


def test_those_without_a_message_in_flight_are_given_up_first(lanes: Lanes) -> None:
    sharing = Sharing(lanes)
    sharing.choose([1, 2, 3, 4], 2)
    assert sorted(sharing.ready_to_leave()) == [3, 4]
    sharing.choose([1, 2, 3, 4], 1)
    assert len(sharing.leaving) == 3 and sorted(sharing.ready_to_leave()) == [3, 4]


def test_a_queue_that_leaves_starts_nothing_and_is_given_up_when_its_request_has_ended(lanes: Lanes) -> None:
    sharing = Sharing(lanes)
    sharing.choose([1, 2], 1)
    [key] = sharing.leaving
    assert sharing.ready_to_leave() == []
    assert {lane.key for lane, _ in lanes.pick(0.0)} == {3, 4}
    lanes.end(lanes.lanes[key], 10 * key)
    assert key not in {lane.key for lane, _ in lanes.pick(0.0)}
    assert sharing.ready_to_leave() == [key]


def test_a_queue_within_the_share_again_is_kept(lanes: Lanes) -> None:
    sharing = Sharing(lanes)
    sharing.choose([3, 4], 1)
    sharing.choose([3, 4], None)  # the other sender has ended
    assert sharing.ready_to_leave() == []
    assert {lane.key for lane, _ in lanes.pick(0.0)} == {3, 4}


def test_a_queue_that_was_given_up_is_left_to_others(lanes: Lanes) -> None:
    sharing = Sharing(lanes)
    sharing.note_left([3])
    assert (sharing.is_left(3), sharing.is_left(4)) == (True, False)


@pytest.mark.django_db(transaction=True)
def test_the_share_counts_living_senders_and_queues_that_may_be_sent() -> None:
    instances = [InstanceFactory() for _ in range(5)]
    for instance in instances:
        queue_messages(instance, 1, chats=1)
    Instance.objects.filter(pk=instances[0].pk).update(account_status="loading")
    with (
        worker_slots.hold_slot(Role.OUTGOING, range(100, 102)) as first,
        worker_slots.hold_slot(Role.OUTGOING, range(100, 102)) as second,
    ):
        assert first is not None and second is not None
        assert claims.find_share(first.session) == 2
        claims.own(first.session, first.id, [each.pk for each in instances])
        assert claims.find_share(second.session) == 2
        claims.give_up(first.session, first.id, [instances[1].pk])
        assert OutgoingQueue.objects.get(pk=instances[1].pk).owner is None
        second.session.close()  # dies
        wait_until(lambda: claims.find_share(first.session) is None, "the other sender is dead")
    connection.close()
