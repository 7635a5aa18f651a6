"""Shared by the sandbox's views: finding the instance, validation, and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework import exceptions
from rest_framework.request import Request

from instances import chat_ids, payloads
from instances.actions.bans import Banned
from instances.actions.chats.chats import Denied
from instances.api.errors import Conflict
from instances.api.views.instances import own_instance
from instances.channels.sandbox.actions.preconditions import NotLinked, NotPossible
from instances.models import Channel, Chat, Instance, Message


def sandbox(request: Request, number: str) -> Instance:
    """The caller's sandbox instance with this number; 404 for any other."""
    visible = Instance.objects.of_account(request.auth).select_related("endpoint")
    return own_instance(visible.filter(channel=Channel.SANDBOX), number)


def checked(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given


def shown(message: Message) -> dict[str, Any]:
    """A message as hooks show it."""
    return payloads.message_dict(message, chat_id=message.chat.chat_id, chat_name=message.chat.name)


@contextmanager
def in_words(instance: Instance) -> Iterator[None]:
    """What the instance's state, its bans or its contacts do not allow becomes a 409 that says what to do first."""
    try:
        yield
    except NotLinked as error:
        change = (
            '{"substatus":"normal"}' if instance.is_authenticated else '{"accountStatus":"authenticated"}'
        )
        first = f" First PATCH /api/v1/instances/{instance.number}/sandbox/phone/ {change}."
        raise Conflict(f"{error}{'' if instance.is_stopped else first}") from None
    except (Banned, NotPossible, Denied) as error:
        raise Conflict(str(error)) from None


def chat_of(instance: Instance, chat_id: str) -> Chat:
    """The chat of the instance with this id or phone number; 404 when there is none."""
    try:
        where = chat_ids.of_chat(chat_id)
    except chat_ids.BadChatId as error:
        raise exceptions.NotFound(f"{error}.") from None
    chat = Chat.objects.filter(instance=instance, chat_id=where).first()
    if chat is None:
        raise exceptions.NotFound(f"The instance has no chat {where}; it comes with its first message.")
    return chat
