"""Requests to a homeserver, the ids in them, and what the errors of the client-server API mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from hooks.http import Response
from instances import chat_ids
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object, retry_after, words

SCHEME = "matrix"  # of chat ids
CLIENT = "/_matrix/client/v3"
JSON = "application/json"

# The token is not valid, or its user may not use it any more.
LINK_LOST = frozenset({
    "M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_USER_LOCKED", "M_USER_SUSPENDED",
})  # fmt: skip

# What the user can do about an error; the homeserver's own words follow it.
SENTENCES = {
    "M_UNKNOWN_TOKEN": "The homeserver does not accept the access token any more.",
    "M_MISSING_TOKEN": "The homeserver does not accept the access token any more.",
    "M_USER_DEACTIVATED": "The account was deactivated at the homeserver.",
    "M_USER_LOCKED": "The account is locked at the homeserver.",
    "M_USER_SUSPENDED": "The account is suspended at the homeserver.",
    "M_FORBIDDEN": "The account is not in this room, or is not allowed to do this there.",
    "M_GUEST_ACCESS_FORBIDDEN": "The account is a guest, and the room does not allow guests to write.",
    "M_NOT_FOUND": "The homeserver does not know this room, user or message.",
    "M_TOO_LARGE": "This is larger than the homeserver accepts.",
    "M_LIMIT_EXCEEDED": "The homeserver's limit was reached.",
    "M_RESOURCE_LIMIT_EXCEEDED": "The homeserver has reached a limit of its operator.",
    "M_CONSENT_NOT_GIVEN": "The account has to accept the homeserver's terms first: sign in with a Matrix client.",
    "M_UNRECOGNIZED": "The homeserver does not know this request. It may be too old.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of the homeserver. `code` is empty if the response is not one of the client-server API."""

    status: int
    code: str  # M_…
    sentence: str  # for people, on one line
    seconds: float | None  # how long it asks to wait
    is_soft_logout: bool  # the device is kept: logging in again continues its session

    @property
    def is_link_lost(self) -> bool:
        return self.code in LINK_LOST and 400 <= self.status < 500


def problem_of(response: Response) -> Problem:
    """Returns what the response of a request that failed says."""
    status, found = response.status or 0, json_object(response)
    code, said = words(found.get("errcode"))[:100], words(found.get("error")).removesuffix(".")
    if code:
        known = SENTENCES.get(code, "The homeserver refuses this.")
        sentence = f"{known.removesuffix('.')} ({code}{': ' if said else ''}{said})."
    else:
        sentence = f"The response with {status} is not one of a Matrix homeserver."
    return Problem(status, code, sentence, seconds_to_wait(response, found), found.get("soft_logout") is True)


def seconds_to_wait(response: Response, found: Mapping[str, Any]) -> float | None:
    """Returns the seconds of Retry-After, or of the older field in the body; None without a usable one."""
    if (seconds := retry_after(response)) is not None:
        return seconds
    milliseconds = found.get("retry_after_ms")
    if isinstance(milliseconds, int) and 0 < milliseconds <= 86_400_000:
        return milliseconds / 1000
    return None


def url(link: Link, *path: str, prefix: str = CLIENT, query: Mapping[str, str] | None = None) -> str:
    """Returns the URL of a request. The parts of the path are encoded here."""
    encoded = "".join(f"/{quote(part, safe='')}" for part in path)
    return f"{link.options['base_url']}{prefix}{encoded}" + (f"?{urlencode(query)}" if query else "")


def request(
    link: Link,
    method: str,
    *path: str,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> Request:
    """Returns a request with the access token."""
    where, headers = url(link, *path, query=query), authorization(link)
    return Request(method, where, headers) if body is None else json_request(method, where, body, headers)


def json_request(
    method: str, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Request:
    content = json.dumps(body, separators=(",", ":")).encode()
    return Request(method, url, {**(headers or {}), "Content-Type": JSON}, content)


def authorization(link: Link) -> dict[str, str]:
    return {"Authorization": f"Bearer {link.credentials['access_token']}"}


def native_id(chat_id: str) -> str:
    """Returns the room or user that a chat id names; of a phone number, which Matrix does not have, its digits."""
    native = chat_ids.native_of(chat_id)
    return native[1] if native else chat_ids.bare_id(chat_id)


def user_chat_id(user: str) -> str:
    return chat_ids.of_native(SCHEME, user, is_group=False)


def room_chat_id(room: str, *, is_direct: bool) -> str:
    return chat_ids.of_native(SCHEME, room, is_group=not is_direct)
