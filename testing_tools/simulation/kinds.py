"""What can be simulated: the large choices and the drawer's, the fields of each form, and an example of each.

An example is made by instances/payloads.py from a message that is never saved, so it is, byte for byte, what a real
event would send.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models
from django.utils import timezone

from hooks.models import Kind
from instances import chat_ids, payloads
from instances.models import AccountStatus, Ack, Chat, Instance, Message, MessageType, Substatus

SENDER = ("17680561234", "Anna Example")
GROUP = ("17680561234-1479621234@g.us", "Neighbours")
QUOTED = "We open at nine."


class What(models.TextChoices):
    """What is simulated, in the words of the page."""

    MESSAGE = "message", "A new message has been received"
    DELIVERED = "delivered", "Delivered"
    VIEWED = "viewed", "Read"
    SENT = "sent", "Sent"
    GROUP = "group", "In a group"
    QUOTED = "quoted", "With a quote"
    FORWARDED = "forwarded", "Forwarded"
    IMAGE = "image", "Image"
    PTT = "ptt", "Voice"
    DOCUMENT = "document", "Document"
    AUDIO = "audio", "Audio"
    VIDEO = "video", "Video"
    LOCATION = "location", "Location"
    VCARD = "vcard", "Contact card"
    STICKER = "sticker", "Sticker"
    CALL = "call_log", "Missed call"
    BY_API = "by_api", "Sent by the API"
    TYPED = "typed", "Typed on the phone"
    STATUS = "status", "Status of the instance"
    NEW_CHAT = "new_chat", "New chat"
    CHAT = "chat_change", "Chat changed"


LARGE = (What.MESSAGE, What.DELIVERED, What.VIEWED)
# the drawer, in groups: a heading, and the kinds under it with their icons
DRAWER = (
    (
        "A message received",
        (
            (What.IMAGE, "photo"),
            (What.PTT, "microphone"),
            (What.AUDIO, "music"),
            (What.VIDEO, "video"),
            (What.DOCUMENT, "file"),
            (What.STICKER, "sticker"),
            (What.LOCATION, "map-pin"),
            (What.VCARD, "address-book"),
            (What.GROUP, "users"),
            (What.QUOTED, "quote"),
            (What.FORWARDED, "arrow-forward-up"),
            (What.CALL, "phone-x"),
        ),
    ),
    ("A message going out", ((What.BY_API, "code"), (What.TYPED, "keyboard"))),
    ("A tick", ((What.SENT, "check"),)),
    (
        "Chats and the instance",
        ((What.NEW_CHAT, "message-plus"), (What.CHAT, "messages"), (What.STATUS, "device-desktop")),
    ),
)
TICKS = {What.SENT: Ack.SENT, What.DELIVERED: Ack.DELIVERED, What.VIEWED: Ack.VIEWED}
OUTGOING = (What.BY_API, What.TYPED)
# the files that examples of these types carry, where the instance has had none of the type
FILES = {
    What.IMAGE: "photo.jpg",
    What.PTT: "voice.ogg",
    What.AUDIO: "song.mp3",
    What.VIDEO: "clip.mp4",
    What.DOCUMENT: "offer.pdf",
    What.STICKER: "sticker.webp",
}
NO_FILE = "0123456789abcdef" * 3
PLACE = "52.520008;13.404954"
CARD = "BEGIN:VCARD\nVERSION:3.0\nFN:Anna Example\nTEL;type=CELL;waid=17680561234:+1 768 056 1234\nEND:VCARD"


class Field(NamedTuple):
    """A field of the form: its name, its label, what it takes, and a hint; with `choices` it is a list to choose of."""

    name: str
    label: str
    digits: bool = False
    hint: str = ""
    long: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    more: bool = False  # stands under "Group, quote, forwarded"


def words(choices: Any) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in choices.values)


SENDER_FIELDS = (
    Field("sender", "From", True, "Digits, with the country code"),
    Field("sender_name", "Name", False, "As in the address book"),
)
MORE = (
    Field("group", "Where", choices=(("", "Between two"), ("yes", "In a group")), more=True),
    Field("group_name", "Name of the group", more=True, hint="Only where it is in a group"),
    Field("quoted", "Quotes this text", more=True, hint="Empty: it quotes nothing"),
    Field("forwarded", "Forwarded, times", True, more=True, hint="0: it was not forwarded"),
)
TEXT = Field("text", "Text", long=True)
LINK = Field(
    "text", "Link of the file", hint="Its path ends in .ext. Put one of yours in if your program fetches it"
)
CAPTION = Field("caption", "Caption")
RECIPIENT = Field("recipient", "Recipient", True, "Digits, with the country code")
BODIES: dict[str, tuple[Field, ...]] = {
    What.LOCATION: (Field("text", "Place", hint="lat;lng"),),
    What.VCARD: (Field("text", "vCard", long=True),),
    What.CALL: (),
    What.PTT: (LINK,),
    What.AUDIO: (LINK,),
    What.STICKER: (LINK,),
    What.IMAGE: (LINK, CAPTION),
    What.DOCUMENT: (LINK, CAPTION),
    What.VIDEO: (LINK._replace(hint="“upload disabled” while videoUploadOn is off"), CAPTION),
}
ACK_FIELDS = (
    RECIPIENT,
    Field("message_id", "Message id", False, "The id that the reply of sendMessage gave"),
    Field("queue_number", "Queue number", True, "It stands in the same reply"),
)
STATUS_FIELDS = (
    Field("new_status", "accountStatus now", choices=words(AccountStatus)),
    Field("new_substatus", "substatus now", choices=words(Substatus)),
    Field("old_status", "accountStatus before", choices=words(AccountStatus)),
    Field("old_substatus", "substatus before", choices=words(Substatus)),
)


def family(what: str) -> str:
    """The key of the body under which its one item stands."""
    if what in TICKS:
        return "ack"
    if what == What.STATUS:
        return "instanceStatus"
    return "chatUpdate" if what in (What.CHAT, What.NEW_CHAT) else "messages"


def kind_of(what: str) -> Kind:
    kinds = {
        "ack": Kind.ACK, "instanceStatus": Kind.STATUS, "chatUpdate": Kind.CHAT, "messages": Kind.MESSAGE,
    }  # fmt: skip
    return kinds[family(what)]


def fields_of(what: str) -> tuple[Field, ...]:
    """The fields of this kind's form, in their order."""
    match family(what):
        case "ack":
            return ACK_FIELDS
        case "instanceStatus":
            return STATUS_FIELDS
        case "chatUpdate" if what == What.NEW_CHAT:
            return (Field("new_name", "Name of the chat"),)
        case "chatUpdate":
            return (Field("new_name", "Name now"), Field("old_name", "Name before"))
    people = (RECIPIENT,) if what in OUTGOING else SENDER_FIELDS
    return (*people, *BODIES.get(what, (TEXT,)), *MORE)


