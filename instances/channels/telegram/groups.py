"""What updates say of groups: names, who has come and gone, and who are administrators. Pure.

Telegram gives a bot no list of members. It tells of changes: in messages of the group itself, and of single members in
updates, which bots get of others only as administrators. Who is in a channel is not read: it may have a million
subscribers, who do not write in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from instances.channels.contents import time_of
from instances.channels.telegram import api
from instances.received_events import GroupChanged, GroupJoined, Person, ReceivedEvent

Object = Mapping[str, Any]

GROUPS = ("group", "supergroup")
CREATED = ("group_chat_created", "supergroup_chat_created", "channel_chat_created")
ADMINS = ("creator", "administrator")
MEMBERS = (*ADMINS, "member")


def read_service(message: Object, bot: str) -> list[ReceivedEvent]:
    """Returns what a message about the group itself reports; nothing if it is about something else."""
    chat, own = message["chat"], (api.chat_id(int(bot), is_group=False),)
    if chat.get("type") == "private":
        return []
    where, title = api.chat_id(chat["id"], is_group=True), title_of(chat)
    time = time_of(message.get("date"))
    if not message.keys().isdisjoint(CREATED):
        return [GroupJoined(where, title, time=time)]
    if people := people_in(newcomers := message.get("new_chat_members") or ()):
        others = tuple(person for person in people if person != own)
        joined = [GroupJoined(where, title, time=time)] if own in people else []
        return [*joined, GroupChanged(where, title, joined=others, names=names_in(newcomers), time=time)]
    if gone := message.get("left_chat_member"):
        return [GroupChanged(where, title, left=people_in([gone]), time=time)]
    if renamed := message.get("new_chat_title"):
        return [GroupChanged(where, str(renamed), time=time)]
    return []


def read_membership(update: Object, bot: str) -> list[ReceivedEvent]:
    """Returns what has become of one member: the bot itself, or another one in a group that it administers."""
    chat, old, new = update["chat"], update.get("old_chat_member") or {}, update["new_chat_member"]
    is_own = str(new["user"]["id"]) == bot
    if chat.get("type") not in (GROUPS if not is_own else (*GROUPS, "channel")):
        return []
    where, title = api.chat_id(chat["id"], is_group=True), title_of(chat)
    people, time = people_in([new["user"]]), time_of(update.get("date"))
    if not is_in(new):
        return [GroupChanged(where, title, left=people, time=time)]
    admins, others = (people, ()) if new.get("status") in ADMINS else ((), people)
    names = names_in([new["user"]])
    changed = GroupChanged(
        where, title, joined=people, promoted=admins, demoted=others, names=names, time=time
    )
    return [GroupJoined(where, title, time=time), changed] if is_own and not is_in(old) else [changed]


def is_in(member: Object) -> bool:
    """Returns whether a member is in the group; one whose rights are restricted may have left it."""
    status = member.get("status")
    return status in MEMBERS or (status == "restricted" and member.get("is_member") is True)


def people_in(users: Iterable[Object]) -> tuple[Person, ...]:
    return tuple((api.chat_id(user["id"], is_group=False),) for user in users)


def names_in(users: Iterable[Object]) -> dict[str, str]:
    """Returns the names of users by their chat ids."""
    return {api.chat_id(user["id"], is_group=False): name for user in users if (name := name_of(user))}


def name_of(author: Object) -> str:
    """Returns the name of a user, or of a chat that writes as itself."""
    names = [author.get("title"), author.get("first_name"), author.get("last_name")]
    return " ".join(str(name) for name in names if name) or str(author.get("username", ""))


def title_of(chat: Object) -> str:
    """Returns the name of a group or channel; empty for a private chat, which has none."""
    return str(chat.get("title") or "")
