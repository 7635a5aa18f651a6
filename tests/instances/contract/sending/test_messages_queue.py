"""`showMessagesQueue` and `clearMessagesQueue` (contract.md §2)."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from instances.actions.lifecycle import create_instance
from instances.actions.sending.accept import send_message
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue
from instances.sending import outgoing
from tests.instances.contract.conftest import Call


@pytest.fixture
def three(post: Call) -> list[int]:
    """The queue numbers of three waiting messages."""
    return [
        post("sendMessage", phone="17680561234", body=text)["queueNumber"]
        for text in ("first", "second", "third")
    ]


def test_show_messages_queue_of_an_empty_queue(get: Call) -> None:
    assert get("showMessagesQueue") == {"totalMessages": 0, "first100": []}


def test_show_messages_queue(get: Call, three: list[int]) -> None:
    OutgoingMessage.objects.filter(body="first").update(
        last_try_at=datetime(2030, 1, 1, tzinfo=UTC), metadata={"mentionedPhones": ["17680561234"]}
    )
    answer = get("showMessagesQueue")
    assert answer["totalMessages"] == 3
    assert answer["first100"][:2] == [
        {
            "id": three[0],
            "body": "first",
            "type": "chat",
            "chatId": "17680561234@c.us",
            "last_try": 1893456000,
            "metadata": {"mentionedPhones": ["17680561234"]},
        },
        {
            "id": three[1],
            "body": "second",
            "type": "chat",
            "chatId": "17680561234@c.us",
            "last_try": 0,
            "metadata": {},
        },
    ]


def test_show_messages_queue_shows_the_first_hundred(get: Call, instance: Instance) -> None:
    for number in range(103):
        send_message(instance, chat_id="17680561234", body=f"{number}")
    answer = get("showMessagesQueue")
    assert answer["totalMessages"] == 103
    assert [one["id"] for one in answer["first100"]] == list(range(1, 101))


def test_clear_messages_queue(post: Call, get: Call, three: list[int]) -> None:
    assert post("clearMessagesQueue") == {
        "message": "3 messages were removed from the queue.",
        "messageTextsExample": ["first", "second", "third"],
    }
    assert get("showMessagesQueue") == {"totalMessages": 0, "first100": []}
    assert outgoing.send_due() == 0
    assert not Message.objects.exists()
    assert post("clearMessagesQueue") == {
        "message": "0 messages were removed from the queue.",
        "messageTextsExample": [],
    }


def test_clear_messages_queue_shows_a_few_texts_and_not_whole_books(post: Call, instance: Instance) -> None:
    for number in range(12):
        send_message(instance, chat_id="17680561234", body=f"{number} " + "x" * 2000)
    texts = post("clearMessagesQueue")["messageTextsExample"]
    assert [text.partition(" ")[0] for text in texts] == [str(number) for number in range(10)]
    assert {len(text) for text in texts} == {1000}


def test_numbers_go_on_after_the_queue_was_cleared(post: Call, get: Call, three: list[int]) -> None:
    post("clearMessagesQueue")
    assert post("sendMessage", phone="17680561234", body="fourth")["queueNumber"] == three[-1] + 1
    assert OutgoingQueue.objects.get().length == 1
    outgoing.send_due()
    assert [message["messageNumber"] for message in get("messages")["messages"]] == [1]


def test_a_message_in_the_messengers_hands_is_sent_and_recorded(
    post: Call, instance: Instance, three: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clears the queue while the first message is being sent and the others wait."""
    instance.send_delay = 5
    instance.save(update_fields=["send_delay"])
    said = []
    carry_out = outgoing.channel_of(instance).carry_out

    def slowly(taken: Sequence[tuple[Instance, OutgoingMessage]]) -> object:
        said.append(post("clearMessagesQueue"))
        return carry_out(taken)

    monkeypatch.setattr(type(outgoing.channel_of(instance)), "carry_out", lambda _, taken: slowly(taken))
    assert outgoing.send_due() == 1
    assert said == [
        {
            "message": "2 messages were removed from the queue. "
            "1 was already handed to the messenger and will be sent.",
            "messageTextsExample": ["second", "third"],
        }
    ]
    assert [message.body for message in Message.objects.all()] == ["first"]
    assert (OutgoingMessage.objects.count(), OutgoingQueue.objects.get().length) == (0, 0)


def test_a_message_that_was_tried_and_is_queued_again_can_be_cleared(post: Call, three: list[int]) -> None:
    OutgoingMessage.objects.filter(body="first").update(last_try_at=timezone.now())
    assert post("clearMessagesQueue")["message"] == "3 messages were removed from the queue."
    assert OutgoingQueue.objects.get().length == 0


def test_another_instances_queue_stays(post: Call, instance: Instance, three: list[int]) -> None:
    other = create_instance(instance.owner)
    send_message(other, chat_id="17680561234", body="other")
    post("clearMessagesQueue")
    assert [message.body for message in OutgoingMessage.objects.all()] == ["other"]
    assert OutgoingQueue.objects.get(instance=other).length == 1
