"""Carries out commands on a chat or a room, through the open connection, in the caller's thread."""

from __future__ import annotations

import secrets
from typing import Any
from xml.etree.ElementTree import Element

from instances.actions.chats.chats import Denied
from instances.channels.open_streams import call as call_stream
from instances.channels.requests import Link
from instances.channels.responses import json_object, words
from instances.channels.xmpp import jids
from instances.channels.xmpp.archive import filled
from instances.channels.xmpp.groups import ADMIN
from instances.channels.xmpp.reading import DIRECT_INVITE, MARKERS, MUC
from instances.channels.xmpp.sending import HINTS, XML
from instances.channels.xmpp.xml import element, to_bytes
from instances.commands import (
    AddParticipant,
    CreateGroup,
    LeaveGroup,
    MessengerGroup,
    ReadChat,
    RemoveParticipant,
    SetAdmin,
    ShowActivity,
)
from instances.models import Instance

OWNER, CONFIG = f"{MUC}#owner", f"{MUC}#roomconfig"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
NOT_CONNECTED = "The account is not connected to its server at the moment."
NO_JID = "This is not the JID of a person or room."


class ServerFailed(Exception):
    """The connection is not open, or the server does not respond: a queued command is tried again."""


def call(link: Link, action: str, stanza: Element) -> dict[str, Any]:
    """Returns what the connection responds.

    Raises:
        Denied: the server or the room refuses it, in its words.
        ServerFailed: it may work later.
    """
    response = call_stream(link, action, to_bytes(stanza), XML)
    if response is None:
        raise ServerFailed(NOT_CONNECTED)
    found = json_object(response)
    if response.status == 200:
        return found
    said = words(found.get("error")) or response.error or NOT_CONNECTED
    if response.status == 422:
        raise Denied(said)
    raise ServerFailed(said)


def ask(link: Link, to: str, payload: Element) -> None:
    """Make a request that changes something. Raises as `call`."""
    call(link, "iq", element("iq", {"type": "set", "to": to}, "", payload))


def jid_of(instance: Instance, chat_id: str) -> str:
    """Returns the JID of a chat or of a person. Raises Denied."""
    if not (jid := jids.of_chat(chat_id)):
        raise Denied(NO_JID)
    return jid


def message_to(to: str, chat_id: str, *children: Element) -> Element:
    kind = "groupchat" if chat_id.endswith("@g.us") else "chat"
    return element("message", {"to": to, "type": kind}, "", *children)


def read_chat(instance: Instance, link: Link, command: ReadChat, last: str) -> None:
    """Mark the last message of the chat that others wrote as displayed, and so all before it (XEP-0333)."""
    if last and not last.startswith("encrypted "):
        marker = element(f"{{{MARKERS}}}displayed", {"id": last})
        to = jid_of(instance, command.chat_id)
        call(link, "send", message_to(to, command.chat_id, marker, element(f"{{{HINTS}}}store")))


def show_activity(instance: Instance, link: Link, command: ShowActivity) -> None:
    """Show that the account is typing, until it sends a message or this says otherwise (XEP-0085)."""
    state = element(f"{{{CHAT_STATES}}}{'composing' if command.seconds else 'active'}")
    to = jid_of(instance, command.chat_id)
    call(link, "send", message_to(to, command.chat_id, state, element(f"{{{HINTS}}}no-store")))


def create_group(instance: Instance, link: Link, command: CreateGroup) -> MessengerGroup:
    """Create a room for members only, at the server's own service, and invite the members."""
    service = link.options.get("rooms", "")
    if not service:
        raise Denied("The server of this account has no rooms.")
    members = [jid_of(instance, member) for member in command.members]
    room = f"{secrets.token_hex(8)}@{service}"
    nick = jids.local(link.external_id)
    entry = element(
        "presence",
        {"to": f"{room}/{nick}"},
        "",
        element(f"{{{MUC}}}x", None, "", element(f"{{{MUC}}}history", {"maxstanzas": "0"})),
    )
    call(link, "enter", entry)
    form = filled(
        {
            "FORM_TYPE": CONFIG,
            "muc#roomconfig_roomname": command.name,
            "muc#roomconfig_persistentroom": "1",
            "muc#roomconfig_membersonly": "1",
            "muc#roomconfig_publicroom": "0",
            "muc#roomconfig_whois": "anyone",
        }
    )
    ask(link, room, element(f"{{{OWNER}}}query", None, "", form))
    subject = element("subject", None, command.name)
    call(link, "send", element("message", {"to": room, "type": "groupchat"}, "", subject))
    for member in members:
        admit(link, room, member)
    return MessengerGroup(jids.room_chat_id(room))


def admit(link: Link, room: str, member: str) -> None:
    """Make a person a member of the room, and invite them."""
    set_affiliation(link, room, member, "member")
    call(link, "send", invitation(room, member))


def invitation(room: str, member: str) -> Element:
    direct = element(f"{{{DIRECT_INVITE}}}x", {"jid": room})
    return element("message", {"to": member, "type": "normal"}, "", direct)


def set_affiliation(link: Link, room: str, member: str, affiliation: str) -> None:
    item = element(f"{{{ADMIN}}}item", {"affiliation": affiliation, "jid": jids.bare(member)})
    ask(link, room, element(f"{{{ADMIN}}}query", None, "", item))


def add_participant(instance: Instance, link: Link, command: AddParticipant) -> None:
    admit(link, jid_of(instance, command.group_id), jid_of(instance, command.member))


def remove_participant(instance: Instance, link: Link, command: RemoveParticipant) -> None:
    """Take a person's membership away: the room removes them."""
    set_affiliation(link, jid_of(instance, command.group_id), jid_of(instance, command.member), "none")


def set_admin(instance: Instance, link: Link, command: SetAdmin) -> None:
    affiliation = "admin" if command.is_admin else "member"
    set_affiliation(link, jid_of(instance, command.group_id), jid_of(instance, command.member), affiliation)


def leave(instance: Instance, link: Link, command: LeaveGroup) -> None:
    call(
        link, "leave", element("presence", {"to": jid_of(instance, command.group_id), "type": "unavailable"})
    )
