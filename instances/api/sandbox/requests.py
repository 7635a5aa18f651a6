"""Shared by the sandbox's views: finding the instance, validation, and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework import exceptions
from rest_framework.request import Request

from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances import chat_ids, fast_lookup, payloads
from instances.actions.bans import Banned
from instances.actions.chats.chats import Denied
from instances.api.errors import Conflict
from instances.api.views.instances import no_instance
from instances.channels.sandbox.actions.preconditions import NotLinked, NotPossible
from instances.models import Channel, Chat, Instance, Message
from instances.payload_types import HookMessage


def get_sandbox(request: Request, number: str) -> Instance:
    """Returns the caller's sandbox instance with this number. Raises NotFound for any other."""
    if hasattr(request, "own_instance"):  # found with the key
        found = request.own_instance
    else:
        parsed = parse_digits(number, max_digits=INSTANCE_NUMBER_DIGITS)
        found = None if parsed is None else fast_lookup.by_number(parsed)
    if found is None or found.owner_id != request.auth.pk or found.channel != Channel.SANDBOX:
        raise no_instance(number)
    return found


def validate(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given


def message_json(message: Message) -> HookMessage:
    """A message in the format of hooks."""
    return payloads.message_dict(message, chat_id=message.chat.chat_id, chat_name=message.chat.name)


@contextmanager
def failures_as_409(instance: Instance) -> Iterator[None]:
    """Responds 409, with what to do first, if the instance's state, its bans or its contacts do not allow it."""
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


def get_chat(instance: Instance, chat_id: str) -> Chat:
    """Returns the instance's chat with this id or phone number. Raises NotFound."""
    try:
        where = chat_ids.of_chat(chat_id)
    except chat_ids.BadChatId as error:
        raise exceptions.NotFound(f"{error}.") from None
    chat = Chat.objects.with_last_message().filter(instance=instance, chat_id=where).first()
    if chat is None:
        raise exceptions.NotFound(
            f"The instance has no chat {where}. A chat is created by its first message."
        )
    return chat
