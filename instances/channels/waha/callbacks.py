"""Checks the requests of a WAHA server to the callback URL, before they are stored."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from instances.channels.receiving import CallbackRequest, Reply, Store
from instances.channels.requests import Link
from instances.channels.waha import api
from instances.channels.waha.api import HMAC_KEY

SIGNATURE = "X-Webhook-Hmac"
FOR_PEOPLE = "This is the callback URL of a WAHA session. WAHA sends its events here by POST.\n"


def check(link: Link, request: CallbackRequest) -> Store | Reply:
    """Returns Store for an event of this link's session with its signature; otherwise the reply to what is not stored.

    A person's own server may sign the events of all its sessions with one key, which their links have then.
    """
    if request.method != "POST":
        return Reply(405, FOR_PEOPLE)
    given, key = request.header(SIGNATURE), link.credentials.get(HMAC_KEY, "")
    if not given:
        return Reply(401, f"The header {SIGNATURE} is missing.\n")
    expected = signature(request.body, key)
    if not key or not hmac.compare_digest(given.lower().encode(errors="replace"), expected.encode()):
        return Reply(403, "The signature is not made with the key of this instance.\n")
    event = event_in(request.body)
    if event is None:
        return Reply(400, "The body is not an event.\n")
    if event.get("session", api.session_of(link)) != api.session_of(link):
        return Reply(403, "The event is one of another session.\n")
    event_id = event.get("id")
    return Store(event_id if isinstance(event_id, str) else "")


def signature(body: bytes, key: str) -> str:
    """Returns the value of X-Webhook-Hmac for these raw bytes."""
    return hmac.new(key.encode(), body, hashlib.sha512).hexdigest()


def event_in(body: bytes) -> dict[str, Any] | None:
    """Returns the event; None if the body is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("event"), str) else None
