"""The Bot API: the URL of a method, requests to it, ids, and what an error means to people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from instances import chat_ids
from instances.channels.requests import Link, Request
from instances.channels.responses import MAX_WAIT_SECONDS, words

SCHEME = "telegram"
KEY = re.compile(r"(?:(?P<bot>[0-9]+):(?P<chat>-?[0-9]+):)?(?P<number>[0-9]{1,18})(?:-.*)?")
JSON = "application/json"

# Part of Telegram's description of an error → a sentence for people.
EXPLANATIONS = (
    ("bot was blocked by the user", "This person has blocked the bot."),
    ("user is deactivated", "This person has deleted their Telegram account."),
    ("can't initiate conversation", "This person has not started the bot; a bot cannot write first."),
    ("bot was kicked", "The bot was removed from this group."),
    ("bot is not a member", "The bot is not a member of this group."),
    ("chat not found", "Telegram does not know this chat, or the person has not started the bot."),
    ("not enough rights", "The bot may not do this in the group; make it an administrator."),
    ("have no rights", "The bot may not write in this group; make it an administrator."),
    ("message is too long", "Telegram takes texts of up to 4,096 characters."),
    ("caption is too long", "Telegram takes captions of up to 1,024 characters."),
    ("text is empty", "Telegram takes no empty text."),
    ("Request Entity Too Large", "Telegram takes files of up to 50 MB from bots, and photos of up to 10 MB."),
    ("file is too big", "The file is too large for Telegram's bots."),
    ("HTTP URL", "Telegram could not fetch the file from its URL."),
    ("remote file identifier", "Telegram could not fetch the file from its URL."),
    ("to forward not found", "Telegram does not have the message any more that is to be forwarded."),
    ("can't be forwarded", "The chat of the message does not allow to forward it."),
    ("to delete not found", "Telegram does not have this message any more."),
    ("can't be deleted", "Telegram lets bots delete their messages for 48 hours."),
)


def url(token: str, method: str) -> str:
    return f"{settings.TELEGRAM_URL}/bot{token}/{method}"


def call(link: Link, method: str, arguments: Mapping[str, Any]) -> Request:
    """Returns the request of a method with arguments in JSON."""
    body = json.dumps(arguments, separators=(",", ":")).encode()
    return Request("POST", url(token_of(link), method), {"Content-Type": JSON}, body)


def token_of(link: Link) -> str:
    return link.credentials.get("token", "")


def chat_id(native: int, *, is_group: bool) -> str:
    return chat_ids.of_native(SCHEME, str(native), is_group=is_group)


def native_chat(chat_id: str) -> str:
    """Returns Telegram's id of a chat; empty if the chat id is that of another messenger."""
    found = chat_ids.native_of(chat_id)
    return found[1] if found and found[0] == SCHEME else ""


def bot_of(link: Link) -> str:
    """Returns the bot's id, which is the beginning of its token."""
    return token_of(link).partition(":")[0]


def message_key(bot: str, chat: object, number: object) -> str:
    """Returns the id of a message by which this product knows it.

    Telegram's own number is unique in its chat, and in a private chat among the messages of one bot: an instance that
    is linked to another bot gets the same numbers again.
    """
    return f"{bot}:{chat}:{number}"


@dataclass(frozen=True, slots=True)
class MessageName:
    """What Telegram calls a message: its number in a chat."""

    number: int
    chat: str = ""  # empty: the chat in question


def name_of(key: str, bot: str) -> MessageName | None:
    """Returns the message with this key; None if this bot has no such message. That of an edit is the edited one."""
    found = KEY.fullmatch(key)
    if found is None or found["bot"] not in (None, bot):
        return None
    return MessageName(int(found["number"]), found["chat"] or "")


def forwardable(key: str, bot: str) -> MessageName | None:
    """Returns the message with this key if the bot can forward it; None for an edit and a reaction, which are none."""
    name = name_of(key, bot)
    return name if name and name.chat and "-" not in key.rpartition(":")[2] else None


def explain(found: Mapping[str, Any]) -> str:
    """Returns what Telegram says of an error, after a sentence for people if there is one; empty if it says nothing."""
    said = words(found.get("description"))
    sentence = next((sentence for part, sentence in EXPLANATIONS if part.lower() in said.lower()), "")
    return f"{sentence} Telegram's words: {said}" if sentence else said


def retry_seconds(found: Mapping[str, Any]) -> float | None:
    """Returns how long Telegram asks to wait; None if it does not say."""
    seconds = parameter(found, "retry_after")
    return min(float(seconds), MAX_WAIT_SECONDS) if seconds and seconds > 0 else None


def parameter(found: Mapping[str, Any], name: str) -> int | None:
    """Returns one of the `parameters` of an error, which are whole numbers."""
    parameters = found.get("parameters")
    value = parameters.get(name) if isinstance(parameters, dict) else None
    return value if type(value) is int and abs(value) < 2**63 else None