def example(instance: Instance, what: str) -> bytes:
    """The body of a hook as this instance would send it next; acks are about its last sent message, if any."""
    if what in TICKS:
        return payloads.ack_body(last_sent(instance), TICKS[What(what)])
    if what == What.STATUS:
        return status_example(instance)
    if what in (What.CHAT, What.NEW_CHAT):
        return chat_example(instance, is_new=what == What.NEW_CHAT)
    if what in OUTGOING:
        message = outgoing(instance, by_api=what == What.BY_API)
        return payloads.message_body(message, Ack.SENT)
    return payloads.message_body(incoming(instance, what))


def last_sent(instance: Instance) -> Message:
    """The message that an ack would be about."""
    message = (
        instance.messages.select_related("chat")
        .filter(by_api=True, queue_number__isnull=False)
        .order_by("-number")
        .first()
    )
    message = message or outgoing(instance)
    message.instance = instance
    return message


def status_example(instance: Instance) -> bytes:
    """A phone that loses its connection, or comes back to work."""
    old = (instance.account_status, instance.substatus)
    fine = (AccountStatus.AUTHENTICATED.value, Substatus.NORMAL.value)
    new = (fine[0], Substatus.PHONE.value) if old == fine else fine
    return payloads.status_body(instance, old=old, new=new, at=timezone.now())


def chat_example(instance: Instance, *, is_new: bool) -> bytes:
    """A chat that begins, or the instance's last one (an example, if it has none) under another name."""
    if is_new:
        return payloads.chat_body(instance, old=None, new=payloads.chat_dict(example_chat(instance)))
    chat = instance.chats.order_by("-last_time").first() or example_chat(instance)
    old = payloads.chat_dict(chat)
    return payloads.chat_body(instance, old=old, new=old | {"name": f"{old['name']} (new)"})


def example_chat(instance: Instance) -> Chat:
    return Chat(instance=instance, chat_id=f"{SENDER[0]}@c.us", name=SENDER[1])


def incoming(instance: Instance, what: str) -> Message:
    chat = example_chat(instance)
    author = chat.chat_id
    if what == What.GROUP:
        chat = Chat(instance=instance, chat_id=GROUP[0], name=GROUP[1], is_group=True)
    kind = MessageType(what) if what in MessageType.values else MessageType.CHAT
    return Message(
        instance=instance,
        number=instance.last_message_number + 1,
        message_id=chat_ids.message_id(chat.chat_id, author=author, from_me=False),
        chat=chat,
        author=author,
        sender_name=SENDER[1],
        type=kind,
        body=body_of(instance, what),
        caption="The blue one" if what in (What.IMAGE, What.DOCUMENT, What.VIDEO) else None,
        quoted=quote_of(instance) if what == What.QUOTED else None,
        forwarded=1 if what == What.FORWARDED else 0,
        time=timezone.now(),
    )


def body_of(instance: Instance, what: str) -> str:
    """What such a message says; a file is the instance's newest of that type, so that it can be fetched."""
    if what == What.VIDEO and not instance.video_upload_on:
        return "upload disabled"
    if what in FILES:
        newest = (
            instance.messages.filter(type=what, media__expires_at__gt=datetime.now(UTC))
            .order_by("-number")
            .first()
        )
        return newest.body if newest else f"{settings.SITE_URL}/media/{NO_FILE}/{FILES[What(what)]}"
    fixed = {What.LOCATION: PLACE, What.VCARD: CARD, What.CALL: "[Call]"}
    return fixed.get(What(what), "Hello! Is the blue one still available?")


def quote_of(instance: Instance) -> dict[str, str]:
    """A message of ours that is quoted."""
    quoted = chat_ids.message_id(f"{SENDER[0]}@c.us", author=instance.own_chat_id, from_me=True, by_api=True)
    return {"id": quoted, "body": QUOTED, "type": MessageType.CHAT.value}


def outgoing(instance: Instance, *, by_api: bool = True) -> Message:
    chat = example_chat(instance)
    return Message(
        instance=instance,
        number=instance.last_message_number + 1,
        message_id=chat_ids.message_id(
            chat.chat_id, author=instance.own_chat_id, from_me=True, by_api=by_api
        ),
        chat=chat,
        author=instance.own_chat_id,
        body="Yes, it is.",
        from_me=True,
        by_api=by_api,
        queue_number=instance.last_queue_number + 1 if by_api else None,
        time=timezone.now(),
    )
