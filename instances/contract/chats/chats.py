"""Chats: read, pinned, archived, cleared, removed; typing and recording (contract.md, section 2).

What these do to the list of dialogs is this server's own account of it; that a chat was read goes to the messenger.
"""

from typing import Any

from instances.actions.chats import chats as chats_actions
from instances.actions.chats.chats import mark_unread
from instances.commands import ReadChat, ShowActivity
from instances.contract.arguments import Destination, flag, number
from instances.contract.chats.channel_commands import perform_now, perform_or_enqueue, refusing, waiting_words
from instances.contract.registry import method
from instances.models import Chat, Instance

# Clients compare this sentence.
NOT_REMOVED = "Couldn't delete chat or leaving group. Invalid number"
FAILED = "failed"  # in the place of "success"; so did the original, and clients look for it


def success(chat_id: str) -> dict[str, Any]:
    return {"result": "success", "chatId": chat_id}


@method("readChat", "POST", refusal="read", arguments=(Destination(),))
def read_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """The account has read all messages of the chat."""
    if perform_or_enqueue(instance, ReadChat(chat_id)).is_queued:
        said = waiting_words(instance, "The reading of the chat")
    else:
        said = "The chat was read"
    return {"read": True, "message": said, "chatId": chat_id}


@method("unreadChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(),))
def unread_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Marks the chat as unread."""
    with refusing():
        mark_unread(instance, chat_id=chat_id)
    return success(chat_id)


@method("pinChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(),))
def pin_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Puts the chat at the top of the dialogs."""
    with refusing():
        chats_actions.pin_chat(instance, chat_id=chat_id, on=True)
    return success(chat_id)


@method("unpinChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(),))
def unpin_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Puts the chat back to where its last message has it."""
    with refusing():
        chats_actions.pin_chat(instance, chat_id=chat_id, on=False)
    return success(chat_id)


@method("archiveChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(),))
def archive_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Puts the chat to the end of the dialogs, until its next message or, with disableDialogsArchive, for good."""
    with refusing():
        chats_actions.archive_chat(instance, chat_id=chat_id, on=True)
    return success(chat_id)


@method("unarchiveChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(),))
def unarchive_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Takes the chat out of the archive."""
    with refusing():
        chats_actions.archive_chat(instance, chat_id=chat_id, on=False)
    return success(chat_id)


@method("clearChat", "POST", refusal="result", failed=FAILED, arguments=(Destination(),))
def clear_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Takes the chat's messages out of messagesHistory; `messages` still has them."""
    with refusing():
        chats_actions.clear_chat(instance, chat_id=chat_id)
    return success(chat_id)


@method("removeChat", "POST", refusal="result", failed=NOT_REMOVED, arguments=(Destination(),))
def remove_chat(instance: Instance, *, chat_id: str) -> dict[str, Any]:
    """Takes the chat off the dialogs until its next message, and clears it."""
    with refusing():
        chats_actions.remove_chat(instance, chat_id=chat_id)
    return {"result": "The chat was removed"}


ACTIVITY = (
    Destination(),
    flag("on", "false ends it", default=True),
    number("duration", "seconds", default=5),
)


@method("typing", "POST", refusal="success", arguments=ACTIVITY)
def typing(instance: Instance, *, chat_id: str, on: bool, duration: int) -> dict[str, Any]:
    """The contact sees the account typing."""
    perform_now(instance, ShowActivity(chat_id, Chat.Activity.TYPING, duration if on else 0))
    return shown("Typing", on, duration, chat_id)


@method("recording", "POST", refusal="success", arguments=ACTIVITY)
def recording(instance: Instance, *, chat_id: str, on: bool, duration: int) -> dict[str, Any]:
    """The contact sees the account recording a voice message."""
    perform_now(instance, ShowActivity(chat_id, Chat.Activity.RECORDING, duration if on else 0))
    return shown("Recording", on, duration, chat_id)


def shown(what: str, on: bool, duration: int, chat_id: str) -> dict[str, Any]:
    lasting = f"is shown to {chat_id} for {duration} seconds" if on else f"is no longer shown to {chat_id}"
    return {"success": True, "result": f"{what} {lasting}"}
