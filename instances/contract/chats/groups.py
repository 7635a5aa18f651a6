"""Groups: made, joined and left; their participants and admins (contract.md, section 2)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from instances import chat_ids, value_parsing
from instances.actions.chats.groups import GROUP_LIMIT, NAME_LIMIT
from instances.actions.sending.accept import TEXT_LIMIT
from instances.commands import (
    AddParticipant,
    CreateGroup,
    JoinGroup,
    LeaveGroup,
    RemoveParticipant,
    SetAdmin,
)
from instances.contract.arguments import MOST_PHONES, Argument, last, once, phones, plain, text
from instances.contract.chats.channel_commands import perform_now, perform_or_enqueue, waiting_words
from instances.contract.chats.chats import NOT_REMOVED
from instances.contract.errors import BadArgument, Refused, WireError
from instances.contract.registry import method
from instances.models import Instance
from instances.sending.channel_commands import CommandResult

GROUP_SENTENCE = "groupId should look like 17680561234-1479621234@g.us"

_BARE_GROUP = re.compile(r"[0-9]{5,20}-[0-9]{5,20}")
_CODE = re.compile(r"[0-9A-Za-z_-]{4,40}")


def group_id(value: Any) -> str:
    """A group's chat id, also without its `@g.us`. Raises BadChatId."""
    try:
        given = plain(once(value)).strip()
        found = chat_ids.of_chat(given + chat_ids.GROUP if _BARE_GROUP.fullmatch(given) else given)
    except ValueError:
        found = ""
    if not chat_ids.is_group(found):
        raise chat_ids.BadChatId(GROUP_SENTENCE)
    return found


def people(value: Any) -> list[str]:
    """Chat ids of persons: one text, a comma list, or an array; a phone number is the chat id of its owner."""
    several = [plain(one) for one in value] if isinstance(value, list) else value
    given = [] if several is None else value_parsing.texts(several)
    if len(given) > MOST_PHONES:
        raise ValueError(f"at most {MOST_PHONES} chat ids")
    found = [chat_ids.of_chat(each) for each in given]
    if any(chat_ids.is_group(each) for each in found):
        raise ValueError("chat ids of persons, such as 17680561234@c.us")
    return found


@dataclass(frozen=True)
class Member(Argument):
    """`participantChatId` or `participantPhone`, one of them needed; the chat id wins. The keyword is `member`."""

    wire: str = "participantChatId"
    read: Any = people
    takes: str = "the chat id, or the phone number, of one person"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = True
    aliases: Sequence[str] = ("participantPhone",)
    keyword: str = "member"

    def value(self, given: Mapping[str, Any]) -> Any:
        """The chat id. Raises BadArgument."""
        came = {name: last(given.get(name)) for name in self.names}
        named = {name: value for name, value in came.items() if value not in (None, "", [])}
        if not named:
            return super().value({})  # which says that it is missing
        (member, *more) = super().value(named) or [""]
        if more or not member:
            raise BadArgument(f"{self.wire} takes {self.takes}")
        return member


GROUP = Argument(
    "groupId", group_id, "the chat id of a group", {"type": "string"}, required=True, aliases=("chatId",)
)
GROUP_AND_MEMBER = (GROUP, Member())


