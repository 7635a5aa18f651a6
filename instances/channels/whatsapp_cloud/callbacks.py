"""Checks the requests of WhatsApp to the callback URL, before they are stored."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from instances.channels.receiving import CallbackRequest, Reply, Store
from instances.channels.requests import Link
from instances.channels.whatsapp_cloud.graph import APP_SECRET, VERIFY_TOKEN, objects

log = logging.getLogger(__name__)

SIGNATURE = "X-Hub-Signature-256"
FOR_PEOPLE = (
    "This is the callback URL of a WhatsApp number. It works: Meta calls it, and you have nothing to do here.\n"
    "Enter it in the app's dashboard under WhatsApp, Configuration, Webhook, with the verify token of the instance.\n"
)


def check(link: Link, request: CallbackRequest) -> Store | Reply:
    """Returns the reply to a challenge or to what is not stored, or Store for a signed callback of this number."""
    return check_challenge(link, request) if request.method == "GET" else check_events(link, request)


def check_challenge(link: Link, request: CallbackRequest) -> Reply:
    """Returns the challenge if the verify token is right, and a page for a person who opens the URL."""
    if not request.query:
        return Reply(body=FOR_PEOPLE)
    given = {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    token, expected = given.get("hub.verify_token", ""), link.credentials.get(VERIFY_TOKEN, "")
    if given.get("hub.mode") != "subscribe" or not expected or not is_equal(token, expected):
        return Reply(403, "The verify token is not the one of this instance.\n")
    return Reply(body=given.get("hub.challenge", ""))


def check_events(link: Link, request: CallbackRequest) -> Store | Reply:
    given, secret = request.header(SIGNATURE), link.credentials.get(APP_SECRET, "")
    if not given:
        return Reply(401, f"The header {SIGNATURE} is missing.\n")
    if not secret or not is_equal(given, signature(request.body, secret)):
        return Reply(403, "The signature is not made with the app secret of this instance.\n")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return Reply(400, "The body is not JSON.\n")
    if not isinstance(body, dict) or not isinstance(body.get("entry"), list):
        return Reply(400, "The body has no list `entry`.\n")
    if all(number not in ("", link.external_id) for number in numbers_of(body)) and any(numbers_of(body)):
        log.info("instance %s: a callback is of another phone number id of the same app", link.number)
        return Reply(body="Not stored: it is of another phone number id.\n")
    return Store(key_of(body))


def signature(body: bytes, secret: str) -> str:
    """Returns the value of the header X-Hub-Signature-256 for these raw bytes."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_equal(given: str, expected: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode(errors="replace"))


def changes_of(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Returns the field and the value of each change, in order."""
    for entry in objects(body, "entry"):
        for change in objects(entry, "changes"):
            value = change.get("value")
            if isinstance(value, dict):
                yield str(change.get("field", "")), value


def number_of(value: dict[str, Any]) -> str:
    """Returns the phone number id that a change is about; empty for one of the whole business account."""
    metadata = value.get("metadata")
    found = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
    return str(found) if found else ""


def numbers_of(body: dict[str, Any]) -> list[str]:
    return [number_of(value) for _, value in changes_of(body)]


def key_of(body: dict[str, Any]) -> str:
    """Returns the key of a callback: of the same messages and statuses, the same, in any order.

    Empty if it has neither: its content is the key then.
    """
    items: set[str] = set()
    for _, value in changes_of(body):
        for kind in ("messages", "message_echoes"):
            items |= {f"{kind} {one.get('id')}" for one in objects(value, kind)}
        for one in objects(value, "statuses"):
            items.add(f"{one.get('id')} {one.get('status')} {one.get('recipient_id')}")
    return hashlib.sha256("\n".join(sorted(items)).encode(errors="replace")).hexdigest() if items else ""
