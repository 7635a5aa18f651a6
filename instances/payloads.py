"""The bytes of a hook, exactly as contract.md section 3 prints them: keys in its order, compact, UTF-8."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings

from instances import chat_ids
from instances.models import Ack, Chat, Instance, Message, MessageType, Participant
from instances.payload_types import (
    AckHook,
    ChatHook,
    HookChat,
    HookMessage,
    MessageHook,
    StatusHook,
)

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
UNNUMBERED = '"messageNumber":0'


def encode(data: Any) -> bytes:
    """Returns compact JSON without ASCII escapes: a Cyrillic letter takes two bytes, not six."""
    return ENCODER.encode(data).encode()


class ReceivedText(NamedTuple):
    """A text that a contact has written, as message_dict() reads a Message, which takes ten times longer to make."""

    message_id: str
    author: str
    sender_name: str
    body: str
    time: datetime
    number: int = 0
    type: str = MessageType.CHAT.value
    from_me: bool = False
    by_api: bool = False
    forwarded: int = 0
    caption: str | None = None
    quoted: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    ack: int | None = None


def message_dict(message: Message | ReceivedText, *, chat_id: str, chat_name: str) -> HookMessage:
    """Returns M of contract.md: a message as hooks and REST show it.

    `messages` has the same JSON from the database (contract/chats/messages.py); a test compares both.
    """
    quoted = message.quoted or {}
    data: HookMessage = {
        "id": message.message_id,
        "body": message.body,
        "fromMe": message.from_me,
        "self": 1 if message.by_api else 0,
        "isForwarded": message.forwarded,
        "author": message.author,
        "time": int(message.time.timestamp()),
        "chatId": chat_id,
        "messageNumber": message.number,
        "type": message.type,
        "senderName": message.sender_name or chat_ids.bare_id(message.author),
        "caption": message.caption,
        "quotedMsgBody": quoted.get("body"),
        "quotedMsgId": quoted.get("id"),
        "quotedMsgType": quoted.get("type"),
        "chatName": chat_name or chat_ids.bare_id(chat_id),
        "metadata": message.metadata,
    }
    if message.from_me:
        data["ack"] = message.ack or Ack.SENT.value
    return data


def message_body(message: Message, ack: Ack | None = None) -> bytes:
    """`{"messages":[M],"instanceId":"12345"}`; with `ack`, an outgoing message shows this ack instead of its own."""
    data = message_dict(message, chat_id=message.chat.chat_id, chat_name=message.chat.name)
    if ack is not None:
        data["ack"] = ack.value
    hook: MessageHook = {"messages": [data], "instanceId": str(message.instance.number)}
    return encode(hook)


def message_around_number(
    message: Message | ReceivedText, *, chat_id: str, chat_name: str
) -> tuple[str, str]:
    """Returns the JSON of M in two parts: the text before and after the message's number, which is not known yet."""
    data = message_dict(message, chat_id=chat_id, chat_name=chat_name)
    data["messageNumber"] = 0
    # Only a key is written like this: in a text, a quote follows a backslash. Texts alone are before this key.
    before, name, after = ENCODER.encode(data).partition(UNNUMBERED)
    return before + name[:-1], after


def body_around_number(before: str, after: str, *, instance_number: int) -> tuple[str, str]:
    """Returns message_body() in two parts, from those of message_around_number()."""
    return f'{{"messages":[{before}', f'{after}],"instanceId":"{instance_number}"}}'


def ack_body(message: Message, ack: Ack | None = None) -> bytes:
    """`{"ack":[A],"instanceId":"12345"}` with this `ack`, or the message's own.

    `queueNumber` is that of the send reply, 0 if there was none.
    """
    ack = Ack(message.ack or Ack.SENT) if ack is None else ack
    hook: AckHook = {
        "ack": [
            {
                "id": message.message_id,
                "queueNumber": message.queue_number or 0,
                "chatId": message.chat.chat_id,
                "status": ack.label,
            }
        ],
        "instanceId": str(message.instance.number),
    }
    return encode(hook)


# Participants of a group: chat id, and whether they are an admin; in the order in which they joined.
Members = Sequence[tuple[str, bool]]


def members_of(chat: Chat) -> Members:
    """Returns the participants of a group; one query, none for a direct chat."""
    if not chat.is_group or chat.pk is None:
        return ()
    return list(
        Participant.objects.filter(chat=chat).order_by("id").values_list("member", "is_admin").iterator()
    )


def invite_link(code: str) -> str:
    """Returns the invite link of a group, which joinGroup accepts; its page says so."""
    return f"{settings.SITE_URL}/invite/{code}"


def chat_dict(chat: Chat, members: Members | None = None) -> HookChat:
    """Chat of contract.md; `last_time` in unix seconds. `members` as members_of returns them; None queries them."""
    members = members_of(chat) if members is None else members
    return {
        "id": chat.chat_id,
        "name": chat.name or chat_ids.bare_id(chat.chat_id),
        "image": chat.image or None,
        "metadata": {
            "isGroup": chat.is_group,
            "participants": [member for member, _ in members],
            "admins": [member for member, is_admin in members if is_admin],
            "groupInviteLink": invite_link(chat.invite_code) if chat.has_invite_link else None,
        },
        "last_time": int(chat.last_time.timestamp()),
    }


def chat_body(instance: Instance, *, old: HookChat | None, new: HookChat) -> bytes:
    """`{"chatUpdate":[{"old":Chat|null,"new":Chat}],"instanceId":"12345"}`; both as `chat_dict` returns them."""
    hook: ChatHook = {"chatUpdate": [{"old": old, "new": new}], "instanceId": str(instance.number)}
    return encode(hook)


def status_body(instance: Instance, *, old: tuple[str, str], new: tuple[str, str], at: datetime) -> bytes:
    """`{"instanceStatus":[{"old":S,"new":S,"time":…}],…}`; `old` and `new` are (accountStatus, substatus)."""
    hook: StatusHook = {
        "instanceStatus": [
            {
                "old": {"accountStatus": old[0], "substatus": old[1]},
                "new": {"accountStatus": new[0], "substatus": new[1]},
                "time": int(at.timestamp()),
            }
        ],
        "instanceId": str(instance.number),
    }
    return encode(hook)
