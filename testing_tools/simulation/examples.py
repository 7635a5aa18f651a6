"""The example body of each kind.

instances/payloads.py creates it from an unsaved message, so it has the same bytes as the hook of a real event.
"""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from instances import chat_ids, payloads
from instances.contract import examples
from instances.models import AccountStatus, Ack, Chat, Instance, Message, MessageType, Substatus
from testing_tools.simulation.kinds import ACKS, OUTGOING, SimulationKind

CHAT_ID, SENDER_NAME = examples.CHAT, "Anna Example"
GROUP_ID, GROUP_NAME = "17680561234-1479621234@g.us", "Neighbours"
QUOTED_TEXT = "We open at nine."
# The file names used if the instance has no file of the type.
FILE_NAMES = {
    SimulationKind.IMAGE: "photo.jpg",
    SimulationKind.PTT: "voice.ogg",
    SimulationKind.AUDIO: "song.mp3",
    SimulationKind.VIDEO: "clip.mp4",
    SimulationKind.DOCUMENT: "offer.pdf",
    SimulationKind.STICKER: "sticker.webp",
}
MISSING_FILE = "0123456789abcdef" * 3  # the id of a file that does not exist
BODIES = {
    SimulationKind.LOCATION: "52.520008;13.404954",
    SimulationKind.VCARD: examples.VCARD,
    SimulationKind.CALL: "[Call]",
}


def example(instance: Instance, kind: str) -> bytes:
    """Returns the body of the instance's next hook of this kind; an ack is for its last sent message, if any."""
    if kind in ACKS:
        return payloads.ack_body(last_sent_message(instance), ACKS[SimulationKind(kind)])
    if kind == SimulationKind.STATUS:
        return status_example(instance)
    if kind in (SimulationKind.CHAT, SimulationKind.NEW_CHAT):
        return chat_example(instance, is_new=kind == SimulationKind.NEW_CHAT)
    if kind in OUTGOING:
        message = outgoing_message(instance, by_api=kind == SimulationKind.BY_API)
        return payloads.message_body(message, Ack.SENT)
    return payloads.message_body(incoming_message(instance, kind))


def last_sent_message(instance: Instance) -> Message:
    """Returns the instance's last message sent through the API, or an example."""
    message = (
        instance.messages.select_related("chat")
        .filter(by_api=True, queue_number__isnull=False)
        .order_by("-number")
        .first()
    )
    message = message or outgoing_message(instance)
    message.instance = instance
    return message


def status_example(instance: Instance) -> bytes:
    """Returns the hook of a phone that loses its connection; if the instance has a problem now, of its recovery."""
    old = (instance.account_status, instance.substatus)
    normal = (AccountStatus.AUTHENTICATED.value, Substatus.NORMAL.value)
    new = (normal[0], Substatus.PHONE.value) if old == normal else normal
    return payloads.status_body(instance, old=old, new=new, at=timezone.now())


def chat_example(instance: Instance, *, is_new: bool) -> bytes:
    """Returns the hook of a new chat, or of the instance's last chat (or an example) with another name."""
    if is_new:
        return payloads.chat_body(instance, old=None, new=payloads.chat_dict(example_chat(instance)))
    chat = instance.chats.in_order().first() or example_chat(instance)
    old = payloads.chat_dict(chat)
    return payloads.chat_body(instance, old=old, new=old | {"name": f"{old['name']} (new)"})


def example_chat(instance: Instance) -> Chat:
    return Chat(instance=instance, chat_id=CHAT_ID, name=SENDER_NAME)


def incoming_message(instance: Instance, kind: str) -> Message:
    chat = example_chat(instance)
    author = chat.chat_id
    if kind == SimulationKind.GROUP:
        chat = Chat(instance=instance, chat_id=GROUP_ID, name=GROUP_NAME, is_group=True)
    has_caption = kind in (SimulationKind.IMAGE, SimulationKind.DOCUMENT, SimulationKind.VIDEO)
    return Message(
        instance=instance,
        number=instance.last_message_number + 1,
        message_id=chat_ids.message_id(chat.chat_id, author=author, from_me=False),
        chat=chat,
        author=author,
        sender_name=SENDER_NAME,
        type=MessageType(kind) if kind in MessageType.values else MessageType.CHAT,
        body=message_text(instance, kind),
        caption="The blue one" if has_caption else None,
        quoted=quoted_message(instance) if kind == SimulationKind.QUOTED else None,
        forwarded=1 if kind == SimulationKind.FORWARDED else 0,
        time=timezone.now(),
    )


def message_text(instance: Instance, kind: str) -> str:
    """Returns the message's `body`; for a file, the URL of the instance's newest file of that type."""
    if kind == SimulationKind.VIDEO and not instance.video_upload_on:
        return "upload disabled"
    if kind in FILE_NAMES:
        newest = (
            instance.messages.filter(type=kind, media__expires_at__gt=timezone.now())
            .order_by("-number")
            .first()
        )
        missing = f"{settings.SITE_URL}/media/{MISSING_FILE}/{FILE_NAMES[SimulationKind(kind)]}"
        return newest.body if newest else missing
    return BODIES.get(SimulationKind(kind), "Hello! Is the blue one still available?")


def quoted_message(instance: Instance) -> dict[str, str]:
    """Returns an example message of the instance, to be quoted."""
    message_id = chat_ids.message_id(CHAT_ID, author=instance.own_chat_id, from_me=True, by_api=True)
    return {"id": message_id, "body": QUOTED_TEXT, "type": MessageType.CHAT.value}


def outgoing_message(instance: Instance, *, by_api: bool = True) -> Message:
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
