"""A user's bot behind the webhook of a linked instance: what has arrived there, and calls of the wire contract."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from tests.messengers.linked_instance import LinkedInstance
from tests.messengers.service import Account
from tests.product import Product
from tests.receiver import Received, Receiver

SECONDS = 120.0


class Bot(LinkedInstance):
    """Linked over REST, with acks and status changes as hooks."""

    def __init__(self, product: Product, receiver: Receiver, channel: str, account: Account) -> None:
        self.receiver = receiver
        super().__init__(
            product,
            channel,
            account,
            webhookUrl=receiver.url,
            ackNotificationsOn=True,
            statusNotificationsOn=True,
            guaranteedHooks=True,
        )

    def send(self, method: str, **arguments: Any) -> str:
        """Returns the id of the message."""
        answer = self.call(method, **arguments)
        assert answer.get("sent"), answer
        return str(answer["id"])

    def hooks(self, field: str) -> list[dict[str, Any]]:
        """Returns what has arrived under this field, such as `messages`, in order.

        A hook in flight at a kill may arrive twice, with the same webhook-id: it is here once.
        """
        received = {request.headers["webhook-id"]: request.json() for request in list(self.receiver.requests)}
        return [each for hook in received.values() for each in hook.get(field, [])]

    def messages(self) -> list[dict[str, Any]]:
        """Returns the messages of contacts."""
        return [each for each in self.hooks("messages") if not each["fromMe"]]

    def texts(self, chat_id: str) -> list[str]:
        return [
            each["body"] for each in self.messages() if (each["chatId"], each["type"]) == (chat_id, "chat")
        ]

    def acks(self, message_id: str) -> list[str]:
        return [ack["status"] for ack in self.hooks("ack") if ack["id"] == message_id]

    def statuses(self) -> list[str]:
        """Returns the account status after each change."""
        return [change["new"]["accountStatus"] for change in self.hooks("instanceStatus")]

    def status(self) -> tuple[str, str]:
        """Returns the account status and the reason for it, by the wire contract."""
        answer = requests.get(f"{self.contract}/status?token={self.token}&full=1", timeout=SECONDS).json()
        return answer["accountStatus"], answer["statusData"].get("reason", "")

    def wait_for_message(self, body: str = "", *, type: str = "chat") -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            fitting = (
                each for each in self.messages() if each["type"] == type and body in (each["body"], "")
            )
            return next(fitting, None)

        return wait_for(found, f"the hook of {body or type}")


def answering_bot(
    send: Callable[..., object], heard: list[dict[str, Any]]
) -> Callable[[Received], tuple[int, dict[str, str], bytes]]:
    """Returns what responds to hooks: it quotes each message of a person in an answer before it responds, by `send`.

    `heard` gets all messages and acks.
    """

    def respond(received: Received) -> tuple[int, dict[str, str], bytes]:
        for message in received.json().get("messages", []):
            heard.append(message)
            if not message["fromMe"]:
                body = f"You said: {message['body']}"[:100]
                send("sendMessage", chatId=message["chatId"], body=body, quotedMsgId=message["id"])
        heard.extend(received.json().get("ack", []))
        return 200, {}, b""

    return respond


def wait_for(look: Callable[[], Any], what: str) -> Any:
    """Returns the first result of `look` that is true."""
    until = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.05)
    return found
