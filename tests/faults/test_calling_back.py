"""A bot that calls the API back before it answers: the hook under way must hold nothing that the call needs."""

import json

import requests

from tests.faults.product_instance import shell, subject
from tests.product import Product
from tests.receiver import Answer, Received, Receiver

NUMBER_AND_TOKEN = """
import json
from instances.models import Instance
instance = Instance.objects.get(pk={pk})
print(json.dumps([instance.number, instance.token]))
"""
MESSAGES = 20


class Bot:
    """Answers each incoming message by sendMessage, looks the chat up, and only then answers the hook."""

    def __init__(self) -> None:
        self.api = ""
        self.token = ""
        self.refused: list[str] = []

    def __call__(self, received: Received) -> Answer:
        for message in received.json().get("messages", []):
            if not message["fromMe"]:
                self.reply(message["chatId"], message["body"])
        return 200, {}, b""

    def reply(self, chat: str, body: str) -> None:
        said = {"chatId": chat, "body": f"re: {body}"}
        sent = requests.post(f"{self.api}/sendMessage", params={"token": self.token}, json=said, timeout=10)
        if sent.status_code != 200 or not sent.json()["sent"]:
            self.refused.append(sent.text)
        found = requests.get(f"{self.api}/messages", params={"token": self.token, "chatId": chat}, timeout=10)
        if body not in [message["body"] for message in found.json()["messages"]]:
            self.refused.append(found.text)


def test_a_bot_that_calls_the_api_back_before_it_answers_gets_everything_in_order(product: Product) -> None:
    bot = Bot()
    with Receiver(bot) as receiver:
        alice = subject(product.environment, receiver.url)
        number, bot.token = json.loads(shell(product.environment, NUMBER_AND_TOKEN.format(pk=alice.pk)))
        bot.api = f"{product.url}/instance{number}"
        alice.receive(MESSAGES)
        alice.wait_until_delivered(2 * MESSAGES)  # each message, and each reply, which is a message itself
        arrived = [request.json()["messages"][0]["body"] for request in receiver.requests]
        alice.delete()
    assert bot.refused == []
    assert [body for body in arrived if body.startswith("re: ")] == [f"re: {n}" for n in range(MESSAGES)]
    assert [body for body in arrived if not body.startswith("re: ")] == [str(n) for n in range(MESSAGES)]
