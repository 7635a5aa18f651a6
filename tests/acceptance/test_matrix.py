"""A person writes at a real Matrix homeserver, and the bot behind the webhook answers over the wire contract.

Files go both ways, the person's receipt arrives as the ack "viewed", and the homeserver is killed in between.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import requests

from tests.product import Product
from tests.receiver import Receiver
from tests.servers.synapse import Person, Synapse

SECONDS = 120.0

PICTURE = b"\x89PNG\r\n\x1a\n" + b"a small picture" * 20
ANSWER = b"%PDF-1.4 the answer of the bot"


class Bot:
    """The user's program: a webhook, and calls of the wire contract, of an instance that it has linked over REST."""

    def __init__(self, product: Product, receiver: Receiver, synapse: Synapse, account: Person) -> None:
        self.receiver, self.headers = receiver, {"Authorization": f"Bearer {product.demo['uid']}"}
        instances = f"{product.url}/api/v1/instances/"
        made = self.rest("POST", instances, {"name": "Tea shop", "channel": "matrix"})
        self.token, self.home = made["token"], f"{instances}{made['id']}/"
        self.url = f"{product.url}/instance{made['id']}"
        self.rest("PATCH", self.home, {"webhookUrl": receiver.url, "ackNotificationsOn": True})
        values = {"user": account.user, "password": account.password, "homeserver": synapse.url}
        self.rest("PUT", f"{self.home}link/", {"values": values})

    def rest(self, method: str, url: str, body: Any = None) -> Any:
        response = requests.request(method, url, json=body, headers=self.headers, timeout=SECONDS)
        assert response.ok, response.text
        return response.json()

    def call(self, method: str, **body: Any) -> Any:
        response = requests.post(f"{self.url}/{method}?token={self.token}", json=body, timeout=SECONDS)
        assert response.status_code == 200, response.text
        return response.json()

    def messages(self) -> list[dict[str, Any]]:
        """Returns the messages of contacts that have arrived as hooks, in order."""
        hooks = [request.json() for request in list(self.receiver.requests)]
        return [each for hook in hooks for each in hook.get("messages", []) if not each["fromMe"]]

    def texts(self, chat_id: str) -> list[str]:
        """Returns the texts of a chat. A hook in flight at a kill may arrive twice: it is the same message."""
        found = [each for each in self.messages() if (each["chatId"], each["type"]) == (chat_id, "chat")]
        return list({each["id"]: each["body"] for each in found}.values())

    def acks(self, message_id: str) -> list[str]:
        hooks = [request.json() for request in list(self.receiver.requests)]
        return [ack["status"] for hook in hooks for ack in hook.get("ack", []) if ack["id"] == message_id]

    def wait_for_message(self, body: str = "", *, type: str = "chat") -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            fitting = (
                each for each in self.messages() if each["type"] == type and body in (each["body"], "")
            )
            return next(fitting, None)

        return wait_for(found, f"the hook of {body or type}")


def wait_for(look: Callable[[], Any], what: str) -> Any:
    """Returns the first result of `look` that is true."""
    until = time.monotonic() + SECONDS
    while not (found := look()):
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.1)
    return found


def test_a_person_and_a_bot_talk_over_matrix(product: Product, synapse: Synapse) -> None:
    account, ann = synapse.register("story-bot", name="The bot"), synapse.register("story-ann", name="Ann")
    with Receiver() as receiver:
        bot = Bot(product, receiver, synapse, account)
        room = ann.create_room(account.user, is_direct=True)
        asked = ann.write(room, "hello")

        hello = bot.wait_for_message("hello")
        assert hello["chatId"] == f"matrix:{room}@c.us"
        assert (hello["author"], hello["senderName"]) == (f"matrix:{ann.user}@c.us", "Ann")

        sent = bot.call("sendMessage", chatId=hello["chatId"], body="good day", quotedMsgId=hello["id"])
        reply = ann.wait_for(room, lambda event: event["content"]["body"] == "good day")
        assert reply["sender"] == account.user
        assert reply["content"]["m.relates_to"] == {"m.in_reply_to": {"event_id": asked}}

        ann.read(room, reply["event_id"])
        wait_for(lambda: bot.acks(sent["id"])[-1:] == ["viewed"], "the receipt")
        assert bot.acks(sent["id"]) == ["sent", "viewed"]

        files_go_both_ways(bot, ann, room, hello["chatId"])
        the_bot_begins_a_chat(bot, synapse.register("story-ben", name="Ben"))
        nothing_is_lost_by_a_kill_of_the_product(bot, product, account.user, ann, room, hello["chatId"])
        nothing_is_lost_by_a_kill(bot, account.user, ann, synapse, room, hello["chatId"])


