"""Commands as JSON: `data` of QueuedAction and `json_data` of showActionsQueue, with the wire contract's names.

Rows are read and written here only, so rows written by version 0.1.0 stay valid.
"""

from collections.abc import Mapping
from typing import Any

from instances.commands import (
    AddParticipant,
    CreateGroup,
    QueueableCommand,
    ReadChat,
    RemoveParticipant,
    SetAdmin,
)
from instances.models import ActionType


def command_data(command: QueueableCommand) -> dict[str, Any]:
    """Returns the JSON of a command."""
    match command:
        case CreateGroup(name, members, first_message):
            return {"groupName": name, "chatIds": list(members), "messageText": first_message or None}
        case ReadChat(chat_id):
            return {"chatId": chat_id}
        case _:
            return {"groupId": command.group_id, "participantChatId": command.member}


def parse_command(type: str, data: Mapping[str, Any]) -> QueueableCommand:
    """Returns the command of a QueuedAction.

    Raises:
        ValueError: the type is not one that can be queued.
    """
    match type:
        case ActionType.CREATE_GROUP:
            return CreateGroup(data["groupName"], tuple(data["chatIds"]), data.get("messageText") or "")
        case ActionType.READ_CHAT:
            return ReadChat(data["chatId"])
        case ActionType.ADD_PARTICIPANT:
            return AddParticipant(data["groupId"], data["participantChatId"])
        case ActionType.REMOVE_PARTICIPANT:
            return RemoveParticipant(data["groupId"], data["participantChatId"])
        case ActionType.PROMOTE_PARTICIPANT | ActionType.DEMOTE_PARTICIPANT:
            is_admin = type == ActionType.PROMOTE_PARTICIPANT
            return SetAdmin(data["groupId"], data["participantChatId"], is_admin)
    raise ValueError(f"{type} is never queued")
