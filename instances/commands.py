"""Commands: what a messenger can be asked to do besides sending a message, one dataclass each.

A channel carries them out (channels/base.py). A QueueableCommand waits in the instance's queue while the account is
not authenticated; a DirectCommand is carried out immediately or refused. command_payloads stores the former.
"""

from __future__ import annotations

from dataclasses import dataclass

from instances.models import ActionType, Chat


@dataclass(frozen=True)
class CreateGroup:
    """Create a group of the account and `members` (chat ids); `first_message` is its first text, if not empty."""

    name: str
    members: tuple[str, ...]
    first_message: str = ""
    type = ActionType.CREATE_GROUP


@dataclass(frozen=True)
class AddParticipant:
    """Add `member` (a chat id) to a group."""

    group_id: str
    member: str
    type = ActionType.ADD_PARTICIPANT


@dataclass(frozen=True)
class RemoveParticipant:
    """Remove `member` (a chat id) from a group."""

    group_id: str
    member: str
    type = ActionType.REMOVE_PARTICIPANT


@dataclass(frozen=True)
class SetAdmin:
    """Make a participant an admin of the group, or an ordinary participant."""

    group_id: str
    member: str
    is_admin: bool

    @property
    def type(self) -> ActionType:
        return ActionType.PROMOTE_PARTICIPANT if self.is_admin else ActionType.DEMOTE_PARTICIPANT


@dataclass(frozen=True)
class ReadChat:
    """Mark all messages of a chat as read."""

    chat_id: str
    type = ActionType.READ_CHAT


@dataclass(frozen=True)
class JoinGroup:
    """Join a group by the last part of its invite link."""

    invite_code: str
    type = ActionType.JOIN_GROUP


@dataclass(frozen=True)
class LeaveGroup:
    """Leave a group."""

    group_id: str
    type = ActionType.LEAVE_GROUP


@dataclass(frozen=True)
class ShowActivity:
    """Show the contact that the account is typing or recording; 0 `seconds` ends it."""

    chat_id: str
    activity: Chat.Activity
    seconds: int

    @property
    def type(self) -> ActionType:
        return ActionType.TYPING if self.activity == Chat.Activity.TYPING else ActionType.RECORDING


QueueableCommand = CreateGroup | AddParticipant | RemoveParticipant | SetAdmin | ReadChat
DirectCommand = JoinGroup | LeaveGroup | ShowActivity
Command = QueueableCommand | DirectCommand


@dataclass(frozen=True)
class MessengerGroup:
    """A group as the messenger reports it after CreateGroup or JoinGroup.

    `members` are (chat id, is an admin), in the order in which they joined. Name, image and members are empty after
    CreateGroup, whose caller knows them.
    """

    chat_id: str
    name: str = ""
    image: str = ""
    members: tuple[tuple[str, bool], ...] = ()
