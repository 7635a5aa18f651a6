"""`forwardMessage` and `deleteMessage` (contract.md §2)."""

import base64
from datetime import timedelta

import pytest
from django.utils import timezone

from hooks.models import Hook
from instances.actions.messages import receive_message, type_on_phone
from instances.models import Instance, Media, Message, OutgoingMessage, OutgoingQueue
from instances.sending import outgoing
from tests.factories import InstanceFactory
from tests.instances.contract.conftest import Call

TO = "17680561234"
OTHER = "19990001122"
PHOTO = "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff\xe0photo").decode()


def send(post: Call, body: str = "hello") -> str:
    """The id of a text that was sent to the messenger."""
    message_id = post("sendMessage", phone=TO, body=body)["id"]
    outgoing.send_due()
    return message_id


def test_forward_message(post: Call, get: Call, instance: Instance) -> None:
    original = receive_message(instance, sender=TO, body="news")
    answer = post("forwardMessage", phone=OTHER, messageId=original.message_id)
    message_id = answer.pop("id")
    assert answer == {"sent": True, "message": "Sent to 19990001122@c.us", "queueNumber": 1}
    outgoing.send_due()
    copy = get("messages")["messages"][1]
    assert (copy["id"], copy["body"], copy["isForwarded"], copy["fromMe"], copy["self"]) == (
        message_id, "news", 1, True, 1,
    )  # fmt: skip


def test_what_was_forwarded_already_counts_on(post: Call, get: Call, instance: Instance) -> None:
    original = receive_message(instance, sender=TO, body="news", forwarded=4)
    post("forwardMessage", phone=OTHER, messageId=original.message_id)
    outgoing.send_due()
    assert get("messages")["messages"][1]["isForwarded"] == 5


def test_forward_several_messages_in_their_order(post: Call, get: Call) -> None:
    ids = [send(post, body) for body in ("one", "two", "three")]
    answer = post("forwardMessage", phone=OTHER, messageId=ids)
    assert (answer["sent"], answer["queueNumber"]) == (True, 6)
    assert [each["queueNumber"] for each in answer["messages"]] == [4, 5, 6]
    assert answer["messages"][-1]["id"] == answer["id"]
    outgoing.send_due()
    assert [(m["chatId"], m["body"]) for m in get("messages")["messages"][3:]] == [
        ("19990001122@c.us", "one"), ("19990001122@c.us", "two"), ("19990001122@c.us", "three"),
    ]  # fmt: skip


def test_several_are_forwarded_all_or_none(post: Call) -> None:
    known = send(post)
    answer = post("forwardMessage", phone=OTHER, messageId=[known, "true_1@c.us_X"])
    assert answer == {"sent": False, "message": "There is no message with the id true_1@c.us_X."}
    assert (OutgoingMessage.objects.count(), OutgoingQueue.objects.get().last_number) == (0, 1)


def test_several_that_do_not_fit_into_the_queue_are_not_forwarded(post: Call) -> None:
    known = send(post)
    OutgoingQueue.objects.update(length=399)
    answer = post("forwardMessage", phone=OTHER, messageId=[known, known])
    assert answer["message"] == "Message was not sent: the queue holds 400 messages, which is the limit."
    assert (OutgoingMessage.objects.count(), OutgoingQueue.objects.get().last_number) == (0, 1)


def test_a_message_that_still_waits_can_be_forwarded_and_quoted(post: Call, get: Call) -> None:
    waiting = post("sendMessage", phone=TO, body="first")["id"]
    assert post("forwardMessage", phone=OTHER, messageId=waiting)["sent"] is True
    assert post("sendMessage", phone=TO, body="as I said", quotedMsgId=waiting)["sent"] is True
    outgoing.send_due()
    _, copy, quoting = get("messages")["messages"]
    assert (copy["body"], copy["isForwarded"]) == ("first", 1)
    assert (quoting["quotedMsgId"], quoting["quotedMsgBody"]) == (waiting, "first")


def test_a_forwarded_file_is_the_same_file_kept_for_another_30_days(post: Call, get: Call) -> None:
    message_id = post("sendFile", phone=TO, body=PHOTO, filename="photo.jpg", caption="look")["id"]
    outgoing.send_due()
    Media.objects.update(expires_at=timezone.now() + timedelta(days=1))
    post("forwardMessage", phone=OTHER, messageId=message_id)
    outgoing.send_due()
    first, copy = get("messages")["messages"]
    assert (copy["type"], copy["body"], copy["caption"]) == ("image", first["body"], "look")
    assert Media.objects.get().expires_at > timezone.now() + timedelta(days=29)


