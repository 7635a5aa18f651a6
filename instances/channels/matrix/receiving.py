"""Receives by long polling of /sync. The cursor is the homeserver's position, `next_batch`, and the rooms just entered.

Nothing is lost between two positions: a gap in a room is filled page by page before the position moves, and an
invitation is accepted before it does. What was written between the invitation and the entry is read back then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

from hooks.http import Response
from instances.channels.large_responses import read_many, read_response
from instances.channels.matrix import api, groups, session
from instances.channels.matrix.api import Problem, problem_of
from instances.channels.matrix.invitations import limits_of
from instances.channels.matrix.timeline import (
    EVENT_TYPES,
    Json,
    Room,
    content,
    has_entry,
    mapping,
    objects,
    replacement_of,
    text,
)
from instances.channels.receiving import (
    MAX_EVENTS_BYTES,
    MAX_LIST_BYTES,
    NOT_JSON,
    Batch,
    LinkLost,
    Network,
    ReceiveFailed,
    ResponseTooLarge,
    object_in,
    objects_in,
)
from instances.channels.requests import Link, Request
from instances.chat_ids import BadChatId
from instances.received_events import GroupChanged, ReceivedEvent

log = logging.getLogger(__name__)

Read = TypeVar("Read")

POLL_SECONDS = 25
RESPONSE_SECONDS = 30.0  # for a response, besides the time that a poll waits
TIMELINE = 50  # events of a room in one response; more are a gap
PAGE = 100  # events of a gap
GROUP_SECONDS = 60.0  # after which the whole state of a changed room is read again
MAX_ENTRY_PAGES = 50  # that are read back to an invitation

EVENTS_FILTER = {
    "types": EVENT_TYPES,
    "lazy_load_members": True,
    # each response has the members that its messages are from: nothing is remembered between two connections
    "include_redundant_members": True,
}
ROOM_FILTER = {
    "timeline": {**EVENTS_FILTER, "limit": TIMELINE},
    "state": {**EVENTS_FILTER, "types": groups.STATE_TYPES},
    "ephemeral": {"types": ["m.receipt"]},
    "account_data": {"types": []},
}
FILTER = {"presence": {"types": []}, "account_data": {"types": ["m.direct"]}, "room": ROOM_FILTER}
SHORT_FILTER = {**FILTER, "room": {**ROOM_FILTER, "timeline": {**EVENTS_FILTER, "limit": 1}}}
# The first time only the position and open invitations are of interest.
POSITION_FILTER = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "timeline": {"types": [], "limit": 1},
        "state": {"types": []},
        "ephemeral": {"types": []},
        "account_data": {"types": []},
    },
}


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class TokenExpired(Exception):
    """The homeserver has ended the session of the token, and keeps the device."""


async def ask(
    network: Network, request: Request, *, seconds: float = RESPONSE_SECONDS, max_bytes: int | None = None
) -> Json | Problem:
    """Returns the JSON object of a success, or the error. Raises as `ask_for`."""
    return await ask_for(network, request, object_in, seconds=seconds, max_bytes=max_bytes)


async def ask_for(
    network: Network,
    request: Request,
    read: Callable[[Response], Read],
    *,
    seconds: float = RESPONSE_SECONDS,
    max_bytes: int | None = None,
) -> Read | Problem:
    """Returns what `read` reads from a success, or the error.

    Raises:
        TokenExpired, LinkLost: the access token is not valid.
        ResponseTooLarge: the response is longer than `max_bytes`.
        ReceiveFailed: the homeserver cannot be reached, asks to wait, fails itself, or something else has responded.
    """
    response = await network.send(request, seconds=seconds, max_bytes=max_bytes)
    status = response.status or 0
    if status == 200:
        return await read_response(response, read)
    problem = problem_of(response)
    if problem.is_link_lost:
        raise TokenExpired(problem.sentence) if problem.is_soft_logout else LinkLost(problem.sentence)
    if problem.code and 400 <= status < 500 and status != 429:
        return problem
    raise ReceiveFailed(problem.sentence, seconds=problem.seconds)


def accepted(answer: Json | Problem) -> Json:
    """Returns the JSON. Raises ReceiveFailed if it is an error."""
    if isinstance(answer, Problem):
        raise ReceiveFailed(answer.sentence, seconds=answer.seconds)
    return answer


async def receive(link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
    """See instances.channels.receiving.Receiving. Logs in again where a password was given and the session ended."""
    while True:
        receiver = Receiver(link, network)
        try:
            async with contextlib.aclosing(receiver.batches(cursor)) as batches:
                async for batch in batches:
                    cursor = batch.cursor
                    yield batch
        except TokenExpired as error:
            credentials, events = await session.renew(link, network, str(error))
            link = replace(link, credentials=credentials)
            yield Batch(cursor, events)


class Receiver:
    """One connection: which rooms are direct, and which invitations cannot be accepted."""

    def __init__(self, link: Link, network: Network) -> None:
        self.link, self.network, self.user = link, network, link.external_id
        self.limits = limits_of(self.user)
        self.direct: Json = {}  # m.direct: the rooms by the other person
        self.refused: set[str] = set()  # rooms that the account cannot join
        self.entered: set[str] = set()  # rooms that it has joined, whose events were not read yet
        self.groups: dict[str, float] = {}  # when the members of each group were read, by the monotonic clock
        self.changed: set[str] = set()  # groups whose members are to be read again

    async def get(
        self, *path: str, query: Mapping[str, str] | None = None, seconds: float = RESPONSE_SECONDS
    ) -> Json | Problem:
        request = api.request(self.link, "GET", *path, query=query)
        return await ask(self.network, request, seconds=seconds, max_bytes=MAX_EVENTS_BYTES)

    async def batches(self, cursor: str) -> AsyncGenerator[Batch]:
        """Yields a batch for each poll and for each page of a gap."""
        answer = await self.get("user", self.user, "account_data", "m.direct")
        self.direct = {} if isinstance(answer, Problem) else answer
        since, *rooms = cursor.split() or [await self.first_position()]
        self.entered.update(rooms)
        wait = 0  # the first response shows at once that the connection is healthy
        while True:
            try:
                found = await self.sync(since, FILTER, wait)
            except ResponseTooLarge:  # anyone may write long events: the rest of each room is read as a gap
                found = await self.sync(since, SHORT_FILTER, wait)
            self.direct = self.direct_in(found)
            has_joined = await self.accept_invitations(found)
            events: list[ReceivedEvent] = []
            for room, joined in mapping(mapping(found, "rooms"), "join").items():
                if not isinstance(joined, Mapping):
                    continue
                if room in self.entered:
                    joined = await self.since_entry(room, joined)
                    self.entered.discard(room)
                timeline = objects(mapping(joined, "timeline"), "events")
                await self.remember_if_direct(room, timeline)
                await self.follow(room, timeline)
                if group := await self.read_group(room, joined):
                    yield Batch(cursor, group)
                async with contextlib.aclosing(self.read_gap(room, joined, since)) as pages:
                    async for page in pages:
                        yield Batch(cursor, page)
                number = len(timeline) + len(objects(mapping(joined, "state"), "events"))
                events += await read_many(number, functools.partial(self.read_room, room, joined))
                await asyncio.sleep(0)  # each of many rooms takes 2 ms
            events += self.left_groups(found)
            since = text(found, "next_batch")
            cursor = " ".join((since, *sorted(self.entered)))
            wait = 0 if has_joined else POLL_SECONDS
            yield Batch(cursor, events)

    async def first_position(self) -> str:
        """Returns where a new link begins: where it was when it was linked. What was written before is not imported."""
        found = await self.sync("", POSITION_FILTER, 0)
        await self.accept_invitations(found)
        return self.link.options.get("since") or text(found, "next_batch")

    async def sync(self, since: str, wanted: Mapping[str, Any], wait: int) -> Json:
        query = {"filter": compact(wanted), "timeout": str(wait * 1000), "set_presence": "offline"}
        if since:
            query["since"] = since
        found = accepted(await self.get("sync", query=query, seconds=wait + RESPONSE_SECONDS))
        if not text(found, "next_batch"):
            raise ReceiveFailed(NOT_JSON)
        return found

    async def accept_invitations(self, found: Json) -> bool:
        """Join the rooms that the account is invited to, within its limits; returns whether it joined one."""
        invitations = mapping(mapping(found, "rooms"), "invite")
        rooms, has_joined = await self.count_rooms() if invitations else 0, False
        for room, invited in invitations.items():
            if room in self.refused or not isinstance(invited, Mapping):
                continue
            state = objects(mapping(invited, "invite_state"), "events")
            inviter = self.inviter(state)
            if why := self.limits.refusal(inviter, rooms):
                await self.decline(room, why)
                continue
            await self.remember_if_direct(room, state)
            if await self.join(room, inviter):
                rooms += 1
                has_joined = True
            else:
                self.refused.add(room)
        return has_joined

    async def count_rooms(self) -> int:
        """Returns the number of rooms that the account is in; 0 if the homeserver does not say."""
        answer = await self.get("joined_rooms")
        joined = None if isinstance(answer, Problem) else answer.get("joined_rooms")
        return len(joined) if isinstance(joined, list) else 0

    def inviter(self, state: Sequence[Json]) -> str:
        """Returns the user who has invited the account; "" if the invitation does not say."""
        members = (event for event in state if event.get("type") == "m.room.member")
        return next((text(event, "sender") for event in members if event.get("state_key") == self.user), "")

    async def join(self, room: str, wanted_by: str, query: Mapping[str, str] | None = None) -> bool:
        """Join a room because of this user; returns False if the homeserver refuses it. Both count for the limits."""
        self.limits.count(wanted_by)
        request = api.request(self.link, "POST", "join", room, body={}, query=query)
        if isinstance(await ask(self.network, request), Problem):
            return False
        self.entered.add(room)
        return True

    async def decline(self, room: str, why: str) -> None:
        """Decline an invitation, and have the homeserver forget the room. If that fails, the invitation stays open."""
        log.warning("instance %s: an invitation to a Matrix room is declined: %s", self.link.number, why)
        try:
            for step in ("leave", "forget"):
                await ask(self.network, api.request(self.link, "POST", "rooms", room, step, body={}))
        except LinkLost:
            raise
        except ReceiveFailed as error:  # many invitations must not hold up the messages
            log.warning("instance %s: an invitation was not declined: %s", self.link.number, error)

    async def remember_if_direct(self, room: str, state: Sequence[Json]) -> None:
        """Remember that a room is direct if an invitation says so: one to the account, or by the account.

        Before the account joins: whether a room is direct is part of its chat id, and must not change.
        """
        for event in state:
            if event.get("type") != "m.room.member" or content(event).get("is_direct") is not True:
                continue
            invited, inviter = text(event, "state_key"), text(event, "sender")
            if self.user in (invited, inviter) and content(event).get("membership") == "invite":
                await self.remember_direct(room, inviter if invited == self.user else invited)

    async def follow(self, room: str, events: Sequence[Json]) -> None:
        """Join the room that replaces this one. If only an invitation lets the account in, that is accepted later."""
        for event in events:
            if not (replacement := replacement_of(event)):
                continue
            sender = text(event, "sender")
            if why := self.limits.refusal(sender, 0):
                log.warning("instance %s: a Matrix room is not followed: %s", self.link.number, why)
                continue
            for other, rooms in self.direct.items():
                if isinstance(rooms, list) and room in rooms:
                    await self.remember_direct(replacement, other)
                    break
            await self.join(replacement, sender, {"server_name": sender.partition(":")[2]})

    async def remember_direct(self, room: str, other: str) -> None:
        """Add a room to the account's direct rooms, as other clients do."""
        if room in self.direct_rooms():
            return
        rooms = self.direct.get(other)
        direct = {**self.direct, other: [*(rooms if isinstance(rooms, list) else []), room]}
        path = ("user", self.user, "account_data", "m.direct")
        accepted(await ask(self.network, api.request(self.link, "PUT", *path, body=direct)))
        self.direct = direct

    def direct_rooms(self) -> set[str]:
        return {room for rooms in self.direct.values() if isinstance(rooms, list) for room in map(str, rooms)}

    def direct_in(self, found: Json) -> Json:
        """Returns which rooms are direct: a change in this response, or what was known before."""
        changes = [
            content(event)
            for event in objects(mapping(found, "account_data"), "events")
            if event.get("type") == "m.direct"
        ]
        return changes[-1] if changes else self.direct

    def room(self, room: str, state: Sequence[Json]) -> Room:
        found = Room(room, self.user, is_direct=room in self.direct_rooms())
        found.learn_names(state)
        return found

    def read_room(self, room: str, joined: Json) -> list[ReceivedEvent]:
        reader = self.room(room, objects(mapping(joined, "state"), "events"))
        messages = reader.read(objects(mapping(joined, "timeline"), "events"))
        return messages + reader.read_receipts(objects(mapping(joined, "ephemeral"), "events"))

    def read_page(self, room: str, page: Json) -> list[ReceivedEvent]:
        return self.room(room, objects(page, "state")).read(objects(page, "chunk"))

    async def read_group(self, room: str, joined: Json) -> list[ReceivedEvent]:
        """Returns a group with its name and members as they are now, or nothing.

        It is read when the account enters it, once in a connection, and after changes that the timeline does not tell
        whole. The events of the timeline that are recorded after it do not contradict it: each one that it has already
        changes nothing, and each later one comes with a later position.
        """
        if room in self.direct_rooms():
            return []
        timeline = mapping(joined, "timeline")
        events, state = objects(timeline, "events"), objects(mapping(joined, "state"), "events")
        # The state has the account's own member whenever it has written. Only after a gap it may be an entry.
        has_returned = timeline.get("limited") is True and has_entry(state, self.user)
        if has_returned or any(groups.needs_whole_state(event) for event in (*state, *events)):
            self.changed.add(room)
        is_new = has_entry(events, self.user)
        is_due = room in self.changed and monotonic() >= self.groups.get(room, 0.0) + GROUP_SECONDS
        if room in self.groups and not is_new and not is_due:
            return []
        try:
            found = await self.group_state(room)
            chat_id = api.room_chat_id(room, is_direct=False)
        except LinkLost:
            raise
        except (
            ReceiveFailed,
            BadChatId,
        ) as error:  # the messages do not depend on it: an event later tries again
            log.warning("instance %s: a Matrix room's members were not read: %s", self.link.number, error)
            self.groups[room] = monotonic()
            self.changed.add(room)
            return []
        self.groups[room] = monotonic()
        self.changed.discard(room)
        if not found:
            return []
        # A room with 8 000 members takes 0.2 s.
        read = functools.partial(groups.group_of, chat_id, found, is_known=not is_new)
        return [await read_many(len(found), read)]

    async def group_state(self, room: str) -> list[Json]:
        """Returns the state of a room; of one with very many members only its name. Empty if it may not be read."""
        try:
            request = api.request(self.link, "GET", "rooms", room, "state")
            # of about 5 000 members
            answer = await ask_for(self.network, request, objects_in, max_bytes=MAX_LIST_BYTES)
            return [] if isinstance(answer, Problem) else [*answer]
        except ResponseTooLarge:
            found: list[Json] = []
            for kind in (groups.NAME, groups.ALIAS):
                content = await self.get("rooms", room, "state", kind)
                if not isinstance(content, Problem):
                    found.append({"type": kind, "state_key": "", "content": content})
            return found

    def left_groups(self, found: Json) -> list[ReceivedEvent]:
        """Returns the groups that the account is no longer in: it has left, or was removed or banned."""
        left: list[ReceivedEvent] = []
        for room in mapping(mapping(found, "rooms"), "leave"):
            self.groups.pop(room, None)
            with contextlib.suppress(BadChatId):
                if room not in self.direct_rooms():
                    chat_id, own = api.room_chat_id(room, is_direct=False), groups.person_of(self.user)
                    left.append(GroupChanged(chat_id, left=(own,)))
        return left

    async def since_entry(self, room: str, joined: Json) -> Json:
        """Returns a room that was just entered with all its events since the invitation, as if there were no gap."""
        timeline = mapping(joined, "timeline")
        events, position = objects(timeline, "events"), text(timeline, "prev_batch")
        for _ in range(MAX_ENTRY_PAGES):
            if timeline.get("limited") is not True or not position or has_entry(events, self.user):
                break
            page = await self.page(room, "b", position)
            chunk, position = objects(page, "chunk"), text(page, "end")
            events = [*reversed(chunk), *events]
        return {**joined, "timeline": {"events": events}}

    async def page(self, room: str, direction: str, position: str, **more: str) -> Json:
        """Returns up to PAGE events after the position, or before it if the direction is "b"."""
        query = {"dir": direction, "from": position, "limit": str(PAGE), "filter": compact(EVENTS_FILTER)}
        return accepted(await self.get("rooms", room, "messages", query=query | more))

    async def read_gap(self, room: str, joined: Json, since: str) -> AsyncGenerator[list[ReceivedEvent]]:
        """Yields the events between the last position and the timeline, oldest first, page by page."""
        timeline = mapping(joined, "timeline")
        position, end = since, text(timeline, "prev_batch")
        while timeline.get("limited") is True and end:
            page = await self.page(room, "f", position, to=end)
            events = objects(page, "chunk")
            read = functools.partial(self.read_page, room, page)
            if found := await read_many(len(events), read):
                yield found
            following = text(page, "end")
            if not events or following in ("", position):
                return
            position = following
