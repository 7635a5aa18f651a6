"""An example of each of the four kinds of hooks, with the exact bytes that instances/payloads.py creates."""

from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString

from instances import payloads
from instances.models import Ack, Chat, Instance, Message
from instances.pages.docs.markup import highlight_code, render_inline
from instances.payload_examples import CHAT, MEMBER, RECEIVED, SENT

EVENT_TIME = datetime(2026, 11, 15, tzinfo=UTC)


class Family(NamedTuple):
    """A kind of hook: its key, when it is sent, and the body of an example, plain and highlighted."""

    key: str
    title: str
    description: SafeString
    body: str
    html: SafeString


def build_families(number: int) -> list[Family]:
    """Returns the examples for the instance with this number. Nothing is saved."""
    instance = Instance(number=number, phone="15550001111")
    chat = Chat(instance=instance, chat_id=CHAT, name="Ann", last_time=EVENT_TIME)
    group = Chat(
        instance=instance,
        chat_id="15550001111-1479621234@g.us",
        name="Friends",
        is_group=True,
        last_time=EVENT_TIME,
        invite_code="Kq3vX9mBt0aZ",
    )
    received = Message(
        instance=instance,
        chat=chat,
        number=102,
        message_id=RECEIVED,
        author=CHAT,
        sender_name="Ann",
        body="Hello",
        time=EVENT_TIME,
    )
    sent = Message(
        instance=instance,
        chat=chat,
        number=103,
        message_id=SENT,
        author="15550001111@c.us",
        body="Hi",
        from_me=True,
        by_api=True,
        ack=Ack.SENT,
        queue_number=2223,
        time=EVENT_TIME,
    )
    own = ("15550001111@c.us", True)
    old = payloads.chat_dict(group, [own])
    new = payloads.chat_dict(group, [own, (MEMBER, False)])
    change = payloads.status_body(
        instance, old=("got qr code", "normal"), new=("authenticated", "normal"), at=EVENT_TIME
    )
    return [
        build_family(
            "messages",
            "A message",
            "Every message, incoming and outgoing: `fromMe` is true for outgoing ones; `self` is 1 if the API sent it "
            "and 0 if it was typed on the phone. A missed call is a message of type `call_log`.",
            payloads.message_body(received),
        ),
        build_family(
            "ack",
            "An ack",
            "With `ackNotificationsOn`. `id` and `queueNumber` are those of the send reply. A status never goes back, "
            "but one can be skipped. A message typed on the phone gets no acks.",
            payloads.ack_body(sent, Ack.DELIVERED),
        ),
        build_family(
            "chatUpdate",
            "A chat",
            "With `chatUpdateOn`: a chat is new (`old` is null), or its name, picture or members changed.",
            payloads.chat_body(instance, old=old, new=new),
        ),
        build_family(
            "instanceStatus",
            "A status",
            "With `statusNotificationsOn`. *ours*: the original's key is not known.",
            change,
        ),
    ]


def build_family(key: str, title: str, description: str, body: bytes) -> Family:
    text = body.decode()
    return Family(key, title, render_inline(description), text, highlight_code(text, "json"))


HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", f"ChatAPI/{settings.VERSION}"),
    ("webhook-id", "hook_0192f4c65d7b7c33a1e04be1f1d6e1aa, the same for all attempts"),
    ("webhook-timestamp", "1794700801, Unix seconds"),
    (
        "webhook-signature",
        "v1,…: Standard Webhooks, with the instance's signing secret; several during a rotation",
    ),
    ("webhook-attempt", "3/20"),
    ("webhook-simulated", "1, on simulated hooks only"),
)