def test_what_can_not_be_forwarded(post: Call, instance: Instance) -> None:
    call = receive_message(instance, sender=TO, type="call_log")
    deleted = send(post)
    Message.objects.filter(message_id=deleted).update(deleted_at=timezone.now())
    photo = post("sendFile", phone=TO, body=PHOTO, filename="photo.jpg")["id"]
    outgoing.send_due()
    Media.objects.all().delete()
    for message_id, why in (
        (call.message_id, "A missed call can't be forwarded."),
        (deleted, f"The message {deleted} has been deleted."),
        (photo, f"The file of the message {photo} is no longer kept."),
    ):
        assert post("forwardMessage", phone=OTHER, messageId=message_id) == {"sent": False, "message": why}
    assert not OutgoingMessage.objects.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "`messageId` is required: the id of the message to forward, or an array of ids."),
        ({"messageId": []}, "`messageId` must be the id of the message to forward, or an array of ids."),
        ({"messageId": ["a"] * 101}, "At most 100 messages are forwarded at once."),
    ],
)
def test_forward_message_refuses_with_the_reason(
    post: Call, given: dict[str, list[str]], message: str
) -> None:
    assert post("forwardMessage", phone=OTHER, **given) == {"sent": False, "message": message}


def test_delete_message_goes_through_the_queue(post: Call, get: Call) -> None:
    message_id = send(post)
    hooks = Hook.objects.count()
    answer = post("deleteMessage", messageId=message_id)
    assert answer == {
        "sent": True, "message": "Sent to 17680561234@c.us", "id": message_id, "queueNumber": 2,
    }  # fmt: skip
    assert Message.objects.get().deleted_at is None
    outgoing.send_due()
    assert Message.objects.get().deleted_at is not None
    assert (OutgoingMessage.objects.count(), OutgoingQueue.objects.get().length) == (0, 0)
    assert len(get("messages")["messages"]) == 1
    assert Hook.objects.count() == hooks


def test_a_message_that_still_waits_is_sent_and_then_deleted(post: Call) -> None:
    message_id = post("sendMessage", phone=TO, body="oops")["id"]
    assert post("deleteMessage", phone=TO, messageId=message_id)["queueNumber"] == 2
    outgoing.send_due()
    message = Message.objects.get()
    assert (message.message_id, message.deleted_at is not None) == (message_id, True)


def test_only_own_messages_can_be_deleted(post: Call, instance: Instance) -> None:
    theirs = receive_message(instance, sender=TO, body="hi")
    assert post("deleteMessage", messageId=theirs.message_id) == {
        "sent": False,
        "message": "Only your own messages can be deleted for everyone, and this one is your contact's.",
    }
    assert not OutgoingMessage.objects.exists()


def test_a_message_is_deleted_once(post: Call) -> None:
    message_id = send(post)
    Message.objects.update(deleted_at="2024-05-01T12:00:00Z")
    assert post("deleteMessage", messageId=message_id) == {
        "sent": False,
        "message": "The message was deleted already, at 2024-05-01 12:00:00 UTC.",
    }


def test_a_message_of_another_chat_is_not_deleted(post: Call) -> None:
    message_id = send(post)
    assert post("deleteMessage", phone=OTHER, messageId=message_id) == {
        "sent": False,
        "message": "The message is not in the chat 19990001122@c.us but in 17680561234@c.us.",
    }
    assert not OutgoingMessage.objects.exists()


def test_another_instances_message_is_neither_deleted_nor_forwarded(post: Call) -> None:
    bobs = InstanceFactory(owner__email="bob@example.org")
    theirs = type_on_phone(bobs, chat_id=TO, body="mine")
    nothing = {"sent": False, "message": f"There is no message with the id {theirs.message_id}."}
    assert post("deleteMessage", messageId=theirs.message_id) == nothing
    assert post("forwardMessage", phone=TO, messageId=theirs.message_id) == nothing


def test_delete_message_needs_an_id(post: Call) -> None:
    assert post("deleteMessage", phone=TO) == {
        "sent": False,
        "message": "`messageId` is required: the id of a message that you sent.",
    }
