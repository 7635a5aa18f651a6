"""A sender in its own process, and what tests of it read."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from instances.actions.sending.accept import send_message
from instances.maintenance import conservation
from instances.models import Instance, Message, OutgoingMessage
from tests.hooks.dispatch.dispatching import Dispatch, wait_until
from tests.instances.channels.sandbox.messenger_process import MessengerProcess


class SenderProcess(Dispatch):
    """`with SenderProcess(tmp_path, url):` runs one sender, whose sandbox is the messenger with this URL."""

    command: ClassVar[list[str]] = ["manage.py", "send"]

    def __init__(self, folder: Path, messenger_url: str, **environment: str) -> None:
        super().__init__(
            folder,
            **{"SANDBOX_OVER_HTTP": "1", "SANDBOX_MESSENGER_URL": messenger_url, **environment}
            if messenger_url
            else environment,
        )


def phone(number: int) -> str:
    return f"1768056{number:04}"


def queue_messages(instance: Instance, number: int, *, chats: int, first: int = 0) -> None:
    """Accept messages with the bodies `first`, `first` + 1 …, to these chats in turn."""
    for body in range(first, first + number):
        send_message(instance, chat_id=phone(body % chats), body=str(body))


def by_chat(bodies_and_chats: list[tuple[str, str]]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for chat_id, body in bodies_and_chats:
        found[chat_id].append(int(body))
    return dict(found)


def sent(instance: Instance) -> dict[str, list[int]]:
    """Returns the bodies of the instance's messages by chat, in the order of their numbers."""
    messages = Message.objects.filter(instance=instance, from_me=True).order_by("number")
    return by_chat(list(messages.values_list("chat__chat_id", "body")))


def arrived(messenger: MessengerProcess, instance: Instance) -> dict[str, list[int]]:
    """Returns the bodies that the messenger has, by chat, in the order of their arrival."""
    chats = messenger.received(instance.number).get("chats", {})
    return {chat: [int(message["body"]) for message in messages] for chat, messages in chats.items()}


def in_order(number: int, *, chats: int) -> dict[str, list[int]]:
    """Returns what sent() returns when all messages of queue_messages() were sent."""
    return {f"{phone(chat)}@c.us": list(range(chat, number, chats)) for chat in range(min(chats, number))}


def wait_until_empty(*instances: Instance, seconds: float = 120) -> None:
    waiting = OutgoingMessage.objects.waiting().filter(instance__in=instances)
    wait_until(lambda: not waiting.exists(), "all queues are empty", seconds)


def assert_nothing_lost() -> None:
    wrong = [str(found) for found in conservation.consistent_totals() if not found.is_right]
    assert not wrong, wrong
