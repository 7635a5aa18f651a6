"""Carries out commands on a room, and signs out: one request each, in the caller's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from hooks import http
from instances.actions.chats.chats import Denied
from instances.channels.matrix import api
from instances.channels.requests import Link
from instances.commands import LeaveGroup, ReadChat, ShowActivity
from instances.models import Chat, Instance


class HomeserverFailed(Exception):
    """The homeserver cannot be reached, or fails: a queued command is tried again."""


def call(link: Link, method: str, *path: str, body: Mapping[str, Any]) -> None:
    """Make a request.

    Raises:
        Denied: the homeserver refuses it, in its words.
        HomeserverFailed: it may work later.
    """
    request = api.request(link, method, *path, body=body)
    response = http.send(request.method, request.url, request.headers.items(), request.body)
    status = response.status or 0
    if 200 <= status < 300:
        return
    problem = api.problem_of(response)
    if problem.code and 400 <= status < 500 and status != 429:
        raise Denied(problem.sentence)
    raise HomeserverFailed(problem.sentence if status else response.error)


def room_of(instance: Instance, chat_id: str) -> str:
    """Returns the room of a chat: the one that is remembered for it, such as that with a user."""
    found = Chat.objects.filter(instance=instance, chat_id=chat_id).values_list(
        "messenger_chat_id", flat=True
    )
    return found.first() or api.native_id(chat_id)


def read_chat(instance: Instance, link: Link, command: ReadChat, last: str) -> None:
    """Send a receipt for the last message of the chat that others wrote, if its id is not empty."""
    if last:
        room = room_of(instance, command.chat_id)
        call(link, "POST", "rooms", room, "receipt", "m.read", last, body={})


def show_activity(instance: Instance, link: Link, command: ShowActivity) -> None:
    """Show that the account is typing. The homeserver ends it after `seconds`."""
    body: dict[str, Any] = {"typing": command.seconds > 0}
    if command.seconds > 0:
        body["timeout"] = command.seconds * 1000
    room = room_of(instance, command.chat_id)
    call(link, "PUT", "rooms", room, "typing", link.external_id, body=body)


def leave(instance: Instance, link: Link, command: LeaveGroup) -> None:
    """Leave the room, and have the homeserver forget it: it is not in the account's list of rooms any more."""
    room = room_of(instance, command.group_id)
    call(link, "POST", "rooms", room, "leave", body={})
    with contextlib.suppress(Denied):
        call(link, "POST", "rooms", room, "forget", body={})


def log_out(link: Link) -> None:
    """End the session; its access token becomes invalid."""
    call(link, "POST", "logout", body={})
