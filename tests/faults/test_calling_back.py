"""A bot that calls the API before it responds: a hook in flight must not lock anything that the call needs."""

import json

import requests

from tests.faults.product_instance import create_product_instance
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Answer, Received, Receiver

NUMBER_AND_TOKEN = """
import json
from instances.models import Instance
instance = Instance.objects.get(pk={pk})
print(json.dumps([instance.number, instance.token]))
"""
MESSAGES = 20


class Bot:
    """Replies to each incoming message with sendMessage, reads the chat, and only then responds to the hook."""

    def __init__(self) -> None:
        self.api = ""
        self.token = ""
        self.errors: list[str] = []

    def __call__(self, received: Received) -> Answer:
        for message in received.json().get("messages", []):
            if not message["fromMe"]:
                self.reply(message["chatId"], message["body"])
        return 200, {}, b""

    def reply(self, chat: str, body: str) -> None:
        arguments = {"chatId": chat, "body": f"re: {body}"}
        sent = requests.post(
            f"{self.api}/sendMessage", params={"token": self.token}, json=arguments, timeout=10
        )
        if sent.status_code != 200 or not sent.json()["sent"]:
            self.errors.append(sent.text)
        found = requests.get(f"{self.api}/messages", params={"token": self.token, "chatId": chat}, timeout=10)
        if body not in [message["body"] for message in found.json()["messages"]]:
            self.errors.append(found.text)


def test_a_bot_that_calls_the_api_before_it_responds_receives_everything_in_order(product: Product) -> None:
    bot = Bot()
    with Receiver(bot) as receiver:
        alice = create_product_instance(product.environment, receiver.url)
        number, bot.token = json.loads(shell(product.environment, NUMBER_AND_TOKEN.format(pk=alice.pk)))
        bot.api = f"{product.url}/instance{number}"
        alice.receive(MESSAGES)
        alice.wait_until_delivered(2 * MESSAGES)  # each message, and each reply, which is a message itself
        arrived = [request.json()["messages"][0]["body"] for request in receiver.requests]
        alice.delete()
    assert bot.errors == []
    assert [body for body in arrived if body.startswith("re: ")] == [f"re: {n}" for n in range(MESSAGES)]
    assert [body for body in arrived if not body.startswith("re: ")] == [str(n) for n in range(MESSAGES)]
