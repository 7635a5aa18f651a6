"""The requests that send, delete and upload, and what the homeserver's responses mean. Pure functions."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote, urlsplit

from hooks.http import Response
from instances import chat_ids
from instances.channels.matrix import api, direct_chats
from instances.channels.matrix.content import content_of, event_type
from instances.channels.matrix.direct_chats import Progress
from instances.channels.requests import (
    Failed,
    Link,
    MessageToSend,
    Refused,
    Request,
    Result,
    Scope,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.responses import json_object

NOT_KNOWN = "The message cannot be deleted: the homeserver's id of it is not known."
NO_ROOM = (
    "Matrix has no phone numbers: write to a room or to a user, whose chat ids look like "
    "matrix:!room:example.org@g.us and matrix:@ann:example.org@c.us."
)


def transaction_id(message: MessageToSend) -> str:
    """Returns the idempotency key: the homeserver sends one event for it. Short, because it is part of the URL."""
    return hashlib.sha256(message.message_id.encode()).hexdigest()[:32]


def prepare(message: MessageToSend, link: Link, uploaded: str | None = None) -> Request | Refused:
    """Returns the request of a message or a deletion; before it, what the message needs: a file, a room with a user."""
    progress, transaction = Progress.parse(uploaded), transaction_id(message)
    room = progress.room or message.messenger_chat_id or api.native_id(message.chat_id)
    if message.deletes:
        event = message.deletes_messenger_id
        if not event:
            return Refused(NOT_KNOWN)
        return api.request(link, "PUT", "rooms", room, "redact", event, transaction, body={})
    file = message.file
    if file is not None and not progress.file:
        where = api.url(link, "upload", prefix="/_matrix/media/v3", query={"filename": file.filename[:200]})
        headers = api.authorization(link) | {"Content-Type": file.content_type}
        return Request("POST", where, headers, body_path=file.path, is_upload=True)
    if direct_chats.is_user(room):
        return direct_chats.create_room(link, room, progress.file)
    if room.startswith("#"):
        return direct_chats.join_room(link, room, progress.file)
    content = content_of(message, progress.file)
    return api.request(link, "PUT", "rooms", room, "send", event_type(message), transaction, body=content)


def read(request: Request, response: Response) -> Result:
    """Returns what the response means. An error is final if it is in the homeserver's words and its status is 4xx."""
    status = response.status or 0
    if 200 <= status < 300:
        return read_success(request, response)
    problem = api.problem_of(response)
    if problem.is_link_lost:
        return Unlinked(problem.sentence)
    if problem.code == direct_chats.EXISTS and status == 400 and direct_chats.is_step(request):
        return Uploaded(str(direct_chats.progress_after(request)))
    if status == 429 or problem.code == "M_LIMIT_EXCEEDED" or (status == 503 and problem.seconds):
        return Wait(problem.sentence, Scope.NUMBER, problem.seconds)
    if problem.code in ("M_RESOURCE_LIMIT_EXCEEDED", "M_CONSENT_NOT_GIVEN") and 400 <= status < 500:
        return Wait(problem.sentence, Scope.NUMBER)
    if not problem.code or not 400 <= status < 500 or status in (408, 425):
        return Failed(problem.sentence)
    room = named_room(request)
    return Refused(problem.sentence if room is None or room.startswith("!") else NO_ROOM)


def named_room(request: Request) -> str | None:
    """Returns the room that a request is for; None if it is for none."""
    _, found, rest = urlsplit(request.url).path.partition("/rooms/")
    return unquote(rest.partition("/")[0]) if found else None


def read_success(request: Request, response: Response) -> Result:
    found = json_object(response)
    if direct_chats.is_step(request):
        room = found.get("room_id")
        is_room = isinstance(room, str) and room.startswith("!") and chat_ids.storable_messenger_id(room)
        return (
            Uploaded(str(direct_chats.progress_after(request, str(room))))
            if is_room
            else Failed(NOT_CONFIRMED)
        )
    if request.is_upload:
        uri = found.get("content_uri")
        return Uploaded(uri) if isinstance(uri, str) and uri.startswith("mxc://") else Failed(NOT_CONFIRMED)
    event = found.get("event_id")
    if not isinstance(event, str) or not chat_ids.storable_messenger_id(event):
        return Failed(NOT_CONFIRMED)
    if "/redact/" in urlsplit(request.url).path:
        return Sent(())
    return Sent(messenger_id=event, messenger_chat_id=named_room(request) or "")


NOT_CONFIRMED = "The homeserver's response does not confirm the message."
