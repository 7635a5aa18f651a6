"""A queue that is read while the result of one of its messages is being recorded."""

from __future__ import annotations

import pytest

from instances.actions.sending.record import RetriedMessage, record_results
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Unlinked
from instances.models import Instance, OutgoingMessage, SendState
from instances.sending.database_threads import Claimer
from instances.sending.sender import Sender
from instances.sending.tries import Ended, Sending
from tests.factories import InstanceFactory
from tests.instances.sending.running_sender import open_sender
from tests.instances.sending.sending import queue_messages

pytestmark = pytest.mark.django_db(transaction=True)


def run_jobs(claimer: Claimer) -> None:
    """Runs what was submitted; the thread of the claimer is not started."""
    while claimer.busy:
        claimer.jobs.get()()  # type: ignore[misc]
        claimer.done += 1


def read(sender: Sender) -> None:
    """Reads the queues that are to be read, and looks at them."""
    sender.owned.own_and_read()
    run_jobs(sender.claimer)
    sender.collect_thread_results()


def take_first(sender: Sender, instance: Instance) -> OutgoingMessage:
    """Owns and reads the queue, and takes its first message."""
    sender.owned.note_notification(instance.pk)
    read(sender)
    picked = [(lane.key, waiting.key) for lane, waiting in sender.lanes.pick(0.0)]
    sender.claimer.take(picked, {})
    run_jobs(sender.claimer)
    [(_, [taken])] = sender.claimer.taken
    sender.claimer.taken.clear()
    return taken


def put_back(sender: Sender, outgoing: OutgoingMessage) -> None:
    """The result is recorded: the message is tried again."""
    recorded = RetriedMessage(outgoing, "Not now.")
    record_results([recorded])
    ended = Ended(sender.owned.queues[outgoing.instance_id], outgoing, recorded)
    sender.recorder.recorded.append([ended])


def known(sender: Sender, instance: Instance) -> list[str]:
    """Returns the bodies of the messages that wait, in the order in which they are sent."""
    chats = sender.owned.queues[instance.pk].lane.chats.values()
    numbers = [waiting.number for chat in chats for waiting in chat]
    found = dict(OutgoingMessage.objects.filter(instance=instance).values_list("queue_number", "body"))
    return [found[number] for number in numbers]


@pytest.mark.parametrize("source", ["to_read_again", "to_own"])
def test_a_message_that_was_put_back_while_the_queue_was_read_is_sent_before_the_next(source: str) -> None:
    instance = InstanceFactory()
    queue_messages(instance, 2, chats=1)
    with open_sender() as sender:
        taken = take_first(sender, instance)
        assert (taken.body, taken.state) == ("0", SendState.SENDING)
        getattr(sender.owned, source)[instance.pk] = None
        sender.owned.own_and_read()
        run_jobs(sender.claimer)  # it finds the first one as being sent
        put_back(sender, taken)
        sender.collect_thread_results()
        assert known(sender, instance) == ["0", "1"]
        assert list(getattr(sender.owned, source)) == [instance.pk]
        read(sender)
        assert known(sender, instance) == ["0", "1"]
        assert not sender.owned.has_work


def read_one_new(sender: Sender, instance: Instance) -> None:
    """A new message is read; the sender has not looked at it yet."""
    queue_messages(instance, 1, chats=1, first=2)
    sender.owned.note_notification(instance.pk)
    sender.owned.own_and_read()
    run_jobs(sender.claimer)


def test_a_new_message_that_is_read_while_others_are_dropped_is_sent_after_them() -> None:
    """The messenger refuses the credentials, and the instance is linked again at once."""
    instance = InstanceFactory()
    queue_messages(instance, 2, chats=1)
    with open_sender() as sender:
        taken = take_first(sender, instance)
        read_one_new(sender, instance)
        queue = sender.owned.queues[instance.pk]
        sending = Sending(queue, taken, message_to_send(taken, queue.channel))
        sender.results.end_try(sending, Unlinked("The token was revoked."))
        sender.collect_thread_results()
        assert known(sender, instance) == []
        read(sender)
        assert known(sender, instance) == ["1", "2"]


def test_a_new_message_is_sent_after_one_whose_result_could_not_be_stored() -> None:
    instance = InstanceFactory()
    queue_messages(instance, 2, chats=1)
    with open_sender() as sender:
        taken = take_first(sender, instance)
        read_one_new(sender, instance)
        sender.lanes.end(sender.owned.queues[instance.pk].lane, taken.pk)
        put_back(sender, taken)
        sender.recorder.recorded[0][0].has_left = True
        sender.collect_thread_results()
        assert known(sender, instance) == ["1"]
        read(sender)
        assert known(sender, instance) == ["0", "1", "2"]