def files_go_both_ways(bot: Bot, ann: Person, room: str, chat_id: str) -> None:
    uri = ann.upload(PICTURE, "image/png", "view.png")
    info = {"mimetype": "image/png", "size": len(PICTURE)}
    ann.send(room, {"msgtype": "m.image", "body": "look", "filename": "view.png", "url": uri, "info": info})
    picture = bot.wait_for_message(type="image")
    assert picture["caption"] == "look"
    assert requests.get(picture["body"], timeout=SECONDS).content == PICTURE

    data = "data:application/pdf;base64," + base64.b64encode(ANSWER).decode()
    bot.call("sendFile", chatId=chat_id, body=data, filename="answer.pdf", caption="here")
    file = ann.wait_for(room, lambda event: event["content"].get("filename") == "answer.pdf")
    assert (file["content"]["msgtype"], file["content"]["body"]) == ("m.file", "here")
    assert ann.download(file["content"]["url"]) == ANSWER


def the_bot_begins_a_chat(bot: Bot, ben: Person) -> None:
    """It writes to a user, and gets the answer in the same chat."""
    chat_id = f"matrix:{ben.user}@c.us"
    bot.call("sendMessage", chatId=chat_id, body="welcome")
    room = ben.wait_for_invitation()
    ben.join(room)
    ben.wait_for(room, lambda event: event["content"]["body"] == "welcome")
    ben.write(room, "thanks")
    assert bot.wait_for_message("thanks")["chatId"] == chat_id
    bot.call("sendMessage", chatId=chat_id, body="you're welcome")
    ben.wait_for(room, lambda event: event["content"]["body"] == "you're welcome")


def nothing_is_lost_by_a_kill_of_the_product(
    bot: Bot, product: Product, account: str, ann: Person, room: str, chat_id: str
) -> None:
    """The sender and the receiver are killed while both sides write."""
    questions = [f"question {number}" for number in range(20)]
    answers = [f"answer {number}" for number in range(20)]
    for number in range(10):
        ann.write(room, questions[number])
        bot.call("sendMessage", chatId=chat_id, body=answers[number])
    product.restart_worker()
    for number in range(10, 20):
        ann.write(room, questions[number])
        bot.call("sendMessage", chatId=chat_id, body=answers[number])
    ann.wait_for(room, lambda event: event["content"]["body"] == answers[-1])
    bot.wait_for_message(questions[-1])
    assert bot.texts(chat_id) == ["hello", *questions], "each once and in order"
    assert ann.bodies(room, sender=account) == ["good day", "here", *answers], "each once and in order"


def nothing_is_lost_by_a_kill(
    bot: Bot, account: str, ann: Person, synapse: Synapse, room: str, chat_id: str
) -> None:
    """The bot writes while the homeserver is away, and the person as soon as it is back."""
    before = [f"before {number}" for number in range(5)]
    for body in before:
        ann.write(room, body)
    synapse.kill()
    away = [f"away {number}" for number in range(3)]
    for body in away:
        bot.call("sendMessage", chatId=chat_id, body=body)
    synapse.start()
    ann.write(room, "are you there")
    bot.wait_for_message("are you there")
    assert bot.texts(chat_id)[-6:] == [*before, "are you there"], "each once and in order"
    for body in away:
        ann.wait_for(room, lambda event, body=body: event["content"]["body"] == body)  # type: ignore[misc]
    own = ann.bodies(room, sender=account)
    assert own[-3:] == away and len(own) == len(set(own)), "each once and in order"