@method(
    "group",
    "POST",
    refusal="created",
    arguments=(
        text("groupName", f"the group's name, 1 to {NAME_LIMIT} characters", required=True),
        phones("phones"),
        Argument(
            "chatIds",
            people,
            "chat ids: one, a comma list, or an array",
            {"type": "array", "items": {"type": "string"}},
            default=(),
        ),
        text("messageText", "the first message, if there is to be one"),
    ),
)
def group(
    instance: Instance,
    *,
    group_name: str | None,
    phones: Sequence[str],
    chat_ids: Sequence[str],
    message_text: str | None,
) -> dict[str, Any]:
    """Makes a group of these people and the account, which is its admin."""
    name = (group_name or "").strip()
    if not 0 < len(name) <= NAME_LIMIT:
        raise Refused(f"groupName takes 1 to {NAME_LIMIT} characters")
    members = list(dict.fromkeys([*of_phones(phones), *chat_ids]))
    if not members:
        raise Refused("The participants are missing: phones or chatIds takes at least one")
    if len(members) > GROUP_LIMIT:
        raise Refused(f"A group takes at most {GROUP_LIMIT} participants")
    message = (message_text or "").strip() and message_text
    if message and len(message.encode()) > TEXT_LIMIT:
        raise Refused(f"messageText is longer than {TEXT_LIMIT} bytes")
    done = perform_or_enqueue(instance, CreateGroup(name, tuple(members), message or ""))
    if done.is_queued:
        said = waiting_words(instance, "The group")
        return {"created": True, "message": said, "chatId": None, "groupInviteLink": None}
    return {
        "created": True,
        "message": created_words(done),
        "chatId": done.chat_id,
        "groupInviteLink": done.invite_link,
    }


def of_phones(phones: Sequence[str]) -> list[str]:
    return [chat_ids.of_phone(phone) for phone in phones]


def created_words(result: CommandResult) -> str:
    """The original's two words, and after them what was left out (*ours*)."""
    said = "Group created"
    if result.without:
        said += f", without those who do not use the messenger: {', '.join(result.without)}"
    return f"{said}. {result.unsent}" if result.unsent else said


def change(
    instance: Instance, command: AddParticipant | RemoveParticipant | SetAdmin, key: str, said: str
) -> dict[str, Any]:
    """Has a change of a group's people done, or queued, and makes its reply."""
    if perform_or_enqueue(instance, command).is_queued:
        said = waiting_words(instance, "The change of the group")
    return {key: True, "message": said, "groupId": command.group_id}


@method("addGroupParticipant", "POST", refusal="add", arguments=GROUP_AND_MEMBER)
def add_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Adds somebody to a group of which the account is an admin."""
    said = f"{member} was added to the group"
    return change(instance, AddParticipant(group_id, member), "add", said)


@method("removeGroupParticipant", "POST", refusal="remove", arguments=GROUP_AND_MEMBER)
def remove_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Removes somebody from a group of which the account is an admin."""
    said = f"{member} was removed from the group"
    return change(instance, RemoveParticipant(group_id, member), "remove", said)


@method("promoteGroupParticipant", "POST", refusal="promote", arguments=GROUP_AND_MEMBER)
def promote_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Makes a participant an admin, as only an admin can."""
    said = f"{member} is now an admin of the group"
    return change(instance, SetAdmin(group_id, member, is_admin=True), "promote", said)


@method("demoteGroupParticipant", "POST", refusal="demote", arguments=GROUP_AND_MEMBER)
def demote_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Makes an admin a plain participant, as only an admin can; a group keeps its last admin."""
    said = f"{member} is no longer an admin of the group"
    return change(instance, SetAdmin(group_id, member, is_admin=False), "demote", said)


@method(
    "joinGroup",
    "POST",
    arguments=(
        text("code", "the last part of an invite link"),
        text("url", "an invite link"),
    ),
)
def join_group(instance: Instance, *, code: str | None, url: str | None) -> dict[str, Any]:
    """Joins a group by its invite link. There is no boolean to say no with, so a refusal is an `error` (*ours*)."""
    given = (code or url or "").strip()
    last = given.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    if not _CODE.fullmatch(last):
        raise BadArgument("code or url takes an invite link, or its last part")
    try:
        return {"chatId": perform_now(instance, JoinGroup(last)).chat_id}
    except Refused as error:
        raise WireError(200, str(error)) from None


@method(
    "leaveGroup",
    "POST",
    refusal="result",
    failed=NOT_REMOVED,
    arguments=(replace(GROUP, wire="chatId", aliases=("groupId", "phone"), keyword="chat_id"),),
)
def leave_group(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Leaves a group; its chat stays until removeChat."""
    perform_now(instance, LeaveGroup(chat_id))
    return {"result": "The group was left"}
