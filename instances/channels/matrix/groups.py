"""What the state of a room says of a group: its name, its members and who are its admins. Pure.

Events of members and names are changes, in the order of the timeline. The whole state replaces what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from instances import chat_ids
from instances.channels.matrix import api
from instances.received_events import GroupChanged, GroupJoined, Person

Json = Mapping[str, Any]

MEMBER, NAME, ALIAS = "m.room.member", "m.room.name", "m.room.canonical_alias"
LEVELS, CREATE = "m.room.power_levels", "m.room.create"
# Types whose changes are read from the whole state of a room.
OF_WHOLE_STATE = (ALIAS, LEVELS)
STATE_TYPES = (MEMBER, NAME, *OF_WHOLE_STATE)
ADMIN_LEVEL = 100  # of clients: a moderator has 50
CREATORS_ARE_ADMINS = 12  # from this version of rooms on, they are not in the power levels


def group_of(chat_id: str, state: Iterable[Json], *, is_known: bool) -> GroupJoined:
    """Returns a group as the whole state of its room describes it."""
    by_key = {key: event for event in state if (key := key_of(event))}
    joined = [user for (kind, user), event in by_key.items() if kind == MEMBER and is_joined(event)]
    admins = admins_in(by_key, joined)
    people = ((person_of(user), user in admins) for user in sorted(joined))
    return GroupJoined(
        chat_id,
        name_of(by_key.get((NAME, "")), by_key.get((ALIAS, ""))),
        tuple((person, is_admin) for person, is_admin in people if person),
        is_known=is_known,
        names=names_in({user: text_in(by_key[MEMBER, user], "displayname") for user in joined}),
    )


def key_of(event: Json) -> tuple[str, str] | None:
    """Returns by what an event is known in the state of a room; None if it is no part of a state."""
    kind, key = event.get("type"), event.get("state_key")
    return (kind, key) if isinstance(kind, str) and isinstance(key, str) else None


def name_of(name: Json | None, alias: Json | None) -> str:
    """Returns the name of a room, or its alias; empty if it has neither."""
    return text_in(name, "name") or text_in(alias, "alias")


def admins_in(state: Mapping[tuple[str, str], Json], users: Iterable[str]) -> set[str]:
    """Returns those of the users who have the level of an admin, or have created a room where creators have it."""
    levels, created = state.get((LEVELS, "")), state.get((CREATE, "")) or {}
    creators = {created.get("sender")}
    if version_of(created) >= CREATORS_ARE_ADMINS:
        more = content_of(created).get("additional_creators")
        creators |= {one for one in more if isinstance(one, str)} if isinstance(more, list) else set()
    elif levels is not None:
        creators = set()
    given = content_of(levels).get("users")
    level = given if isinstance(given, Mapping) else {}
    default = content_of(levels).get("users_default", 0)
    return {one for one in users if one in creators or is_admin_level(level.get(one, default))}


def is_admin_level(level: object) -> bool:
    return isinstance(level, int) and level >= ADMIN_LEVEL


def version_of(created: Json) -> int:
    """Returns the version of a room; 0 if it is no number."""
    version = text_in(created, "room_version")
    return int(version) if version.isascii() and version.isdecimal() and len(version) < 5 else 0


def member_in(event: Json) -> tuple[str, bool] | None:
    """Returns a user and whether they are in the room now; None if the event does not say.

    An event without a `state_key` is a message, which any member can send with any type.
    """
    user = event.get("state_key")
    if event.get("type") != MEMBER or not isinstance(user, str) or not user.startswith("@"):
        return None
    return user, is_joined(event)


def is_joined(event: Json) -> bool:
    return content_of(event).get("membership") == "join"


def new_name_in(event: Json) -> str:
    """Returns the name that a room has got; empty if the event does not say."""
    return text_in(event, "name") if event.get("type") == NAME and event.get("state_key") == "" else ""


def needs_whole_state(event: Json) -> bool:
    """Returns whether the event changes the admins, or a name that is not in the event."""
    if event.get("state_key") != "":
        return False
    return event.get("type") in OF_WHOLE_STATE or (event.get("type") == NAME and not new_name_in(event))


def changes_of(chat_id: str, members: Mapping[str, bool], names: Mapping[str, str]) -> list[GroupChanged]:
    """Returns the change of these users, each with whether they are in the room now; none without users.

    `names` are display names by user.
    """
    found = [(person, is_in) for user, is_in in members.items() if (person := person_of(user))]
    if not found:
        return []
    joined = tuple(person for person, is_in in found if is_in)
    left = tuple(person for person, is_in in found if not is_in)
    shown = names_in({user: names.get(user, "") for user, is_in in members.items() if is_in})
    return [GroupChanged(chat_id, joined=joined, left=left, names=shown)]


def names_in(names: Mapping[str, str]) -> dict[str, str]:
    """Returns the display names of users by their chat ids, without those who have none."""
    return {person[0]: name for user, name in names.items() if name and (person := person_of(user))}


def person_of(user: str) -> Person:
    """Returns the chat id of a user; none if it cannot be one, because it is too long."""
    try:
        return (api.user_chat_id(user),) if user.startswith("@") else ()
    except chat_ids.BadChatId:
        return ()


def content_of(event: Json | None) -> Json:
    found = (event or {}).get("content")
    return found if isinstance(found, Mapping) else {}


def text_in(event: Json | None, name: str) -> str:
    """Returns a text of the event's content; empty if it is none."""
    found = content_of(event).get(name)
    return found.strip() if isinstance(found, str) else ""
