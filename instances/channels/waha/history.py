"""Reads what a session has received while its events may have been lost, and asks for its state.

WAHA forgets the events that it could not send when it is restarted, and has none of the time in which it was away. So
the history is read after the session was not working, after WAHA could not be reached, and when a receiver starts to
receive for the instance. Otherwise events arrive by callbacks. What was recorded is recognised by WhatsApp's ids.

The cursor is a time in seconds, up to which all is recorded, and the ids of the messages of that second.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from hooks.http import Response
from instances.channels.contents import time_of
from instances.channels.large_responses import read_many, read_response
from instances.channels.receiving import (
    MAX_EVENTS_BYTES,
    Batch,
    LinkLost,
    Look,
    Network,
    ReceiveFailed,
    object_in,
    objects_in,
)
from instances.channels.requests import Link, Request
from instances.channels.responses import retry_after
from instances.channels.waha import api, incoming, sessions
from instances.channels.waha.responses import NO_SESSION, WRONG_KEY
from instances.received_events import ReceivedEvent, SessionEnded

T = TypeVar("T")

SECONDS = 20.0  # for each request
POLL_SECONDS = 20.0  # between two looks at a session that is working …
BUSY_SECONDS = 5.0  # … and at another one
AGAIN_SECONDS = 1.0  # until the session's callbacks are recorded
MISSING_LOOKS = 4  # at a session that does not exist: it may be about to be made
# How far the cursor stays behind the present while all is well, and how far a new link looks back.
BEHIND_SECONDS, NEW_SECONDS = 300.0, 60.0
# A message from later than this after now does not move the cursor, which would leave out what comes until then. In the
# next gap it is read again, and recognised by its id.
AHEAD_SECONDS = 600.0
CHATS, MESSAGES = 50, 100  # of one request
MAX_CHATS, MAX_MESSAGES = 1_000, 5_000  # of one gap; of one chat


class Position(NamedTuple):
    """Up to which second all is recorded, and the ids of the messages of that second."""

    second: int
    keys: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return json.dumps([self.second, *sorted(self.keys)])


def parse(cursor: str) -> Position:
    second, *keys = json.loads(cursor)
    return Position(second, frozenset(keys))


async def receive(link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
    """Look at the session again and again; read the history after a gap. Raises LinkLost, ReceiveFailed."""
    cursor = cursor or str(Position(int(time.time() - NEW_SECONDS)))
    is_gap, is_configured, reported, missing = True, False, "", 0
    while True:
        look = Look(datetime.now(UTC))
        response = await network.send(session_request(link), seconds=SECONDS)
        if response.status == 404 and missing < MISSING_LOOKS:
            missing += 1
            await asyncio.sleep(BUSY_SECONDS)
            continue
        raise_for_error(response)
        found = object_in(response)
        if not is_configured:
            await configure(link, found, network)
            is_configured = True
        state = str(found.get("status"))
        yield Batch(cursor)
        if state != reported:
            yield Batch(cursor, events_of(found, was_working=reported == sessions.WORKING), look=look)
            if look.is_left_out:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            reported = state
        if state != sessions.WORKING:
            is_gap = True
        elif is_gap:
            async for batch in read_gap(link, cursor, network):
                cursor = batch.cursor
                yield batch
            is_gap = False
        elif parse(cursor).second < time.time() - 2 * BEHIND_SECONDS:
            cursor = str(Position(int(time.time() - BEHIND_SECONDS)))
            yield Batch(cursor)
        await asyncio.sleep(POLL_SECONDS if state == sessions.WORKING else BUSY_SECONDS)


def session_request(link: Link) -> Request:
    return api.request(link, "GET", "sessions", api.session_of(link))


async def configure(link: Link, session: Mapping[str, Any], network: Network) -> None:
    """Change the session's settings if the instance's proxy or this site's URL is another one. Raises ReceiveFailed."""
    wanted = sessions.config(link, link.callback_url) if link.callback_url else {}
    if wanted and not sessions.fits(session.get("config"), wanted):
        request = api.request(link, "PUT", "sessions", api.session_of(link), body={"config": wanted})
        response = await network.send(request, seconds=SECONDS)
        if not 200 <= (response.status or 0) < 300:
            raise ReceiveFailed(api.reason(response))


def raise_for_error(response: Response) -> None:
    match response.status:
        case 200:
            return
        case 401:
            raise LinkLost(WRONG_KEY)
        case 404:
            raise LinkLost(NO_SESSION)
    raise ReceiveFailed(api.reason(response), seconds=retry_after(response))


