"""A channel whose messenger pushes: JSON, signed with HMAC-SHA256 of the app's secret, after a handshake by GET."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from instances.channels.receiving import CallbackRequest, Reply, Store
from instances.channels.requests import Link, Refused, Sent
from instances.models import Instance, OutgoingMessage
from instances.received_events import ReceivedEvent
from tests.instances.channels.notepad import NotepadChannel
from tests.instances.receiving.file_server import FetchesByUrl
from tests.instances.receiving.wire_format import read_events

NAME = "pushing"
SIGNATURE = "X-Hub-Signature"
CREDENTIALS = {"app_secret": "the-secret-of-the-app", "verify_token": "the-verify-token"}


def messenger_id(outgoing: OutgoingMessage) -> str:
    """Returns what the messenger calls a message that it was sent."""
    return f"wamid.{outgoing.message_id[-20:]}"


class PushingChannel(FetchesByUrl, NotepadChannel):
    """Everything but receiving is the notepad's; the messages that were sent have ids of the messenger."""

    def write(self, instance: Instance, outgoing: OutgoingMessage) -> Sent | Refused:
        result = super().write(instance, outgoing)
        if isinstance(result, Sent) and not outgoing.deletes:
            return replace(result, messenger_id=messenger_id(outgoing))
        return result

    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        if request.method == "GET":
            query = parse_qs(request.query)
            if query.get("hub.verify_token") == [link.credentials["verify_token"]]:
                return Reply(body=query["hub.challenge"][0])
            return Reply(403, "The verify token is wrong.")
        given = request.header(SIGNATURE)
        if not given:
            return Reply(401, "The signature is missing.")
        if not hmac.compare_digest(given, signature(request.body, link.credentials["app_secret"])):
            return Reply(403, "The signature is wrong.")
        try:
            key = str(json.loads(request.body).get("id", ""))
        except ValueError:
            key = ""
        return Store(key)

    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        return read_events(json.loads(request.body)["events"])


def signature(body: bytes, secret: str = CREDENTIALS["app_secret"]) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def pushed(*events: dict[str, Any], id: str = "") -> tuple[bytes, dict[str, str]]:
    """Returns the body and headers of a callback."""
    body = json.dumps(({"id": id} if id else {}) | {"events": events}).encode()
    return body, {SIGNATURE: signature(body), "Authorization": "Bearer the-messenger's-own"}
