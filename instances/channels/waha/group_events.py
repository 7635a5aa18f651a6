"""What events of WAHA report of groups: who is in them, who are their admins, and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from instances import chat_ids
from instances.channels.contents import text, time_of
from instances.channels.waha import api
from instances.received_events import GroupChanged, GroupJoined, Person

Object = Mapping[str, Any]

ADMINS = ("admin", "superadmin")


def read(event: Object, payload: Object) -> Iterator[GroupJoined | GroupChanged]:
    """Returns what an event of a group reports; nothing for an unknown event."""
    found, me = payload.get("group"), event.get("me")
    group: Object = found if isinstance(found, Mapping) else {}
    own: Object = me if isinstance(me, Mapping) else {}
    chat_id = api.chat_id_of(group.get("id"))
    if not chat_ids.is_group(chat_id):
        return
    time = time_of(event.get("timestamp"))
    match event.get("event"):
        case "group.v2.join":
            members = [(ids_of(one, own), one.get("role") in ADMINS) for one in people_in(group)]
            known = tuple(one for one in members if one[0])
            yield GroupJoined(chat_id, text(group.get("subject")), known, time=time)
        case "group.v2.leave":
            if own_id := api.chat_id_of(own.get("id")):
                yield GroupChanged(chat_id, left=((own_id,),), time=time)
        case "group.v2.update":
            if name := text(group.get("subject")):
                yield GroupChanged(chat_id, name, time=time)
        case "group.v2.participants":
            people = tuple(filter(None, (ids_of(one, own) for one in people_in(payload))))
            yield from read_change(chat_id, payload.get("type"), people, time)


def read_change(
    chat_id: str, type: object, people: tuple[Person, ...], time: datetime | None
) -> Iterator[GroupChanged]:
    """Returns a change of the participants of a group; nothing for an unknown type."""
    match type:
        case "join":
            yield GroupChanged(chat_id, joined=people, time=time)
        case "leave":
            yield GroupChanged(chat_id, left=people, time=time)
        case "promote":
            yield GroupChanged(chat_id, promoted=people, time=time)
        case "demote":
            yield GroupChanged(chat_id, demoted=people, time=time)


def people_in(found: Object) -> list[Object]:
    people = found.get("participants")
    return [one for one in people if isinstance(one, Mapping)] if isinstance(people, list) else []


def ids_of(participant: Object, own: Object) -> Person:
    """Returns the ids of a participant; none if they are not valid.

    Who hides their number has an id of WhatsApp, which their messages have too, and perhaps a number as well. The
    account itself is known by its number alone.
    """
    given = (api.chat_id_of(participant.get("id")), api.chat_id_of(participant.get("pn")))
    own_ids = [api.chat_id_of(own.get(key)) for key in ("id", "lid")]
    if own_ids[0] and any(one and one in own_ids for one in given):
        return (own_ids[0],)
    return tuple(dict.fromkeys(one for one in given if is_person(one)))


def is_person(given: str) -> bool:
    """Returns whether it is the id of a person that can be recorded."""
    try:
        return not chat_ids.is_group(chat_ids.of_phone(given))
    except chat_ids.BadChatId:
        return False
