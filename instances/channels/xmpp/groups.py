"""The rooms of one account as groups: their names, who is in them, and who their admins are (XEP-0045).

The owners, admins and members of a room are participants also while they are away, if the room lists them for the
account; others are while they are in it. Such lists are believed only of a room of the account's own server, as real
JIDs are. Each report is of the whole group: what is known already changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from instances import chat_ids
from instances.channels.receiving import ReceiveFailed
from instances.channels.xmpp import jids
from instances.channels.xmpp.errors import StanzaRefused
from instances.channels.xmpp.reading import MUC, MUC_USER, Reader, Room
from instances.channels.xmpp.services import DISCO_INFO
from instances.channels.xmpp.stream import XmppStream
from instances.channels.xmpp.xml import child, element
from instances.received_events import GroupChanged, GroupJoined, ReceivedEvent

log = logging.getLogger(__name__)

ADMIN = f"{MUC}#admin"
ADMINS, AFFILIATIONS = ("owner", "admin"), ("owner", "admin", "member")
CONFIGURATION_CHANGED = "104"  # the status code
DETAILS_SECONDS = 10.0  # for each response of a room, which may be at any server
DETAILS_PAUSE = 5.0  # between two readings of a room whose configuration changes
AT_ONCE = 4  # rooms that are read at the same time: the account's messages go over the same stream
# Whom a room lists, who is in a room, and who is in all rooms together; people beyond that are left out. Anyone can
# make such rooms and invite the account. To report a room with 20 000 people stopped the event loop, and so all
# instances, for 35 to 90 ms at each change in it.
MAX_AFFILIATED, MAX_IN_ROOM, MAX_OCCUPANTS = 2_000, 2_000, 20_000
MAX_NAME = 1_000  # characters of a room's name, of which 200 are stored: a stanza may have a megabyte


@dataclass
class Group:
    """A room that the account is in.

    `occupants` by nickname and `affiliated` by bare JID, each with whether they are an admin; `listed` are the
    affiliations that the room lists for the account.
    """

    room: Room
    is_known: bool  # the account was in it before
    name: str = ""
    own_affiliation: str = ""
    occupants: dict[str, bool] = field(default_factory=dict)
    affiliated: dict[str, bool] = field(default_factory=dict)
    listed: frozenset[str] = frozenset()
    is_read: bool = False  # until then nothing is reported, because the name is missing
    is_outdated: bool = False
    is_reading: bool = False

    def report(self, own: str) -> GroupJoined:
        """Returns the whole group. `own` is the account's JID."""
        members: dict[str, bool] = {}
        names: dict[str, str] = {}
        absent = [(jid, "", is_admin) for jid, is_admin in self.affiliated.items()]
        for jid, nick, is_admin in [*self.present(own), *absent]:
            with contextlib.suppress(chat_ids.BadChatId):
                chat_id = jids.person_chat_id(jid)
                members[chat_id] = members.get(chat_id, False) or is_admin
                if nick:
                    names[chat_id] = nick
        people = tuple(((chat_id,), is_admin) for chat_id, is_admin in members.items())
        where = jids.room_chat_id(self.room.jid)
        return GroupJoined(where, self.name, people, is_known=self.is_known, names=names)

    def present(self, own: str) -> list[tuple[str, str, bool]]:
        """Returns those in the room by their bare JIDs, or as occupants of the room if these are not known."""
        room, people = self.room, self.room.people
        return [
            (own if nick == room.nick else people.get(nick) or f"{room.jid}/{nick}", nick, is_admin)
            for nick, is_admin in self.occupants.items()
        ]

    def note_affiliation(self, jid: str, affiliation: str) -> None:
        """Note who belongs to the room, as far as the room lists them: others would be missing after a restart."""
        if affiliation not in self.listed:
            self.affiliated.pop(jid, None)
        elif jid in self.affiliated or len(self.affiliated) < MAX_AFFILIATED:
            self.affiliated[jid] = affiliation in ADMINS


