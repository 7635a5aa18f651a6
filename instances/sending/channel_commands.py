"""Carries out commands through the instance's channel: immediately where that is possible, otherwise from the queue.

A command is queued while the account is not authenticated, or while earlier commands are queued. The messenger
carries it out first; then it is recorded. The rules (who is an admin, who is in a group) are in actions.chats.groups,
unless the messenger has its own.
A command that the rules or the messenger do not allow is refused, or dropped when it was queued.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction

from hooks import database_clock
from instances.actions.chats import chats, groups
from instances.actions.chats.chats import Denied
from instances.actions.sending.accept import QueueFull, TooLong, send_message
from instances.actions.sending.command_queue import claim_action, enqueue_command, finish_action
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.command_payloads import parse_command
from instances.commands import (
    AddParticipant,
    Command,
    CreateGroup,
    DirectCommand,
    JoinGroup,
    LeaveGroup,
    MessengerGroup,
    QueueableCommand,
    ReadChat,
    RemoveParticipant,
    SetAdmin,
    ShowActivity,
)
from instances.models import Chat, Instance, QueuedAction
from instances.models.instances import connected

log = logging.getLogger(__name__)

# After a failed attempt, or one whose process died; longer than channels.base.DEADLINE.
RETRY_AFTER = timedelta(seconds=30)


@dataclass(frozen=True)
class CommandResult:
    """What happened to a command. The other fields are about the group that was created or joined."""

    is_queued: bool = False
    chat_id: str = ""
    invite_link: str | None = None
    without: tuple[str, ...] = ()  # members that do not use the messenger
    unsent: str = ""  # why the first message was not sent


def perform_or_enqueue(instance: Instance, command: QueueableCommand) -> CommandResult:
    """Carry out the command, or put it in the queue.

    Raises:
        Denied: the chat, the group or its rules do not allow it, or the queue is full.
        CannotDo: the messenger has no such function.
    """
    if not instance.is_authenticated or QueuedAction.objects.filter(instance=instance).exists():
        enqueue_command(instance, command=command)
        return CommandResult(is_queued=True)
    return perform(instance, command)


def perform_now(instance: Instance, command: DirectCommand) -> CommandResult:
    """Carry out a command that is never queued. The caller has checked that the account is authenticated.

    Raises:
        Denied, CannotDo: as perform_or_enqueue.
    """
    return perform(instance, command)


def perform(instance: Instance, command: Command) -> CommandResult:
    """Have the messenger carry out the command, and record it. Raises as perform_or_enqueue."""
    match command:
        case CreateGroup():
            return create_group(instance, command)
        case JoinGroup():
            return join_group(instance, command)
        case AddParticipant(_, member):
            if not has_account(instance, member):
                raise Denied(f"{member} does not use the messenger.")
            channel_of(instance).perform(instance, command)
            record_group_command(instance, command)
        case RemoveParticipant() | SetAdmin():
            channel_of(instance).perform(instance, command)
            record_group_command(instance, command)
        case ReadChat(chat_id):
            channel_of(instance).perform(instance, command)
            chats.read_chat(instance, chat_id=chat_id)
        case LeaveGroup(group_id):
            groups.find_group(instance, group_id)
            channel_of(instance).perform(instance, command)
            record_group_command(instance, command)
        case ShowActivity(chat_id, activity, seconds):
            channel_of(instance).perform(instance, command)
            chats.show_activity(instance, chat_id=chat_id, activity=activity, seconds=seconds)
    return CommandResult()


def record_group_command(
    instance: Instance, command: AddParticipant | RemoveParticipant | SetAdmin | LeaveGroup
) -> None:
    """Record what the messenger has done. It may have reported it before. Raises Denied by the rules of groups."""
    is_fact, group_id = channel_of(instance).decides_on_groups, command.group_id
    match command:
        case AddParticipant(_, member) if is_fact:
            groups.record_group_change(instance, group_id=group_id, joined=[(member,)])
        case RemoveParticipant(_, member) if is_fact:
            groups.record_group_change(instance, group_id=group_id, left=[(member,)])
        case SetAdmin(_, member, True) if is_fact:
            groups.record_group_change(instance, group_id=group_id, promoted=[(member,)])
        case SetAdmin(_, member, False) if is_fact:
            groups.record_group_change(instance, group_id=group_id, demoted=[(member,)])
        case LeaveGroup() if is_fact:
            groups.record_group_change(instance, group_id=group_id, left=[(instance.own_chat_id,)])
        case AddParticipant(_, member):
            groups.add_participant(instance, group_id=group_id, member=member)
        case RemoveParticipant(_, member):
            groups.remove_participant(instance, group_id=group_id, member=member)
        case SetAdmin(_, member, is_admin):
            groups.set_admin(instance, group_id=group_id, member=member, on=is_admin)
        case LeaveGroup():
            groups.leave_group(instance, group_id=group_id)


def create_group(instance: Instance, command: CreateGroup) -> CommandResult:
    """Members who do not use the messenger are left out (*ours*). The first message goes through the message queue."""
    wanted = [member for member in command.members if member != instance.own_chat_id]
    members = [member for member in wanted if has_account(instance, member)]
    if not members:
        raise Denied("None of the participants uses the messenger.")
    command = replace(command, members=tuple(members))
    try:
        group, unsent = create_and_record_group(instance, command)
    except groups.Taken:  # two calls within a second: the sandbox's ids contain the second
        group, unsent = create_and_record_group(instance, command)
    return CommandResult(
        chat_id=group.chat_id,
        invite_link=groups.invite_link_of(group),
        without=tuple(member for member in wanted if member not in members),
        unsent=unsent,
    )


def create_and_record_group(instance: Instance, command: CreateGroup) -> tuple[Chat, str]:
    """Returns the group, and why its first message was not sent, or "".

    Raises:
        groups.Taken: the account has a chat with the new group's id.
    """
    chat_id = reported_group(instance, command).chat_id
    with transaction.atomic():
        group = groups.create_group(
            instance,
            chat_id=chat_id,
            name=command.name,
            members=command.members,
            is_of_messenger=channel_of(instance).decides_on_groups,
        )
        if command.first_message:
            try:
                send_message(instance, chat_id=chat_id, body=command.first_message)
            except (QueueFull, TooLong) as error:
                return group, str(error)
    return group, ""


def join_group(instance: Instance, command: JoinGroup) -> CommandResult:
    joined = reported_group(instance, command)
    groups.join_group(
        instance, chat_id=joined.chat_id, name=joined.name, image=joined.image, members=joined.members
    )
    return CommandResult(chat_id=joined.chat_id)


def reported_group(instance: Instance, command: CreateGroup | JoinGroup) -> MessengerGroup:
    """Have the messenger carry out the command, and return the group that it reports."""
    group = channel_of(instance).perform(instance, command)
    if group is None:
        raise TypeError(f"{instance.channel}: perform() must return the group of {command}")
    return group


def has_account(instance: Instance, member: str) -> bool:
    """Whether this person uses the messenger. True if the messenger cannot tell."""
    try:
        return channel_of(instance).has_account(instance, member)
    except CannotDo:
        return True


def perform_due_commands(now: datetime | None = None) -> int:
    """Carry out the first command of each queue; returns how many have left their queues. Call it until it returns 0.

    A command that fails, other than by a rule, stays in the queue and blocks it for RETRY_AFTER. A command whose
    process dies between the messenger and the database is carried out again.

    Raises:
        OperationalError, InterfaceError: the database is not reachable.
    """
    now = now or database_clock.now()
    first = (
        QueuedAction.objects.filter(connected(now, path="instance__"))
        .order_by("instance_id", "id")
        .distinct("instance_id")
    )
    left = 0
    for action in list(first.select_related("instance")):
        if not claim_action(action.pk, now=now, retry_after=RETRY_AFTER):
            continue
        try:
            perform(action.instance, parse_command(action.type, action.data))
        except (Denied, CannotDo):  # not logged: the sentence may contain names of people
            log.info("Command %s (%s) is no longer possible and was dropped", action.pk, action.type)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one instance's failure must not stop other queues
            log.exception("Command %s failed; next attempt in %s s", action.pk, RETRY_AFTER.seconds)
            continue
        finish_action(action)
        left += 1
    return left
