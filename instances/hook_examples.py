"""Examples of hooks, with the exact bytes that instances/payloads.py creates. Nothing is saved."""

from datetime import UTC, datetime

from instances import payloads
from instances.models import Ack, Chat, Instance, Message, MessageType
from instances.payload_examples import CHAT, GROUP, MEMBER, RECEIVED, SENT

EVENT_TIME = datetime(2026, 11, 15, tzinfo=UTC)
OWN = "15550001111@c.us"


def example_instance(number: int) -> Instance:
    """Returns an unsaved instance with this number."""
    return Instance(number=number, phone="15550001111")


def direct_chat(instance: Instance) -> Chat:
    return Chat(instance=instance, chat_id=CHAT, name="Ann", stored_last_time=EVENT_TIME)


def group_chat(instance: Instance) -> Chat:
    return Chat(
        instance=instance,
        chat_id=GROUP,
        name="Friends",
        is_group=True,
        stored_last_time=EVENT_TIME,
        invite_code="Kq3vX9mBt0aZ",
    )


def received(instance: Instance) -> bytes:
    """The hook of a text from a contact."""
    message = Message(
        instance=instance,
        chat=direct_chat(instance),
        number=102,
        message_id=RECEIVED,
        author=CHAT,
        sender_name="Ann",
        body="Hello",
        time=EVENT_TIME,
    )
    return payloads.message_body(message)


def received_in_group(instance: Instance) -> bytes:
    """The hook of a picture from a member of a group, which quotes another message."""
    message = Message(
        instance=instance,
        chat=group_chat(instance),
        number=104,
        message_id=f"false_{GROUP}_5C5A2D1F0B6E4A3D9C8B7A6F5E4D3C2C_{MEMBER}",
        author=MEMBER,
        sender_name="Ben",
        type=MessageType.IMAGE,
        body="https://chat.example.com/media/0123456789abcdef/photo.jpg",
        caption="This one?",
        quoted={"id": RECEIVED, "body": "Hello", "type": "chat"},
        time=EVENT_TIME,
    )
    return payloads.message_body(message)


def sent_message(instance: Instance) -> Message:
    return Message(
        instance=instance,
        chat=direct_chat(instance),
        number=103,
        message_id=SENT,
        author=OWN,
        body="Hi",
        from_me=True,
        by_api=True,
        ack=Ack.SENT,
        queue_number=2223,
        time=EVENT_TIME,
    )


def sent(instance: Instance) -> bytes:
    """The hook of a text that the API has sent."""
    return payloads.message_body(sent_message(instance))


def delivered(instance: Instance) -> bytes:
    """The hook of an ack."""
    return payloads.ack_body(sent_message(instance), Ack.DELIVERED)


def new_chat(instance: Instance) -> bytes:
    """The hook of a new direct chat."""
    return payloads.chat_body(instance, old=None, new=payloads.chat_dict(direct_chat(instance)))


def member_added(instance: Instance) -> bytes:
    """The hook of a group with another member."""
    group = group_chat(instance)
    old = payloads.chat_dict(group, [(OWN, True)])
    new = payloads.chat_dict(group, [(OWN, True), (MEMBER, False)])
    return payloads.chat_body(instance, old=old, new=new)


def authenticated(instance: Instance) -> bytes:
    """The hook of an account that was linked."""
    old, new = ("got qr code", "normal"), ("authenticated", "normal")
    return payloads.status_body(instance, old=old, new=new, at=EVENT_TIME)
