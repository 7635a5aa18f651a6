"""What WAHA's responses mean for a message."""

from __future__ import annotations

import json

from hooks.http import Response
from instances import chat_ids
from instances.channels.requests import (
    Failed,
    Refused,
    Request,
    Result,
    Scope,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.responses import json_object, retry_after
from instances.channels.waha import api

NO_CONFIRMATION = "WAHA's response does not confirm the message."
WRONG_KEY = "The WAHA server does not accept the API key."
FORBIDDEN = "The API key has no permission for this at the WAHA server."
NO_SESSION = "The session does not exist at the WAHA server any more."
LOGGED_OUT = "The phone is logged out. Scan a QR code to link it again."
NOT_READY = "The session at the WAHA server is not ready ({}). Messages wait."
NOT_READY_SECONDS = 10.0
NO_ACCOUNT = "This number does not use WhatsApp."
TOO_LARGE = "The WAHA server does not take a file of this size."
# WhatsApp keeps the account from writing to people who have not written to it. It ends that by itself.
RESTRICTED, RESTRICTED_SECONDS = "463", 3600.0
RESTRICTED_SENTENCE = "WhatsApp does not let this account write to new contacts at the moment (463)."
NEEDS_CODE = ("SCAN_QR_CODE", "PASSKEY_REQUIRED", "PASSKEY_CONFIRMATION_REQUIRED")


def read(request: Request, response: Response) -> Result:
    """Returns what the response means. Never raises."""
    if not 200 <= (response.status or 0) < 300:
        return read_error(response)
    if request.is_upload:
        return read_number(response)
    found = json_object(response)
    if request.method == "DELETE":
        is_empty = not response.body.strip() or response.body.strip() in (b"true", b"null")
        return Sent(acks=()) if found or is_empty else Failed(NO_CONFIRMATION)
    key = api.sent_key(found)
    if not key:
        return Failed(api.said(response) or NO_CONFIRMATION)
    return Sent(messenger_id=key, messenger_chat_id=asked_chat(request))


def asked_chat(request: Request) -> str:
    """Returns the chat of a message if it is one whose id was asked for: it is remembered, so it is asked once."""
    chat = str(json.loads(request.body + request.body_end).get("chatId", ""))
    is_asked = chat_ids.phone_of(chat).startswith(api.ASKED) or chat.endswith(chat_ids.HIDDEN_NUMBER)
    return chat_ids.storable_messenger_id(chat) if is_asked else ""


def read_number(response: Response) -> Result:
    """Returns the id of a number that was asked for."""
    found = json_object(response)
    chat = api.chat_id_of(found.get("chatId"))
    if found.get("numberExists") is True and chat:
        return Uploaded(chat)
    return Refused(NO_ACCOUNT) if found.get("numberExists") is False else Failed(NO_CONFIRMATION)


def read_error(response: Response) -> Result:
    status, said = response.status or 0, api.said(response)
    reason = api.reason(response)
    match status:
        case 401:
            return Unlinked(f"{WRONG_KEY} {reason}" if said else WRONG_KEY)
        case 403 if said:
            return Unlinked(f"{FORBIDDEN} {reason}")
        case 404 if "session" in said.lower():
            return Unlinked(f"{NO_SESSION} {reason}")
        case 413:
            return Refused(TOO_LARGE)
        case 429:
            return Wait(reason, Scope.NUMBER, retry_after(response))
        case 503 if retry_after(response) is not None:
            return Wait(reason, Scope.NUMBER, retry_after(response))
        case 422:
            return read_state(api.status_in(response), said, reason)
        case 400 if said:
            return Refused(reason)
    if status >= 500 and RESTRICTED in said:
        return Wait(f"{RESTRICTED_SENTENCE} {reason}", Scope.CHAT, RESTRICTED_SECONDS)
    return Failed(reason)


def read_state(status: str, said: str, reason: str) -> Result:
    """Returns what 422 means: the session has another status than WORKING, or the message is not accepted."""
    if status in NEEDS_CODE:
        return Unlinked(LOGGED_OUT)
    if status:
        return Wait(NOT_READY.format(status), Scope.NUMBER, NOT_READY_SECONDS)
    if "session" in said.lower() and ("exist" in said.lower() or "found" in said.lower()):
        return Unlinked(f"{NO_SESSION} {reason}")
    return Refused(reason)