def events_of(session: Mapping[str, Any], *, was_working: bool) -> list[ReceivedEvent]:
    """Returns the status of a session, with its account if it is working."""
    state, me = session.get("status"), session.get("me")
    events: list[ReceivedEvent] = list(sessions.account_in(me)) if state == sessions.WORKING else []
    if was_working and state in (sessions.SCAN, sessions.FAILED) and not me:
        events.append(SessionEnded(sessions.LOGGED_OUT))
    status = sessions.status_of(state, is_known=bool(me))
    return [*events, status] if status else events


async def read_gap(link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
    """Returns what was written after the cursor, chat by chat; the last batch moves the cursor."""
    since = parse(cursor)
    last = since
    pending: list[ReceivedEvent] = []
    async for chat in chats_after(link, since, network):
        if pending:
            yield Batch(cursor, pending)
        messages = await messages_after(link, chat, since, network)
        read_chat = functools.partial(read_messages, messages, last)
        pending, last = await read_many(len(messages), read_chat)
    yield Batch(str(last), pending)


def read_messages(
    messages: Sequence[Mapping[str, Any]], last: Position
) -> tuple[list[ReceivedEvent], Position]:
    """Returns what the messages of a chat are, the oldest first, and the position after them, or a later `last`."""
    events = [event for message in sorted(messages, key=second_of) for event in read(message)]
    return events, functools.reduce(later, messages, last)


def later(position: Position, message: Mapping[str, Any]) -> Position:
    second, key = second_of(message), api.message_key(message.get("id"))
    if second > time.time() + AHEAD_SECONDS:
        return position
    if second > position.second:
        return Position(second, frozenset({key}))
    return Position(second, position.keys | {key}) if second == position.second else position


def second_of(message: Mapping[str, Any]) -> int:
    found = time_of(message.get("timestamp"))
    return int(found.timestamp()) if found else 0


def read(message: Mapping[str, Any]) -> list[ReceivedEvent]:
    """Returns a message of the history: of a contact, or one that was typed on the phone."""
    if message.get("fromMe") is True:
        # Unlike events, the history does not say what the API has sent.
        if api.message_key(message.get("id")).startswith(api.NOT_OF_A_PHONE):
            return []
        message = {**message, "source": "app"}
    return list(incoming.read_message(message))


async def chats_after(link: Link, since: Position, network: Network) -> AsyncIterator[str]:
    """Returns the chats with messages after a position; WAHA has the newest first."""
    session = api.session_of(link)
    for offset in range(0, MAX_CHATS, CHATS):
        query = {"limit": str(CHATS), "offset": str(offset)}
        request = api.get(link, session, "chats", "overview", query=query)
        chats = await ask(request, network, read_chats)
        for chat, last in chats:
            if last is not None and last < since.second:
                return
            if chat:
                yield chat
        if len(chats) < CHATS:
            return


def read_chats(chats: Sequence[Mapping[str, Any]]) -> list[tuple[str, int | None]]:
    """Returns the chat id of each, and when its last message was written."""
    found = []
    for chat in chats:
        last = chat.get("lastMessage")
        found.append((api.chat_id_of(chat.get("id")), second_of(last) if isinstance(last, Mapping) else None))
    return found


async def messages_after(link: Link, chat: str, since: Position, network: Network) -> list[Mapping[str, Any]]:
    """Returns the messages of a chat after a position, in any order."""
    found: list[Mapping[str, Any]] = []
    for offset in range(0, MAX_MESSAGES, MESSAGES):
        query = {
            "limit": str(MESSAGES),
            "offset": str(offset),
            "downloadMedia": "true",
            "filter.timestamp.gte": str(since.second),
        }
        request = api.get(link, api.session_of(link), "chats", chat, "messages", query=query)
        page, is_last = await ask(request, network, functools.partial(read_page, since))
        found += page
        if is_last or len(found) >= MAX_MESSAGES:  # a server may ignore the limit and the offset
            break
    return found


def read_page(since: Position, messages: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], bool]:
    """Returns the messages after a position, and whether there are none on the next page."""
    # Older servers do not filter.
    is_last = len(messages) < MESSAGES or any(second_of(message) < since.second for message in messages)
    return [message for message in messages if is_after(message, since)], is_last


def is_after(message: Mapping[str, Any], since: Position) -> bool:
    second = second_of(message)
    return second > since.second or (
        second == since.second and api.message_key(message.get("id")) not in since.keys
    )


async def ask(request: Request, network: Network, read: Callable[[list[Mapping[str, Any]]], T]) -> T:
    """Returns what `read` reads from the objects of a list. Raises LinkLost, ReceiveFailed."""
    response = await network.send(request, seconds=SECONDS, max_bytes=MAX_EVENTS_BYTES)
    raise_for_error(response)
    return await read_response(response, lambda response: read([*objects_in(response)]))
