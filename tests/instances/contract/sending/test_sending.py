"""`sendMessage`: its replies (contract.md §2)."""

import re

import pytest

from instances.actions.messages import receive_message
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue
from instances.sending import outgoing
from tests.instances.contract.conftest import Call


def test_the_reply(post: Call) -> None:
    OutgoingQueue.objects.update(last_number=2222)
    answer = post("sendMessage", phone="17680561234", body="hello")
    assert list(answer) == ["sent", "message", "id", "queueNumber"]
    message_id = answer.pop("id")
    assert answer == {"sent": True, "message": "Sent to 17680561234@c.us", "queueNumber": 2223}
    assert re.fullmatch(r"true_17680561234@c\.us_3EB0[0-9A-F]{16}", message_id)


def test_the_id_of_the_reply_is_the_messages_id_for_good(post: Call, get: Call) -> None:
    message_id = post("sendMessage", phone="17680561234", body="hello")["id"]
    outgoing.send_due()
    (message,) = get("messages")["messages"]
    assert (message["id"], message["body"], message["self"], message["ack"]) == (message_id, "hello", 1, 2)


def test_to_a_group(post: Call) -> None:
    answer = post("sendMessage", chatId="17680561234-1479621234@g.us", body="hello")
    assert answer["message"] == "Sent to 17680561234-1479621234@g.us"


@pytest.mark.parametrize("status", ["init", "loading", "got qr code"])
def test_while_the_account_is_not_authenticated_it_waits_and_says_so(post: Call, status: str) -> None:
    Instance.objects.update(account_status=status)
    answer = post("sendMessage", phone="17680561234", body="hello")
    assert (answer["sent"], answer["queueNumber"]) == (True, 1)
    assert answer["message"] == (
        "Status of the account not equals authenticated."
        " Message to  17680561234@c.us will be sent after successful auth."
    )
    assert OutgoingMessage.objects.get().message_id == answer["id"]


def test_one_more_than_the_queue_holds_is_refused(post: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.actions.sending.accept.QUEUE_LIMIT", 2)
    assert [post("sendMessage", phone="17680561234", body="hello")["sent"] for _ in range(2)] == [True, True]
    assert post("sendMessage", phone="17680561234", body="hello") == {
        "sent": False,
        "message": "Message was not sent: the queue holds 2 messages, which is the limit.",
    }
    assert OutgoingMessage.objects.count() == 2


def test_quoting_a_message(post: Call, instance: Instance) -> None:
    asked = receive_message(instance, sender="17680561234", body="which one?")
    post("sendMessage", phone="17680561234", body="that", quotedMsgId=asked.message_id)
    outgoing.send_due()
    assert Message.objects.get(body="that").quoted == {
        "id": asked.message_id,
        "body": "which one?",
        "type": "chat",
    }


def test_quoting_a_message_that_is_not_there(post: Call) -> None:
    answer = post("sendMessage", phone="17680561234", body="that", quotedMsgId="false_1@c.us_AB")
    assert answer == {"sent": False, "message": "The message to be quoted was not found."}
    assert not OutgoingMessage.objects.exists()


def test_a_malformed_mentioned_phone(post: Call) -> None:
    answer = post("sendMessage", phone="17680561234", body="that", mentionedPhones="17680561234,x")
    assert answer["sent"] is False
    assert not OutgoingMessage.objects.exists()


def test_a_text_of_64_kb_is_sent_and_a_byte_more_is_not(post: Call) -> None:
    assert post("sendMessage", phone="17680561234", body="\u00e9" * 32_768)["sent"] is True
    assert post("sendMessage", phone="17680561234", body="\u00e9" * 32_768 + "x") == {
        "sent": False,
        "message": "Message was not sent: the text is longer than 65536 bytes.",
    }
    assert OutgoingMessage.objects.count() == 1
