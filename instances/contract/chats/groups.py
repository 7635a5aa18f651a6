"""Creates, joins and leaves groups; their participants and admins (contract.md §2)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chatapi.ui.numbers import clean_number
from instances import chat_ids
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
from instances.contract.arguments import (
    MAX_PHONES,
    Argument,
    last_if_repeated,
    number_or_text,
    phones,
    single_value,
    text,
    texts,
)
from instances.contract.chats.channel_commands import perform_now, perform_or_enqueue, waiting_message
from instances.contract.chats.chats import NOT_REMOVED
from instances.contract.errors import BadArgument, CallFailed, WireError
from instances.contract.registry import method
from instances.models import Instance
from instances.sending.channel_commands import CommandResult

GROUP_SENTENCE = "groupId should look like 17680561234-1479621234@g.us"

_BARE_GROUP = re.compile(r"[0-9]{5,20}-[0-9]{5,20}")
_CODE = re.compile(r"[0-9A-Za-z_-]{4,40}")


def parse_group_id(value: Any) -> str:
    """A group's chat id. `@g.us` may be missing. Raises BadChatId."""
    try:
        given = clean_number(number_or_text(single_value(value)))
        found = chat_ids.of_chat(given + chat_ids.GROUP if _BARE_GROUP.fullmatch(given) else given)
    except ValueError:
        found = ""
    if not chat_ids.is_group(found):
        raise chat_ids.BadChatId(GROUP_SENTENCE)
    return found


def parse_people(value: Any) -> list[str]:
    """Chat ids or phone numbers of people: one text, a comma-separated list, or an array. Returns chat ids."""
    given = texts(value)
    if len(given) > MAX_PHONES:
        raise ValueError(f"at most {MAX_PHONES} chat ids")
    found = [chat_ids.of_chat(each) for each in given]
    if any(chat_ids.is_group(each) for each in found):
        raise ValueError("chat ids of people, such as 17680561234@c.us")
    return found


@dataclass(frozen=True)
class Member(Argument):
    """`participantChatId` or `participantPhone`. One is required; the chat id wins. The keyword is `member`."""

    wire: str = "participantChatId"
    parse: Any = parse_people
    description: str = "the chat id, or the phone number, of one person"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = True
    aliases: Sequence[str] = ("participantPhone",)
    keyword: str = "member"

    def read(self, given: Mapping[str, Any]) -> Any:
        """Returns the chat id. Raises BadArgument."""
        found = {name: last_if_repeated(given.get(name)) for name in self.names}
        values = {name: value for name, value in found.items() if value not in (None, "", [])}
        if not values:
            return super().read({})  # raises the error for a missing argument
        (member, *more) = super().read(values) or [""]
        if more or not member:
            raise BadArgument(f"`{self.wire}` must be {self.description}.")
        return member


@dataclass(frozen=True)
class Members(Argument):
    """`phones` or `chatIds` of the participants. Valid `chatIds` win. The keyword is `members`: chat ids.

    Generated SDKs send both keys, one of them with a placeholder such as "string".
    """

    wire: str = "phones"
    parse: Any = parse_people
    description: str = "the participants' phone numbers or chat ids: one, a comma-separated list, or an array"
    schema: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "array", "items": {"type": "string"}, "maxItems": MAX_PHONES}
    )
    required: bool = True
    aliases: Sequence[str] = ("chatIds",)
    keyword: str = "members"

    def read(self, given: Mapping[str, Any]) -> list[str]:
        """Returns chat ids; an empty list if neither key has any. Raises BadArgument if there is no valid list."""
        invalid = None
        for argument in (CHAT_IDS, PHONES):
            try:
                if found := argument.read(given):
                    return [chat_ids.of_phone(each) for each in found]
            except BadArgument as error:
                invalid = invalid or error
        if invalid:
            raise invalid
        return []


CHAT_IDS = Argument("chatIds", parse_people, "chat ids", default=())
PHONES = phones("phones")

GROUP = Argument(
    "groupId",
    parse_group_id,
    "the chat id of a group",
    {"type": "string"},
    required=True,
    aliases=("chatId",),
)
GROUP_AND_MEMBER = (GROUP, Member())


