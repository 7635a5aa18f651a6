"""The bot of docs/receivers, unchanged, against the real product: what the README promises."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.product import Product, free_port
from tests.receiver import Answer, Received, Receiver
from tests.rest import Rest

BOT = Path(__file__).parent.parent / "docs" / "receivers" / "bot.py"
ANN = "17680561234@c.us"


class Bot:
    """bot.py as a process; `lines` is what it has printed."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(BOT)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "PORT": str(self.port), **environment},
        )  # fmt: skip
        assert self.process.stdout
        self.lines.append(self.process.stdout.readline())
        self.reader = threading.Thread(
            target=lambda: self.lines.extend(self.process.stdout or []), daemon=True
        )
        self.reader.start()

    def take(self, received: Received) -> Answer:
        """Hands a request on to the bot; its own answer."""
        headers = {name: value for name, value in received.headers.items() if name != "host"}
        answer = requests.post(f"http://127.0.0.1:{self.port}/", received.body, headers=headers, timeout=60)
        return answer.status_code, {}, answer.content

    def stop(self) -> list[str]:
        self.process.terminate()
        self.process.wait(60)
        self.reader.join()
        return self.lines


@pytest.fixture
def rest(product: Product) -> Iterator[Rest]:
    """The demo instance with acks switched on, and its address taken away afterwards."""
    rest = Rest(product)
    rest.quiet()
    rest.call("PATCH", rest.home, json={"ackNotificationsOn": True})
    yield rest
    rest.call("PATCH", rest.home, json={"webhookUrl": None, "ackNotificationsOn": False})


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_the_bot_answers_hello_from_inside_the_hook_and_its_answer_comes_back(
    rest: Rest, signed: bool
) -> None:
    secret = {"SECRET": rest.call("GET", rest.home)["webhookSecret"]} if signed else {}
    bot = Bot(API_URL=rest.api_url, TOKEN=rest.instance["token"], **secret)
    try:
        with Receiver(bot.take) as receiver:
            rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url})
            hello = rest.hello()
            came = receiver.wait_for(4)
            [first] = [r.json()["messages"][0] for r in came if "messages" in r.json() and not from_me(r)]
            [answer] = [r.json()["messages"][0] for r in came if from_me(r)]
            acks = [r.json()["ack"][0] for r in came if "ack" in r.json()]
            # The bot may still be responding to the last hook; stopped now, it would fail that attempt.
            log = rest.log(answer["id"])
    finally:
        lines = bot.stop()
    [reply] = [json.loads(line) for line in lines[1:] if line.startswith("{")]
    assert first == hello
    assert reply == {
        "sent": True,
        "message": f"Sent to {ANN}",
        "id": answer["id"],
        "queueNumber": reply["queueNumber"],
    }
    assert (answer["fromMe"], answer["self"], answer["body"], answer["chatId"]) == (
        True,
        1,
        "Hello to you!",
        ANN,
    )
    assert acks == [
        {"id": reply["id"], "queueNumber": reply["queueNumber"], "chatId": ANN, "status": "sent"},
        {"id": reply["id"], "queueNumber": reply["queueNumber"], "chatId": ANN, "status": "delivered"},
    ]
    assert [(hook["kind"], hook["state"]) for hook in log] == [
        ("ack", "delivered"),
        ("ack", "delivered"),
        ("message", "delivered"),
    ]


def from_me(received: Received) -> bool:
    return bool(received.json().get("messages", [{}])[0].get("fromMe"))


def test_the_bot_refuses_a_hook_that_is_signed_with_another_secret(rest: Rest) -> None:
    bot = Bot(API_URL=rest.api_url, TOKEN=rest.instance["token"], SECRET="whsec_c29tZWJvZHkgZWxzZSdz")
    try:
        with Receiver(bot.take) as receiver:
            rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url})
            hello = rest.hello()
            receiver.wait_for(1)
            [hook] = rest.log(hello["id"])
    finally:
        bot.stop()
    [attempt] = hook["attempts"]
    assert (hook["state"], attempt["answer"]["status"], attempt["side"]) == ("failed", 401, "endpoint")


def test_the_bot_is_about_thirty_lines_of_the_standard_library() -> None:
    lines = [line for line in BOT.read_text().splitlines() if line.strip()]
    assert len(lines) <= 32
