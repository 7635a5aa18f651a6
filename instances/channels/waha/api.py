"""Requests to a WAHA server, ids as it writes them, and the errors in its responses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from hooks.http import Response
from instances import chat_ids
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object, json_value, words
from instances.channels.waha import servers

URL, API_KEY, SESSION = "url", "api_key", "session"  # values of a link
HMAC_KEY = "hmac_key"
# Countries whose numbers WhatsApp may know by another id: Mexico, Argentina, Brazil. It is asked once for each number.
ASKED = ("52", "54", "55")
# How WhatsApp's ids of messages begin that were made by this API or by WhatsApp Web, and not by a phone.
NOT_OF_A_PHONE = "3EB0"
# The engines' own form of a person's id.
INTERNAL_PERSON = "@s.whatsapp.net"
# WhatsApp's own id of a message; what follows it is of a change that has no id of its own (incoming.read_edit).
KEY = re.compile(r"([0-9A-Fa-f]{8,64})(?:-[0-9.]+)?")


def session_of(link: Link) -> str:
    return link.options.get(SESSION, "")


def key_of(link: Link) -> str:
    """Returns the key of the person's own server, or of a server of this site."""
    return link.credentials.get(API_KEY) or servers.key_of(link.options.get(URL, ""))


def request(link: Link, method: str, *path: str, body: Mapping[str, Any] | None = None) -> Request:
    """Returns the request for a path below `/api`, with a JSON body if there is one."""
    url = "/".join([link.options.get(URL, ""), "api", *(quote(part, safe="@") for part in path)])
    headers = {"X-Api-Key": key_of(link), "Accept": "application/json"}
    if body is None:
        return Request(method, url, headers)
    return Request(method, url, headers | {"Content-Type": "application/json"}, to_json(body))


def get(link: Link, *path: str, query: Mapping[str, str]) -> Request:
    found = request(link, "GET", *path)
    return replace(found, url=f"{found.url}?{urlencode(query)}")


def to_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()


def chat_id_of(found: object) -> str:
    """Returns the chat id for an id of WAHA, which has the same form; empty if it is none."""
    given = found if isinstance(found, str) else ""
    if given.endswith(INTERNAL_PERSON):
        given = given.removesuffix(INTERNAL_PERSON).partition(":")[0] + chat_ids.PERSON
    return given


def message_key(found: object) -> str:
    """Returns WhatsApp's own id of a message: of `true_17680561234@c.us_3EB0A1` it is `3EB0A1`.

    Engines put the chat and the author around it in one place and not in another, so only this part is compared.
    """
    given = found if isinstance(found, str) else ""
    parts = given.split("_")
    return parts[2] if len(parts) >= 3 and parts[0] in ("true", "false") else given


def key_of_changed(key: str) -> str:
    """Returns WhatsApp's id of a message for the key of it or of a change of it."""
    found = KEY.fullmatch(key)
    return found[1] if found else key


def whole_id(key: str, *, chat: str, from_me: bool, author: str = "") -> str:
    """Returns the id of a message as WAHA takes it. `author`: of a message in a group."""
    whole = f"{'true' if from_me else 'false'}_{chat}_{key}"
    return f"{whole}_{author}" if author and chat_ids.is_group(chat) else whole


def sent_key(found: Mapping[str, Any]) -> str:
    """Returns WhatsApp's id of the message in a response; empty if there is none. Each engine has its own form."""
    given = found.get("id")
    if isinstance(given, Mapping):
        given = given.get("_serialized") or given.get("id")
    if not isinstance(given, str) or not given:
        key = found.get("key")
        given = key.get("id") if isinstance(key, Mapping) else ""
    return chat_ids.storable_messenger_id(message_key(given))


def said(response: Response) -> str:
    """Returns what an error response says; empty if it says nothing."""
    found = json_object(response)
    exception = found.get("exception")
    inner = exception.get("message") if isinstance(exception, Mapping) else None
    message = found.get("message")
    if isinstance(message, list):  # of a field that is not valid
        message = "; ".join(filter(None, map(words, message[:5])))
    return next(filter(None, map(words, (inner, message, found.get("error")))), "")


def reason(response: Response) -> str:
    """Returns why a request has failed, as a sentence."""
    found = said(response)
    return f"WAHA: {found}" if found else f"WAHA responded with {response.status or 'nothing'}."


def status_in(response: Response) -> str:
    """Returns the session's status in a response; empty if it does not say."""
    found = json_object(response).get("status")
    return found if isinstance(found, str) else ""


def json_list(response: Response) -> list[Any] | None:
    """Returns the JSON list in the body; None if there is none."""
    try:
        found = json_value(response)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