class Groups:
    """Of one account while it is connected. `start` runs a task until the connection ends."""

    def __init__(
        self, stream: XmppStream, reader: Reader, start: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self.stream, self.reader, self.start = stream, reader, start
        self.by_jid: dict[str, Group] = {}
        self.changed: set[str] = set()  # rooms to report
        self.left: list[ReceivedEvent] = []
        self.readers = asyncio.Semaphore(AT_ONCE)

    def reports(self) -> list[ReceivedEvent]:
        """Returns the groups that have changed since the last call."""
        events, self.left = self.left, []
        for jid in sorted(self.changed):
            group = self.by_jid[jid]
            if group.is_read:
                self.changed.discard(jid)
                with contextlib.suppress(chat_ids.BadChatId):  # its JID is too long
                    events.append(group.report(self.stream.own))
                group.is_known = True
        return events

    # -- what a room tells

    def note_occupant(self, room: Room, nick: str, item: Element) -> None:
        """Note that a person is in the room. Before the account's own presence, a room sends that of all others."""
        group = self.by_jid.get(room.jid)
        if group is None:
            group = self.by_jid[room.jid] = Group(room, is_known=room.was_entered)
        is_admin, was_admin = item.get("affiliation", "") in ADMINS, group.occupants.get(nick)
        if was_admin is None and nick != room.nick and self.is_full(group):
            return
        group.occupants[nick] = is_admin
        self.note_affiliation(group, item)
        if is_admin is not was_admin:
            self.changed.add(room.jid)
        if nick == room.nick and item.get("affiliation", "") != group.own_affiliation:
            group.own_affiliation = item.get("affiliation", "")
            if group.is_read:  # it may see more now
                self.read_later(group)

    def is_full(self, group: Group) -> bool:
        """Whether no further occupants of this room are remembered. The account itself always is."""
        if len(group.occupants) >= MAX_IN_ROOM:
            return True
        return sum(len(each.occupants) for each in self.by_jid.values()) >= MAX_OCCUPANTS

    def note_gone(self, room: Room, nick: str, item: Element | None) -> None:
        """Note that a person has left the room."""
        if (group := self.by_jid.get(room.jid)) is not None:
            group.occupants.pop(nick, None)
            self.note_affiliation(group, item)
            self.changed.add(room.jid)

    def note_renamed(self, room: Room, old: str, new: str) -> None:
        """Note that a person has another nickname. Without a known JID, they are another participant then."""
        group = self.by_jid.get(room.jid)
        if group is not None and old in group.occupants:
            group.occupants[new] = group.occupants.pop(old)
            self.changed.add(room.jid)

    def note_message(self, room: Room, message: Element) -> None:
        """Note what the room itself tells in a message: that its configuration, or an absent person's role, changed."""
        group, user = self.by_jid.get(room.jid), child(message, f"{{{MUC_USER}}}x")
        if group is None or user is None:
            return
        for each in user:
            if each.tag == f"{{{MUC_USER}}}item":
                self.note_affiliation(group, each)
                self.changed.add(room.jid)
            elif each.get("code") == CONFIGURATION_CHANGED:
                self.read_later(group)

    def note_affiliation(self, group: Group, item: Element | None) -> None:
        jid = item.get("jid", "") if item is not None else ""
        if item is not None and jids.is_jid(jid) and self.reader.trusts(group.room):
            group.note_affiliation(jids.bare(jid), item.get("affiliation", ""))

    # -- the account

    def note_entered(self, room: Room) -> None:
        """Note that the account is in the room, and who else is; read the rest."""
        if (group := self.by_jid.get(room.jid)) is not None:
            self.read_later(group)

    def note_away(self, room: Room) -> None:
        """Note that the account is not in the room for now. Who is there then is not known."""
        self.by_jid.pop(room.jid, None)
        self.changed.discard(room.jid)

    def note_left(self, room: Room) -> None:
        """Note that the account is no longer in the room, and does not enter it again."""
        self.note_away(room)
        if room.was_entered:
            with contextlib.suppress(chat_ids.BadChatId):
                own = jids.person_chat_id(self.stream.own)
                self.left.append(GroupChanged(jids.room_chat_id(room.jid), left=((own,),)))
                self.stream.interrupt()

    # -- what a room is asked for

    def report_again(self, room: Room) -> None:
        """Report the room after its archive was read: it has made participants of people who wrote, and have left."""
        if room.jid in self.by_jid:
            self.changed.add(room.jid)

    def read_later(self, group: Group) -> None:
        """Read the room's name, and whom it lists, as soon as it may be read."""
        group.is_outdated = True
        if not group.is_reading:
            group.is_reading = True
            self.start(self.read(group))

    async def read(self, group: Group) -> None:
        try:
            while group.is_outdated and self.by_jid.get(group.room.jid) is group:
                group.is_outdated = False
                async with self.readers:
                    await self.read_name(group)
                    if self.reader.trusts(group.room):
                        await self.read_affiliated(group)
                group.is_read = True
                if self.by_jid.get(group.room.jid) is group:
                    self.changed.add(group.room.jid)
                    self.stream.interrupt()
                await asyncio.sleep(DETAILS_PAUSE)
        finally:
            group.is_reading = False

    async def read_name(self, group: Group) -> None:
        """Read the name of the room; if it does not respond, the former one stays."""
        response = await self.ask(group, element(f"{{{DISCO_INFO}}}query"))
        info = child(response, f"{{{DISCO_INFO}}}query")
        for each in info if info is not None else ():
            if each.tag == f"{{{DISCO_INFO}}}identity" and each.get("category") == "conference":
                group.name = each.get("name", "")[:MAX_NAME]
                return

    async def read_affiliated(self, group: Group) -> None:
        """Read whom the room lists. A room shows the lists to its admins, and one for members only to these."""
        found: dict[str, bool] = {}
        listed = set()
        for affiliation in AFFILIATIONS:
            item = element(f"{{{ADMIN}}}item", {"affiliation": affiliation})
            response = await self.ask(group, element(f"{{{ADMIN}}}query", None, "", item))
            if response is not None:
                listed.add(affiliation)
            query = child(response, f"{{{ADMIN}}}query")
            for each in query if query is not None else ():
                if jids.is_jid(jid := each.get("jid", "")) and len(found) < MAX_AFFILIATED:
                    found.setdefault(jids.bare(jid), affiliation in ADMINS)
        group.affiliated, group.listed = found, frozenset(listed)

    async def ask(self, group: Group, payload: Element) -> Element | None:
        """Returns the response of the room; None if it refuses, or does not respond."""
        try:
            return await self.stream.iq("get", group.room.jid, payload, seconds=DETAILS_SECONDS)
        except StanzaRefused:
            return None
        except ReceiveFailed as error:
            log.info("A room does not tell who is in it: %s", error)
            return None
