"""Reads, pins, archives, clears and removes chats; typing and recording (contract.md §2).

Only readChat, typing and recording reach the messenger. The others change this server's own list of dialogs.
"""

from typing import Any

from instances.actions.chats import chats as chats_actions
from instances.actions.chats.chats import mark_unread
from instances.commands import ReadChat, ShowActivity
from instances.contract.arguments import Destination, flag, number
from instances.contract.chats.channel_commands import (
    as_call_failed,
    perform_now,
    perform_or_enqueue,
    waiting_message,
)
from instances.contract.registry import method
from instances.models import Chat, Instance

# Clients compare this sentence.
NOT_REMOVED = "Couldn't delete chat or leaving group. Invalid number"
FAILED = "failed"  # instead of "success"; clients compare the original's word


def success_reply(chat_id: str) -> dict[str, Any]:
    return {"result": "success", "chatId": chat_id}


@method("readChat", "POST", failure_key="read", arguments=(Destination(),))
def read_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Marks all messages of the chat as read. `message` is null if the chat has not begun."""
    if instance.is_authenticated and not chats_actions.exists(instance, chat_id=chat_id):
        return {"read": True, "message": None, "chatId": chat_id}
    if perform_or_enqueue(instance, ReadChat(chat_id)).is_queued:
        message = waiting_message(instance, "The reading of the chat")
    else:
        message = "The chat was read"
    return {"read": True, "message": message, "chatId": chat_id}


@method("unreadChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(),))
def unread_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Marks the chat as unread."""
    with as_call_failed():
        mark_unread(instance, chat_id=chat_id)
    return success_reply(chat_id)


@method("pinChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(),))
def pin_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Pins the chat to the top of the dialogs."""
    with as_call_failed():
        chats_actions.pin_chat(instance, chat_id=chat_id, on=True)
    return success_reply(chat_id)


@method("unpinChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(),))
def unpin_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Unpins the chat; it is sorted by its last message again."""
    with as_call_failed():
        chats_actions.pin_chat(instance, chat_id=chat_id, on=False)
    return success_reply(chat_id)


@method("archiveChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(),))
def archive_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Archives the chat: last in the dialogs until its next message, or permanently with disableDialogsArchive."""
    with as_call_failed():
        chats_actions.archive_chat(instance, chat_id=chat_id, on=True)
    return success_reply(chat_id)


@method("unarchiveChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(),))
def unarchive_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Moves the chat out of the archive."""
    with as_call_failed():
        chats_actions.archive_chat(instance, chat_id=chat_id, on=False)
    return success_reply(chat_id)


@method("clearChat", "POST", failure_key="result", failure_value=FAILED, arguments=(Destination(),))
def clear_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Removes the chat's messages from messagesHistory; `messages` still returns them."""
    with as_call_failed():
        chats_actions.clear_chat(instance, chat_id=chat_id)
    return success_reply(chat_id)


@method("removeChat", "POST", failure_key="result", failure_value=NOT_REMOVED, arguments=(Destination(),))
def remove_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Clears the chat and removes it from the dialogs until its next message."""
    with as_call_failed():
        chats_actions.remove_chat(instance, chat_id=chat_id)
    return {"result": "The chat was removed"}


ACTIVITY = (
    Destination(),
    flag("on", "`false` stops it", default=True),
    number("duration", "how long to show it, in seconds", default=5),
)


@method("typing", "POST", failure_key="success", arguments=ACTIVITY)
def typing(instance: Instance, *, chat_id: str, on: bool, duration: int) -> dict[str, Any]:
    """Shows the contact that the account is typing."""
    perform_now(instance, ShowActivity(chat_id, Chat.Activity.TYPING, duration if on else 0))
    return activity_reply("Typing", on, duration, chat_id)


@method("recording", "POST", failure_key="success", arguments=ACTIVITY)
def recording(instance: Instance, *, chat_id: str, on: bool, duration: int) -> dict[str, Any]:
    """Shows the contact that the account is recording a voice message."""
    perform_now(instance, ShowActivity(chat_id, Chat.Activity.RECORDING, duration if on else 0))
    return activity_reply("Recording", on, duration, chat_id)


def activity_reply(what: str, on: bool, duration: int, chat_id: str) -> dict[str, Any]:
    state = f"is shown to {chat_id} for {duration} seconds" if on else f"is no longer shown to {chat_id}"
    return {"success": True, "result": f"{what} {state}"}
