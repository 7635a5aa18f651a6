"""WhatsApp Business over the whole product: a person writes, the bot answers, the person reads it."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.doubles.whatsapp_cloud import WhatsAppCloud
from tests.hooks.dispatch import dispatching
from tests.messengers.bot import answering_bot
from tests.messengers.linked_instance import LinkedInstance
from tests.messengers.whatsapp_cloud import BusinessNumber
from tests.product import Product
from tests.receiver import Receiver

ANN = "17680561234"
wait_until = functools.partial(dispatching.wait_until, seconds=60)
PICTURE = b"\x89PNG\r\n" + bytes(range(256)) * 400


@pytest.fixture(scope="module")
def whatsapp() -> Iterator[WhatsAppCloud]:
    with WhatsAppCloud() as running:
        yield running


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, whatsapp: WhatsAppCloud) -> Iterator[Product]:
    """The product, for which the double is the Graph API."""
    folder: Path = tmp_path_factory.mktemp("whatsapp")
    with Product(folder, WHATSAPP_URL=whatsapp.url, HOOKS_ALLOW_NETWORKS="127.0.0.0/8") as running:
        yield running


class Linked(LinkedInstance):
    """An instance that is linked to a number of the double."""

    def __init__(self, product: Product, account: BusinessNumber, webhook: str) -> None:
        super().__init__(product, "whatsapp_cloud", account, webhookUrl=webhook, ackNotificationsOn=True)

    def send(self, method: str, **arguments: Any) -> None:
        sent = self.call(method, **arguments)
        assert sent["sent"], sent

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("messages", last=1)["messages"]
        return found


def test_a_person_writes_the_bot_answers_and_the_person_reads_it(
    product: Product, whatsapp: WhatsAppCloud
) -> None:
    account, heard = BusinessNumber(whatsapp, people=1), list[dict[str, Any]]()
    number = account.number

    def send(method: str, **arguments: Any) -> None:
        linked.send(method, **arguments)

    with Receiver(answering_bot(send, heard)) as receiver:
        linked = Linked(product, account, receiver.url)
        question = number.write(ANN, body="Is there tea? 🍵")
        wait_until(lambda: number.received(ANN), "the bot's answer reaches the person")
        [answer] = number.received(ANN)
        assert answer["text"]["body"] == "You said: Is there tea? 🍵"
        assert answer["context"] == {"message_id": question["id"]}

        for word in ("read", "delivered", "sent", "read"):  # reordered and repeated
            number.report(answer["id"], word)
        wait_until(lambda: any(one.get("status") == "viewed" for one in heard), "the ack reaches the bot")
        [shown] = [one for one in linked.messages() if one["fromMe"]]
        assert shown["ack"] == 3

        number.send_file(ANN, "image", PICTURE, "image/png", caption="my cup")
        wait_until(lambda: any(one.get("caption") == "my cup" for one in heard), "the picture's hook")
        [picture] = [one for one in heard if one.get("caption") == "my cup"]
        path = picture["body"].partition("/media/")[2]
        assert requests.get(f"{product.url}/media/{path}", timeout=60).content == PICTURE

        linked.send("sendFile", phone=ANN, body=picture["body"], filename="cup.png", caption="yours")
        wait_until(lambda: any(one["type"] == "image" for one in number.received(ANN)), "a file goes back")
        [sent] = [one for one in number.received(ANN) if one["type"] == "image"]
        assert whatsapp.files[sent["image"]["id"]].content == PICTURE


def test_forged_and_repeated_callbacks_change_nothing(product: Product, whatsapp: WhatsAppCloud) -> None:
    account = BusinessNumber(whatsapp, people=1)
    number = account.number
    with Receiver() as receiver:
        linked = Linked(product, account, receiver.url)
        forged = number.messages([number.message(ANN, body="forged")], {ANN: "Ann"})
        response = number.push(forged, secret="another")
        assert response is not None and response.status_code == 403
        one = number.messages([number.message(ANN, body="one")], {ANN: "Ann"})
        two = number.messages([number.message(ANN, body="two")], {ANN: "Ann"})
        for body in (one, two, one, two, two):
            response = number.push(body)
            assert response is not None and response.status_code == 200
        wait_until(lambda: len(linked.messages()) >= 2, "both are received")
        time.sleep(1)
        assert sorted(message["body"] for message in linked.messages()) == ["one", "two"]