@method(
    "group",
    "POST",
    failure_key="created",
    arguments=(
        text("groupName", f"the name of the group, 1 to {NAME_LIMIT} characters", required=True),
        Members(),
        text("messageText", "a first message to send to the group"),
    ),
)
def group(
    instance: Instance,
    *,
    group_name: str | None,
    members: Sequence[str],
    message_text: str | None,
) -> dict[str, Any]:
    """Creates a group of these people. The account is its admin."""
    name = (group_name or "").strip()
    if not 0 < len(name) <= NAME_LIMIT:
        raise CallFailed(f"`groupName` must be 1 to {NAME_LIMIT} characters.")
    members = list(dict.fromkeys(members))
    if not members:
        raise CallFailed("A group needs participants: send `phones` or `chatIds`.")
    if len(members) > GROUP_LIMIT:
        raise CallFailed(f"A group can have at most {GROUP_LIMIT} participants.")
    first_message = (message_text or "").strip() and message_text
    if first_message and len(first_message.encode()) > TEXT_LIMIT:
        raise CallFailed(f"`messageText` must be at most {TEXT_LIMIT} bytes.")
    done = perform_or_enqueue(instance, CreateGroup(name, tuple(members), first_message or ""))
    if done.is_queued:
        message = waiting_message(instance, "The group")
        return {"created": True, "message": message, "chatId": None, "groupInviteLink": None}
    return {
        "created": True,
        "message": created_message(done),
        "chatId": done.chat_id,
        "groupInviteLink": done.invite_link,
    }


def created_message(result: CommandResult) -> str:
    """The original's sentence, followed by the people who were left out (*ours*)."""
    message = "Group created"
    if result.without:
        message += f", without those who do not use the messenger: {', '.join(result.without)}"
    return f"{message}. {result.unsent}" if result.unsent else message


def change_participant(
    instance: Instance, command: AddParticipant | RemoveParticipant | SetAdmin, key: str, message: str
) -> dict[str, Any]:
    """Changes a participant now, or queues the change, and returns the reply."""
    if perform_or_enqueue(instance, command).is_queued:
        message = waiting_message(instance, "The change of the group")
    return {key: True, "add": True, "message": message, "groupId": command.group_id}


@method("addGroupParticipant", "POST", failure_key="add", arguments=GROUP_AND_MEMBER)
def add_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Adds a participant. The account must be an admin of the group."""
    message = f"{member} was added to the group"
    return change_participant(instance, AddParticipant(group_id, member), "add", message)


@method(
    "removeGroupParticipant",
    "POST",
    failure_key="remove",
    second_failure_key="add",
    arguments=GROUP_AND_MEMBER,
)
def remove_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Removes a participant. The account must be an admin of the group."""
    message = f"{member} was removed from the group"
    return change_participant(instance, RemoveParticipant(group_id, member), "remove", message)


@method(
    "promoteGroupParticipant",
    "POST",
    failure_key="promote",
    second_failure_key="add",
    arguments=GROUP_AND_MEMBER,
)
def promote_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Makes a participant an admin. The account must be an admin of the group."""
    message = f"{member} is now an admin of the group"
    return change_participant(instance, SetAdmin(group_id, member, is_admin=True), "promote", message)


@method(
    "demoteGroupParticipant",
    "POST",
    failure_key="demote",
    second_failure_key="add",
    arguments=GROUP_AND_MEMBER,
)
def demote_group_participant(instance: Instance, *, group_id: str, member: str) -> dict[str, Any]:
    """Takes the admin role from a participant. The account must be an admin; the last admin cannot be demoted."""
    message = f"{member} is no longer an admin of the group"
    return change_participant(instance, SetAdmin(group_id, member, is_admin=False), "demote", message)


@method(
    "joinGroup",
    "POST",
    arguments=(
        text("code", "the last part of an invite link"),
        text("url", "an invite link"),
    ),
)
def join_group(instance: Instance, *, code: str | None, url: str | None) -> dict[str, Any]:
    """Joins a group by its invite link. The reply has no boolean, so a failed call responds with `error` (*ours*)."""
    given = (code or url or "").strip()
    last = given.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    if not _CODE.fullmatch(last):
        raise BadArgument("`code` or `url` must be an invite link, or its last part.")
    try:
        return {"chatId": perform_now(instance, JoinGroup(last)).chat_id}
    except CallFailed as error:
        raise WireError(200, str(error)) from None


@method(
    "leaveGroup",
    "POST",
    failure_key="result",
    failure_value=NOT_REMOVED,
    arguments=(replace(GROUP, wire="chatId", aliases=("groupId", "phone"), keyword="chat_id"),),
)
def leave_group(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Leaves a group. Its chat stays until removeChat."""
    perform_now(instance, LeaveGroup(chat_id))
    return {"result": "The group was left"}
