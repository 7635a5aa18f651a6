"""Who the administrators of a group are: asked once, because updates tell of changes alone, and not to every bot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from instances.channels.receiving import GroupLookup, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.responses import date_of, json_object, retry_after
from instances.channels.telegram import api, groups
from instances.received_events import GroupChanged, GroupJoined, MessageReceived, ReceivedEvent

SECONDS = 20.0  # for each response


def lookups(events: Sequence[ReceivedEvent]) -> list[GroupLookup]:
    """Returns the groups of these events. One that the bot has just entered is looked up again."""
    entered = {event.chat_id for event in events if isinstance(event, GroupJoined)}
    seen = {
        event.chat_id
        for event in events
        if isinstance(event, MessageReceived | GroupChanged) and event.chat_id and not is_left(event)
    }
    return [GroupLookup(where, is_repeated=where in entered) for where in sorted(entered | seen)]


def is_left(event: ReceivedEvent) -> bool:
    """Whether someone has left, who may be the bot: it would be refused."""
    return isinstance(event, GroupChanged) and bool(event.left)


async def look_up(link: Link, lookup: GroupLookup, network: Network) -> list[ReceivedEvent]:
    """Returns the name and the administrators of a group; nothing of a channel, or if Telegram refuses.

    They are those at the time of the first response: an update of a later change may be recorded before them.
    """
    native = api.native_chat(lookup.chat_id)
    found, time = await ask(link, network, "getChat", native)
    chat: Mapping[str, Any] = found if isinstance(found, dict) else {}
    if not native or chat.get("type") not in groups.GROUPS:
        return []
    members, _ = await ask(link, network, "getChatAdministrators", native)
    users = [
        one["user"]
        for one in (members if isinstance(members, list) else ())
        if isinstance(one, dict) and one.get("status") in groups.ADMINS and is_user(one.get("user"))
    ]
    title, names = groups.title_of(chat), groups.names_in(users)
    return [GroupChanged(lookup.chat_id, title, promoted=groups.people_in(users), names=names, time=time)]


def is_user(user: object) -> bool:
    return isinstance(user, dict) and type(user.get("id")) is int


async def ask(link: Link, network: Network, method: str, chat: str) -> tuple[object, datetime | None]:
    """Returns the result of a method, None if Telegram refuses it; and the time of the response, by Telegram's clock.

    Raises ReceiveFailed if it may work later.
    """
    response = await network.send(api.call(link, method, {"chat_id": chat}), seconds=SECONDS)
    found = json_object(response)
    if found.get("ok") is True:
        return found.get("result"), date_of(response)
    if response.status == 429 or (response.status or 500) >= 500:
        seconds = api.retry_seconds(found) or retry_after(response)
        raise ReceiveFailed(api.explain(found) or "Telegram does not respond.", seconds=seconds)
    return None, None
