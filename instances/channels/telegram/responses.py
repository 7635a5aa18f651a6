"""What a response to a message means. Never raises, whatever the response is."""

from __future__ import annotations

import re

from hooks.http import Response
from instances.channels.requests import (
    Failed,
    Moved,
    Refused,
    Request,
    Result,
    Scope,
    Sent,
    Unlinked,
    Wait,
)
from instances.channels.responses import json_object, retry_after
from instances.channels.telegram import api

# The beginning of the response to a message. Its end is cut off if the text is long: Telegram repeats it, with six
# bytes for each letter that is not ASCII, and a response is read up to 8 KB.
SENT = re.compile(
    rb'\{"ok":\s*true,\s*"result":\s*\{"message_id":\s*(\d+),.{0,2000}?"chat":\s*\{"id":\s*(-?\d+)'
)
# How outgoing.py writes a group's id into JSON and forms: it is negative.
GROUP_IN_BODY = (b'"chat_id":"-', b'name="chat_id"\r\n\r\n-')
BOT = re.compile(r"/bot([^:/]*)")
FROM_GROUP = b'"from_chat_id":"-'  # how outgoing.py writes the group of a message that is forwarded
GROUP_MOVED = "The group has become a supergroup."
NO_CONFIRMATION = "The response does not confirm the message."
UNLINKED = "Telegram does not accept the bot's token any more."


def read(request: Request, response: Response) -> Result:
    """Returns what the response means. Refusals are final only in Telegram's own words."""
    status, found = response.status or 0, json_object(response)
    if 200 <= status < 300:
        return read_success(request, response)
    said = api.explain(found)
    if status == 429:
        seconds = api.retry_seconds(found) or retry_after(response)
        return Wait(said or "Telegram asks to wait.", scope_of(request), seconds)
    if found.get("ok") is not False or not 400 <= status < 500:
        return Failed(said or f"The response with {status} is not one of Telegram.")
    if status in (401, 404):  # 404: no token has this form
        return Unlinked(f"{UNLINKED} Telegram's words: {said}" if said else UNLINKED)
    if new := api.parameter(found, "migrate_to_chat_id"):
        if FROM_GROUP in request.body:  # which of the two groups has moved is not said
            return Refused(said or GROUP_MOVED)
        return Moved(str(new), said or GROUP_MOVED)
    if status == 409 or not said:
        return Failed(said or f"Telegram responded with {status}.")
    return Refused(said)


def read_success(request: Request, response: Response) -> Result:
    """Returns the message's key, or that the deletion is done."""
    found = json_object(response)
    if request.url.endswith("/deleteMessage"):
        is_done = found.get("ok") is True and found.get("result") is True
        return Sent(()) if is_done else Failed(NO_CONFIRMATION)
    if match := SENT.match(response.body.lstrip()):
        return Sent(messenger_id=api.message_key(bot_in(request), match[2].decode(), match[1].decode()))
    message = found.get("result")
    if found.get("ok") is True and isinstance(message, dict):
        chat, number = message.get("chat"), message.get("message_id")
        if type(number) is int and isinstance(chat, dict) and type(chat.get("id")) is int:
            return Sent(messenger_id=api.message_key(bot_in(request), chat["id"], number))
    return Failed(NO_CONFIRMATION)


def bot_in(request: Request) -> str:
    """Returns the id of the bot that has made the request."""
    found = BOT.search(request.url)
    return found[1] if found else ""


def scope_of(request: Request) -> Scope:
    """Returns what has to wait. Telegram does not say: a group has a limit of its own, else it may be the bot's."""
    return Scope.CHAT if any(mark in request.body for mark in GROUP_IN_BODY) else Scope.NUMBER
