"""The exact bytes of hooks (contract.md, section 3)."""

from datetime import UTC, datetime

from hooks.models import Hook
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.status import change_status
from instances.models import Instance, Message
from instances.sending import outgoing

NOON = datetime(2024, 5, 1, 12, 0, 0, 999_999, tzinfo=UTC)  # 1714564800


def last_body(kind: str) -> str:
    return bytes(Hook.objects.filter(kind=kind).latest("id").body).decode()


def test_a_message_from_a_contact(instance: Instance) -> None:
    message = receive_message(
        instance, sender="17680561234", sender_name="Анна", body='Say "hi" 👋', time=NOON
    )
    assert last_body("message") == (
        '{"messages":[{"id":"' + message.message_id + '","body":"Say \\"hi\\" 👋","fromMe":false,"self":0,'
        '"isForwarded":0,"author":"17680561234@c.us","time":1714564800,"chatId":"17680561234@c.us",'
        '"messageNumber":1,"type":"chat","senderName":"Анна","caption":null,"quotedMsgBody":null,'
        '"quotedMsgId":null,"quotedMsgType":null,"chatName":"Анна","metadata":null}],"instanceId":"12345"}'
    )


def test_a_forwarded_quoting_picture_in_a_group(instance: Instance) -> None:
    message = receive_message(
        instance,
        sender="17680561234@c.us",
        chat_id="17680561234-1479621234@g.us",
        type="image",
        body="https://example.com/cat.jpg",
        caption="my cat",
        forwarded=1,
        quoted={"id": "false_17680561234@c.us_AB", "body": "show it", "type": "chat"},
        time=NOON,
    )
    assert last_body("message") == (
        '{"messages":[{"id":"' + message.message_id + '","body":"https://example.com/cat.jpg","fromMe":false,'
        '"self":0,"isForwarded":1,"author":"17680561234@c.us","time":1714564800,'
        '"chatId":"17680561234-1479621234@g.us","messageNumber":1,"type":"image","senderName":"17680561234",'
        '"caption":"my cat","quotedMsgBody":"show it","quotedMsgId":"false_17680561234@c.us_AB",'
        '"quotedMsgType":"chat","chatName":"17680561234-1479621234","metadata":null}],"instanceId":"12345"}'
    )


def test_a_message_of_the_api_has_self_1_and_an_ack(instance: Instance) -> None:
    queued = send_message(instance, chat_id="17680561234", body="hello", metadata={"a": 1})
    outgoing.send_due()
    seconds = int(Message.objects.get().time.timestamp())
    assert last_body("message") == (
        '{"messages":[{"id":"' + queued.message_id + '","body":"hello","fromMe":true,"self":1,'
        f'"isForwarded":0,"author":"15550001111@c.us","time":{seconds},"chatId":"17680561234@c.us",'
        '"messageNumber":1,"type":"chat","senderName":"15550001111","caption":null,"quotedMsgBody":null,'
        '"quotedMsgId":null,"quotedMsgType":null,"chatName":"17680561234","metadata":{"a":1},"ack":1}],'
        '"instanceId":"12345"}'
    )


def test_an_ack(instance: Instance) -> None:
    queued = send_message(instance, chat_id="17680561234", body="hello")
    outgoing.send_due()
    assert last_body("ack") == (
        '{"ack":[{"id":"' + queued.message_id + '","queueNumber":1,"chatId":"17680561234@c.us",'
        '"status":"delivered"}],"instanceId":"12345"}'
    )


def test_a_status(instance: Instance) -> None:
    change_status(instance, substatus="battery_low")
    assert last_body("status") == (
        '{"instanceStatus":[{"old":{"accountStatus":"authenticated","substatus":"normal"},'
        '"new":{"accountStatus":"authenticated","substatus":"battery_low"},'
        f'"time":{int(instance.status_changed_at.timestamp())}}}],"instanceId":"12345"}}'
    )


def test_a_new_chat(instance: Instance) -> None:
    receive_message(instance, sender="17680561234", sender_name="Anna", body="hi", time=NOON)
    assert last_body("chat") == (
        '{"chatUpdate":[{"old":null,"new":{"id":"17680561234@c.us","name":"Anna","image":null,'
        '"metadata":{"isGroup":false,"participants":[],"admins":[],"groupInviteLink":null},'
        '"last_time":1714564800}}],"instanceId":"12345"}'
    )
