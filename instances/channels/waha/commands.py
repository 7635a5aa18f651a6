"""Carries out commands, and asks about numbers and codes: one request each, in the caller's thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hooks import http
from hooks.http import Response
from instances import chat_ids
from instances.actions.chats.chats import Denied
from instances.channels.base import CannotDo
from instances.channels.requests import Link, Request
from instances.channels.responses import json_object
from instances.channels.waha import api, outgoing
from instances.commands import (
    AddParticipant,
    Command,
    CreateGroup,
    JoinGroup,
    LeaveGroup,
    MessengerGroup,
    ReadChat,
    RemoveParticipant,
    SetAdmin,
    ShowActivity,
)
from instances.models import Chat, Instance

NOT_LINKED = "The instance has no session at a WAHA server. Link it first."
NO_GROUP = "WAHA's response does not name the group."
NO_CODE = "The WAHA server has no code to scan at the moment."
NO_NUMBER = "WhatsApp only tells of phone numbers whether they use it."
PRESENCES = {Chat.Activity.TYPING: "typing", Chat.Activity.RECORDING: "recording"}


class WahaFailed(Exception):
    """The server cannot be reached, or fails: a queued command is tried again. The text is a sentence for people."""


def call(request: Request) -> Response:
    """Returns a response that is a success.

    Raises:
        Denied: WAHA or WhatsApp refuses it, in its words.
        WahaFailed: it may work later.
    """
    response = http.send(request.method, request.url, request.headers.items(), request.body)
    status, said = response.status or 0, api.said(response)
    if 200 <= status < 300:
        return response
    sentence = api.reason(response)
    if said and 400 <= status < 500 and status not in (401, 429) and not api.status_in(response):
        raise Denied(sentence)
    raise WahaFailed(sentence)


def chat_at_whatsapp(instance: Instance, chat_id: str) -> str:
    """Returns the id of a chat at WhatsApp: the one that is remembered for it, if there is one. One query."""
    known = Chat.objects.filter(instance=instance, chat_id=chat_id).values_list(
        "messenger_chat_id", flat=True
    )
    return outgoing.known_chat(chat_id, known.first() or "")


def perform(instance: Instance, link: Link, command: Command) -> MessengerGroup | None:
    """Carry out a command. Returns the group for CreateGroup and JoinGroup. Raises Denied, WahaFailed."""
    session = api.session_of(link)

    def post(*path: str, **body: Any) -> Response:
        return call(api.request(link, "POST", *path, body=body))

    def of_group(group: str, *path: str, member: str = "") -> None:
        people = {"participants": [{"id": chat_at_whatsapp(instance, member)}]} if member else {}
        post(session, "groups", group, *path, **people)

    match command:
        case CreateGroup(name, members):
            people = [{"id": chat_at_whatsapp(instance, member)} for member in members]
            return group_in(post(session, "groups", name=name, participants=people))
        case JoinGroup(code):
            return group_in(post(session, "groups", "join", code=code))
        case AddParticipant(group, member):
            of_group(group, "participants", "add", member=member)
        case RemoveParticipant(group, member):
            of_group(group, "participants", "remove", member=member)
        case SetAdmin(group, member, is_admin):
            of_group(group, "admin", "promote" if is_admin else "demote", member=member)
        case LeaveGroup(group):
            of_group(group, "leave")
        case ReadChat(chat_id):
            post("sendSeen", session=session, chatId=chat_at_whatsapp(instance, chat_id))
        case ShowActivity(chat_id, activity, seconds):
            presence = PRESENCES[activity] if seconds else "paused"
            post(session, "presence", chatId=chat_at_whatsapp(instance, chat_id), presence=presence)
    return None


def group_in(response: Response) -> MessengerGroup:
    """Returns the group that a response names. Each engine has its own form."""
    found = json_object(response)
    for key in ("id", "gid", "JID", "jid", "groupJid"):
        given = found.get(key)
        if isinstance(given, Mapping):
            given = given.get("_serialized")
        if isinstance(given, str) and chat_ids.is_group(given):
            return MessengerGroup(given)
    raise Denied(NO_GROUP)


def has_account(link: Link, phone: str) -> bool:
    """Whether a number uses WhatsApp. Raises CannotDo."""
    digits = chat_ids.phone_of(chat_ids.of_phone(phone))
    if not digits:
        raise CannotDo(NO_NUMBER)
    return json_object(ask(outgoing.ask(link, digits))).get("numberExists") is True


def qr_text(link: Link) -> str:
    """Returns the text of the code that is shown now. Raises CannotDo if there is none."""
    text = json_object(ask(api.get(link, api.session_of(link), "auth", "qr", query={"format": "raw"}))).get(
        "value"
    )
    if not isinstance(text, str) or not text:
        raise CannotDo(NO_CODE)
    return text


def pairing_code(link: Link, phone: str) -> str:
    """Returns the code to enter on the phone with this number. Raises CannotDo."""
    request = api.request(
        link, "POST", api.session_of(link), "auth", "request-code", body={"phoneNumber": phone}
    )
    code = json_object(ask(request)).get("code")
    if not isinstance(code, str) or not code:
        raise CannotDo(NO_CODE)
    return code


def confirmation_code(link: Link) -> str:
    """Returns the code that the phone must show too; "" if there is none now."""
    try:
        found = ask(api.request(link, "GET", api.session_of(link), "auth", "passkey", "confirmation"))
    except CannotDo:
        return ""
    code = json_object(found).get("code")
    return code if isinstance(code, str) else ""


def change_session(link: Link, action: str) -> None:
    """Log out or restart the session. Raises CannotDo."""
    ask(api.request(link, "POST", "sessions", api.session_of(link), action, body={}))


def ask(request: Request) -> Response:
    """As `call`; every failure is CannotDo, with the reason."""
    if not request.headers.get("X-Api-Key"):
        raise CannotDo(NOT_LINKED)
    try:
        return call(request)
    except (Denied, WahaFailed) as error:
        raise CannotDo(str(error)) from None
