"""Actions besides messages, by the channel: at once where that is possible, else from the queue, in order.

An action waits while the account is not authenticated, and behind those that wait already. First the messenger does
it, then it is written down; the rules (who is an admin, who is in a group) are instances.actions'. What they do not
allow, or the messenger has no way to do, is refused at once, and dropped when its turn in the queue has come.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from instances.actions.chats import chats as chats_actions
from instances.actions.chats import groups as groups_actions
from instances.actions.chats.chats import Denied
from instances.actions.chats.groups import Taken, find_group, invite_link_of, set_admin
from instances.actions.sending.accept import QueueFull, TooLong, send_message
from instances.actions.sending.command_queue import claim_action, enqueue_action, finish_action
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.models import ActionType, Chat, Instance, QueuedAction
from instances.models.instances import connected

log = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(
    seconds=30
)  # after a try that failed, or whose process died; more than channels.base.DEADLINE


class Done(NamedTuple):
    """What became of an action: it waits, or `result` is what its method's reply tells of it."""

    waits: bool
    result: Mapping[str, Any]


def do(instance: Instance, type: ActionType, **data: Any) -> Done:
    """Carries the action out, or puts it into the queue. `data` by the wire contract's names.

    Raises actions.Denied and channels.base.CannotDo, whose texts are sentences for the caller.
    """
    if not instance.is_authenticated or QueuedAction.objects.filter(instance=instance).exists():
        enqueue_action(instance, type=type, data=data)
        return Done(True, {})
    return Done(False, carry_out(instance, QueuedAction(instance=instance, type=type, data=data)))


def do_now(instance: Instance, type: ActionType, **data: Any) -> Mapping[str, Any]:
    """Carries out one of DIRECT_ACTIONS; the caller has seen to it that the account is authenticated. Raises as do."""
    return carry_out(instance, QueuedAction(instance=instance, type=type, data=data))


def carry_out(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    """The messenger does it, and it is written down. Raises as `do`."""
    return RECORD[ActionType(action.type)](instance, action)


def create_group(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    """Those who do not use the messenger are left out (*ours*); the first message follows by the queue of messages.

    The result is `{"chatId","groupInviteLink","without":[…],"unsent":"why the message was not"}`.
    """
    wanted = [member for member in action.data["chatIds"] if member != instance.own_chat_id]
    members = [member for member in wanted if has_account(instance, member)]
    if not members:
        raise Denied("None of the participants uses the messenger.")
    action.data["chatIds"] = members
    try:
        group, unsent = new_group(instance, action)
    except Taken:  # two calls within a second, and the sandbox's ids are counted in seconds
        group, unsent = new_group(instance, action)
    return {
        "chatId": group.chat_id,
        "groupInviteLink": invite_link_of(group),
        "without": [member for member in wanted if member not in members],
        "unsent": unsent,
    }


def new_group(instance: Instance, action: QueuedAction) -> tuple[Chat, str]:
    """The group, and why its first message was not sent, if so. Raises actions.Taken."""
    chat_id = channel_of(instance).perform(instance, action)["chatId"]
    data = action.data
    with transaction.atomic():
        group = groups_actions.create_group(
            instance, chat_id=chat_id, name=data["groupName"], members=data["chatIds"]
        )
        if data.get("messageText"):
            try:
                send_message(instance, chat_id=chat_id, body=data["messageText"])
            except (QueueFull, TooLong) as error:
                return group, str(error)
    return group, ""


def add_participant(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    group_id, member = action.data["groupId"], action.data["participantChatId"]
    if not has_account(instance, member):
        raise Denied(f"{member} does not use the messenger.")
    channel_of(instance).perform(instance, action)
    groups_actions.add_participant(instance, group_id=group_id, member=member)
    return {}


def remove_participant(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    channel_of(instance).perform(instance, action)
    groups_actions.remove_participant(
        instance, group_id=action.data["groupId"], member=action.data["participantChatId"]
    )
    return {}


def promote_or_demote(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    channel_of(instance).perform(instance, action)
    set_admin(
        instance,
        group_id=action.data["groupId"],
        member=action.data["participantChatId"],
        on=action.type == ActionType.PROMOTE_PARTICIPANT,
    )
    return {}


def read_chat(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    channel_of(instance).perform(instance, action)
    chats_actions.read_chat(instance, chat_id=action.data["chatId"])
    return {}


def join_group(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    said = channel_of(instance).perform(instance, action)
    groups_actions.join_group(
        instance,
        chat_id=said["chatId"],
        name=said.get("name", ""),
        image=said.get("image", ""),
        members=said.get("members", ()),
    )
    return {"chatId": said["chatId"]}


def leave_group(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    find_group(instance, action.data["chatId"])
    channel_of(instance).perform(instance, action)
    groups_actions.leave_group(instance, group_id=action.data["chatId"])
    return {}


def show_activity(instance: Instance, action: QueuedAction) -> Mapping[str, Any]:
    channel_of(instance).perform(instance, action)
    chats_actions.show_activity(
        instance,
        chat_id=action.data["chatId"],
        activity=Chat.Activity.TYPING if action.type == ActionType.TYPING else Chat.Activity.RECORDING,
        seconds=action.data["duration"] if action.data["on"] else 0,
    )
    return {}


RECORD = {
    ActionType.CREATE_GROUP: create_group,
    ActionType.ADD_PARTICIPANT: add_participant,
    ActionType.REMOVE_PARTICIPANT: remove_participant,
    ActionType.PROMOTE_PARTICIPANT: promote_or_demote,
    ActionType.DEMOTE_PARTICIPANT: promote_or_demote,
    ActionType.READ_CHAT: read_chat,
    ActionType.JOIN_GROUP: join_group,
    ActionType.LEAVE_GROUP: leave_group,
    ActionType.TYPING: show_activity,
    ActionType.RECORDING: show_activity,
}


def has_account(instance: Instance, member: str) -> bool:
    """Does this person use the messenger? A messenger that cannot tell is taken to know everybody."""
    try:
        return channel_of(instance).has_account(instance, member)
    except CannotDo:
        return True


def act_due(now: datetime | None = None) -> int:
    """One pass over all queues of actions, the first of each; how many have left them. Again until it returns 0.

    What fails otherwise than by a rule stays, and holds up those behind it, until AGAIN_AFTER is over. An action whose
    process dies between the messenger and the database is done once more. That the database is away is raised.
    """
    now = now or timezone.now()
    first = (
        QueuedAction.objects.filter(connected(now, path="instance__"))
        .order_by("instance_id", "id")
        .distinct("instance_id")
    )
    left = 0
    for action in list(first.select_related("instance")):
        if not claim_action(action.pk, now=now, again_after=AGAIN_AFTER):
            continue
        try:
            carry_out(action.instance, action)
        except (Denied, CannotDo):  # the sentence may name people, so it is not for the log
            log.info("Action %s (%s) was not possible any more and is dropped", action.pk, action.type)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one instance's fault must not stop the others' queues
            log.exception("Action %s was not done; next try in %s s", action.pk, AGAIN_AFTER.seconds)
            continue
        finish_action(action)
        left += 1
    return left
