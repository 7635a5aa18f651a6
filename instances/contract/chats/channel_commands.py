"""What the methods for chats and groups share: doing an action or queueing it, and saying why it was refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from instances.actions.chats.chats import Denied
from instances.channels.base import CannotDo
from instances.commands import DirectCommand, QueueableCommand
from instances.contract.errors import NOT_AUTHENTICATED, Refused
from instances.models import Instance
from instances.sending import channel_commands
from instances.sending.channel_commands import CommandResult


@contextmanager
def refusing() -> Iterator[None]:
    """What the chat, the group or the messenger does not allow becomes the method's own refusal."""
    try:
        yield
    except (Denied, CannotDo) as error:
        raise Refused(str(error)) from None


def perform_or_enqueue(instance: Instance, command: QueueableCommand) -> CommandResult:
    """instances.sending.channel_commands.perform_or_enqueue. Raises Refused."""
    with refusing():
        return channel_commands.perform_or_enqueue(instance, command)


def perform_now(instance: Instance, command: DirectCommand) -> CommandResult:
    """instances.sending.channel_commands.perform_now. Raises Refused, also if the account is not authenticated."""
    if not instance.is_authenticated:
        raise Refused(NOT_AUTHENTICATED)
    with refusing():
        return channel_commands.perform_now(instance, command)


def waiting_words(instance: Instance, what: str) -> str:
    """The message of a reply about an action that waits: `what` is "The group", say (*ours*)."""
    if not instance.is_authenticated:
        return f"{NOT_AUTHENTICATED}. {what} will be done after successful auth."
    return f"Earlier actions are waiting. {what} will be done after them."
