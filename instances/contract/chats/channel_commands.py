"""What the methods for chats and groups share: doing an action or queueing it, and saying why it was refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from instances.actions.chats.chats import Denied
from instances.channels.base import CannotDo
from instances.contract.errors import NOT_AUTHENTICATED, Refused
from instances.models import ActionType, Instance
from instances.sending import channel_commands


@contextmanager
def refusing() -> Iterator[None]:
    """What the chat, the group or the messenger does not allow becomes the method's own refusal."""
    try:
        yield
    except (Denied, CannotDo) as error:
        raise Refused(str(error)) from None


def do(instance: Instance, type: ActionType, **data: Any) -> channel_commands.Done:
    """instances.sending.channel_commands.do. Raises Refused."""
    with refusing():
        return channel_commands.do(instance, type, **data)


def do_now(instance: Instance, type: ActionType, **data: Any) -> Any:
    """instances.acting.do_now, which an account that is not authenticated cannot. Raises Refused."""
    if not instance.is_authenticated:
        raise Refused(NOT_AUTHENTICATED)
    with refusing():
        return channel_commands.do_now(instance, type, **data)


def waiting_words(instance: Instance, what: str) -> str:
    """The message of a reply about an action that waits: `what` is "The group", say (*ours*)."""
    if not instance.is_authenticated:
        return f"{NOT_AUTHENTICATED}. {what} will be done after successful auth."
    return f"Earlier actions are waiting. {what} will be done after them."
