"""Begins the chat with a user: a direct room that is created once, under an alias, and then remembered for the chat.

The steps before the message are read into Uploaded, as an upload is; the file that was uploaded first is carried along:

    upload the file → create the room → or, if it exists, join it by its alias → send the message
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from instances.channels.matrix import api
from instances.channels.requests import Link, Request

EXISTS = "M_ROOM_IN_USE"


@dataclass(frozen=True, slots=True)
class Progress:
    """What the steps so far have given: a room or its alias, and the mxc URI of the file."""

    room: str = ""
    file: str = ""

    @classmethod
    def parse(cls, uploaded: str | None) -> Progress:
        parts = (uploaded or "").split(" ")
        rooms = [part for part in parts if part.startswith(("!", "#"))]
        files = [part for part in parts if part and part not in rooms]
        return cls("".join(rooms[:1]), "".join(files[:1]))

    def __str__(self) -> str:
        return f"{self.room} {self.file}".strip()


def is_user(target: str) -> bool:
    return target.startswith("@")


def alias_of(own: str, user: str) -> str:
    """Returns the alias of the room of these two, always the same: a repeated request creates no second room."""
    digest = hashlib.sha256(f"{own} {user}".encode()).hexdigest()[:20]
    return f"#chat-api-{digest}:{own.partition(':')[2]}"


def create_room(link: Link, user: str, file: str) -> Request:
    """Returns the request that creates the room and invites the user."""
    alias = alias_of(link.external_id, user)
    body = {
        "preset": "trusted_private_chat",
        "is_direct": True,
        "invite": [user],
        "room_alias_name": alias.removeprefix("#").partition(":")[0],
    }
    return as_step(api.request(link, "POST", "createRoom", body=body, query={"alias": alias, "file": file}))


def join_room(link: Link, alias: str, file: str) -> Request:
    return as_step(api.request(link, "POST", "join", alias, body={}, query={"file": file}))


def as_step(request: Request) -> Request:
    return Request(request.method, request.url, request.headers, request.body, is_upload=True)


def is_step(request: Request) -> bool:
    """Whether a request is one of these: its URL carries what was uploaded before. Homeservers ignore that."""
    return request.is_upload and not request.body_path and "file" in query_of(request)


def query_of(request: Request) -> dict[str, str]:
    found = parse_qs(urlsplit(request.url).query, keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}


def progress_after(request: Request, room: str = "") -> Progress:
    """Returns what there is after a step: in this room, or in that of the alias, which exists already."""
    query = query_of(request)
    return Progress(room or query.get("alias", ""), query["file"])
