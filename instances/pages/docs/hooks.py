"""The four families of hooks with their exact bytes, made by instances/payloads.py as every hook is."""

from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString

from instances import payloads
from instances.models import Ack, Chat, Instance, Message
from instances.pages.docs.markup import coloured, marked
from instances.payload_examples import CHAT, MEMBER, RECEIVED, SENT

AT = datetime(2026, 11, 15, tzinfo=UTC)


class Family(NamedTuple):
    """One family: its key, when it is sent, and the bytes of an example as text and in colours."""

    key: str
    title: str
    words: SafeString
    body: str
    html: SafeString


def families(number: int) -> list[Family]:
    """Of an instance with this number. Nothing of it is saved anywhere."""
    instance = Instance(number=number, phone="15550001111")
    chat = Chat(instance=instance, chat_id=CHAT, name="Ann", last_time=AT)
    group = Chat(
        instance=instance,
        chat_id="15550001111-1479621234@g.us",
        name="Friends",
        is_group=True,
        last_time=AT,
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
        time=AT,
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
        time=AT,
    )
    own = ("15550001111@c.us", True)
    old = payloads.chat_dict(group, [own])
    new = payloads.chat_dict(group, [own, (MEMBER, False)])
    change = payloads.status_body(
        instance, old=("got qr code", "normal"), new=("authenticated", "normal"), at=AT
    )
    return [
        family(
            "messages",
            "A message",
            "Every message, in both directions: `fromMe` tells whose it is, `self` is 1 for one sent by the API "
            "and 0 for one typed on the phone. A missed call is a message of type `call_log`.",
            payloads.message_body(received),
        ),
        family(
            "ack",
            "A tick",
            "With `ackNotificationsOn`. `id` and `queueNumber` are those of the send reply. A status never goes back; "
            "one that is skipped is legal. A message typed on the phone gets none.",
            payloads.ack_body(sent, Ack.DELIVERED),
        ),
        family(
            "chatUpdate",
            "A chat",
            "With `chatUpdateOn`: a chat is new (`old` is null) or has another name, picture or people.",
            payloads.chat_body(instance, old=old, new=new),
        ),
        family(
            "instanceStatus",
            "A status",
            "With `statusNotificationsOn`. *ours*: the original's key is not known.",
            change,
        ),
    ]


def family(key: str, title: str, words: str, body: bytes) -> Family:
    text = body.decode()
    return Family(key, title, marked(words), text, coloured(text, "json"))


HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", f"ChatAPI/{settings.VERSION}"),
    ("webhook-id", "hook_0192f4c65d7b7c33a1e04be1f1d6e1aa, the same through all attempts"),
    ("webhook-timestamp", "1794700801, unix seconds"),
    ("webhook-signature", "v1,…: Standard Webhooks, by the instance's signing secret; perhaps several"),
    ("webhook-attempt", "3/20"),
    ("webhook-simulated", "1, of simulated hooks alone"),
)
