"""The rooms of one account while it is connected (MUC, XEP-0045): enters them, and follows who is in them."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element

from instances.channels.receiving import ReceiveFailed
from instances.channels.xmpp import jids
from instances.channels.xmpp.errors import NotSent, error_in, error_stanza
from instances.channels.xmpp.groups import Groups
from instances.channels.xmpp.reading import MUC, MUC_USER, Reader, Room
from instances.channels.xmpp.stream import XmppStream, normal
from instances.channels.xmpp.xml import child, element

ENTRY_SECONDS = 15.0  # for a room to let the account in
MAX_ROOMS = 300
MAX_NICK = 60  # characters of a nickname, with an underscore for each person who has the same
# Errors of a room after which the account does not try to enter it again.
FINAL = ("forbidden", "registration-required", "not-authorized", "item-not-found", "gone", "not-allowed")


class Rooms:
    """`by_jid` are those that the account is in, or enters again."""

    def __init__(self, stream: XmppStream, reader: Reader, by_jid: dict[str, Room], groups: Groups) -> None:
        self.stream, self.reader, self.by_jid, self.groups = stream, reader, by_jid, groups
        self.entering: dict[str, asyncio.Future[Element]] = {}  # until the own presence is there

    @property
    def nick(self) -> str:
        return jids.local(self.stream.own) or "chat-api"

    def handle_occupant(self, room: Room, nick: str, kind: str, presence: Element) -> None:
        user = child(presence, f"{{{MUC_USER}}}x")
        codes = statuses_of(presence)
        item = child(user, f"{{{MUC_USER}}}item")
        is_self = "110" in codes or nick == room.nick
        if kind == "error":
            self.note_entry(room, presence)
        elif kind == "unavailable":
            new = item.get("nick", "") if item is not None and "303" in codes else ""
            if new and jids.is_jid(f"{room.jid}/{new}"):
                self.rename(room, nick, new)
                return
            room.people.pop(nick, None)
            self.groups.note_gone(room, nick, item)
            if is_self and "303" not in codes:
                room.is_entered = False
                room.people.clear()  # the nicknames may be others' when the account is back
                self.groups.note_away(room)
                if codes & {"301", "307", "321", "322"} or child(user, f"{{{MUC_USER}}}destroy") is not None:
                    self.forget(room)  # banned, removed, or the room is gone
        elif kind == "":
            if item is not None:
                self.reader.learn_person(room, nick, item.get("jid", ""))
                self.groups.note_occupant(room, nick, item)
            if is_self:
                room.nick = nick
                self.note_entry(room, presence)

    def rename(self, room: Room, old: str, new: str) -> None:
        """Note that a person has another nickname now."""
        if old == room.nick:
            room.nick = new
        if person := room.people.pop(old, ""):
            room.people[new] = person
        self.groups.note_renamed(room, old, new)

    def note_message(self, message: Element) -> None:
        """Note what a room that the account is in tells of itself."""
        sender = normal(message.get("from", ""))
        room = self.by_jid.get(sender)
        if room is not None and room.is_entered:
            self.groups.note_message(room, message)

    def note_entry(self, room: Room, presence: Element) -> None:
        """Note that the account is in the room, or why it is not."""
        is_first = not room.is_entered
        room.is_entered = presence.get("type") != "error"
        if room.is_entered and is_first:
            self.groups.note_entered(room)
        room.was_entered = room.was_entered or room.is_entered
        if not room.is_entered:
            self.groups.note_away(room)
        condition = "" if room.is_entered else error_in(presence)[0]
        future = self.entering.get(room.jid)
        if condition == "conflict" and len(room.nick) < MAX_NICK:
            room.nick += "_"
            self.stream.send(self.entry(room))
        elif future is not None and not future.done():
            future.set_result(presence)
        elif condition in FINAL:
            self.forget(room)
        if room.is_entered and is_first and room.archive_id:
            room.is_behind, room.read_at = True, 0.0

    def forget(self, room: Room) -> None:
        self.by_jid.pop(room.jid, None)
        self.groups.note_left(room)

    async def enter(
        self, jid: str, nick: str = "", password: str = "", *, may_create: bool = False
    ) -> Element:
        """Enter a room and returns the own presence there, or the error.

        Servers create a room that is not there: it is left at once, unless `may_create`. Raises ReceiveFailed.
        """
        if (entering := self.entering.get(jid)) is not None:
            return await asyncio.shield(entering)
        room, is_new = self.by_jid.get(jid), jid not in self.by_jid
        if room is None:
            if len(self.by_jid) >= MAX_ROOMS:
                raise ReceiveFailed(f"The account is in {MAX_ROOMS} rooms already.")
            room = self.by_jid[jid] = Room(jid, nick or self.nick, password)
        future: asyncio.Future[Element] = asyncio.get_running_loop().create_future()
        self.entering[jid] = future
        try:
            self.stream.send(self.entry(room))
            async with asyncio.timeout(ENTRY_SECONDS):
                presence = await asyncio.shield(future)
        except (TimeoutError, NotSent, asyncio.CancelledError) as error:
            future.cancel()
            if is_new:
                self.forget(room)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise ReceiveFailed("The room does not respond.") from None
        finally:
            self.entering.pop(jid, None)
        if "201" in statuses_of(presence) and not may_create:
            self.stream.send(element("presence", {"to": f"{jid}/{room.nick}", "type": "unavailable"}))
            presence = error_stanza("presence", "item-not-found")
        if presence.get("type") == "error" and (is_new or error_in(presence)[0] in FINAL):
            self.forget(room)
        return presence

    def entry(self, room: Room) -> Element:
        """Returns the presence that enters a room. Without an archive it asks for the messages since the last one."""
        since = {"since": room.stamp} if room.stamp and not room.archive_id else {"maxstanzas": "0"}
        password = [element(f"{{{MUC}}}password", None, room.password)] if room.password else []
        history = element(f"{{{MUC}}}history", since)
        return element(
            "presence",
            {"to": f"{room.jid}/{room.nick}"},
            "",
            element(f"{{{MUC}}}x", None, "", history, *password),
        )

    def enter_again(self) -> None:
        """Enter the rooms that the account should be in, and is not. Raises NotSent."""
        for room in self.by_jid.values():
            if not room.is_entered and room.jid not in self.entering:
                self.stream.send(self.entry(room))


def statuses_of(presence: Element) -> set[str]:
    """Returns the codes by which a room describes a presence."""
    user = child(presence, f"{{{MUC_USER}}}x")
    return {
        each.get("code", "") for each in (user if user is not None else ()) if each.tag.endswith("}status")
    }
