"""Shared by the methods for chats and groups: do an action or queue it, and report why it failed."""

from collections.abc import Iterator
from contextlib import contextmanager

from instances.actions.chats.chats import Denied
from instances.channels.base import CannotDo
from instances.commands import DirectCommand, QueueableCommand
from instances.contract.errors import NOT_AUTHENTICATED, CallFailed
from instances.models import Instance
from instances.sending import channel_commands
from instances.sending.channel_commands import CommandResult


@contextmanager
def as_call_failed() -> Iterator[None]:
    """Turns what the chat, the group or the messenger does not allow into a failed call."""
    try:
        yield
    except (Denied, CannotDo) as error:
        raise CallFailed(str(error)) from None


def perform_or_enqueue(instance: Instance, command: QueueableCommand) -> CommandResult:
    """instances.sending.channel_commands.perform_or_enqueue. Raises CallFailed."""
    with as_call_failed():
        return channel_commands.perform_or_enqueue(instance, command)


def perform_now(instance: Instance, command: DirectCommand) -> CommandResult:
    """instances.sending.channel_commands.perform_now. Raises CallFailed, also if the account is not authenticated."""
    if not instance.is_authenticated:
        raise CallFailed(NOT_AUTHENTICATED)
    with as_call_failed():
        return channel_commands.perform_now(instance, command)


def waiting_message(instance: Instance, what: str) -> str:
    """The message of a reply about a queued action (*ours*). `what` is its subject, for example "The group"."""
    if not instance.is_authenticated:
        return f"{NOT_AUTHENTICATED}. {what} will be done after successful auth."
    return f"Earlier actions are waiting. {what} will be done after them."
