"""The whole product with Telegram: a person writes, a bot behind a webhook answers, and the person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.doubles.telegram import Bot, Fault, Telegram, User, flood
from tests.faults.product_instance import kill
from tests.faults.victims import run_of
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.telegram.messenger import credentials_of
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Answer, Received, Receiver

pytestmark = pytest.mark.timeout(600)

NEW_INSTANCE = """
import json
from accounts.models import Account
from hooks.actions.endpoints import configure
from instances.actions.channel_links import save_link
from instances.actions.lifecycle import create_instance
from instances.models import Instance
instance = create_instance(Account.objects.order_by("id").first(), channel="telegram")
Instance.objects.filter(pk=instance.pk).update(account_status="authenticated")
instance.refresh_from_db()
save_link(
    instance, credentials={credentials!r}, external_id="{bot}", own_chat_id="telegram:{bot}@c.us", acting_user=None
)
configure(instance.endpoint, url={url!r})
print(json.dumps([instance.number, instance.token]))
"""


class EchoBot:
    """A user's bot, as old clients are: it gets hooks and calls sendMessage with the chatId that it got."""

    def __init__(self) -> None:
        self.api = ""  # URL of the instance …
        self.token = ""
        self.bodies: list[str] = []
        self.refused: list[str] = []

    def __call__(self, received: Received) -> Answer:
        for message in received.json().get("messages", []):
            if message["self"] or message["body"] in self.bodies:
                continue
            body = message["body"]
            answer = requests.post(
                f"{self.api}/sendMessage",
                params={"token": self.token},
                json={"chatId": message["chatId"], "body": f"re: {body}", "quotedMsgId": message["id"]},
                timeout=60,
            )
            if not answer.json().get("sent"):
                self.refused.append(answer.text)
                return 503, {}, b""
            self.bodies.append(body)
        return 200, {}, b""


@pytest.fixture
def double() -> Iterator[Telegram]:
    with Telegram() as running:
        yield running


def answers(double: Telegram, bot: Bot, ann: User) -> list[str]:
    return [message["text"] for message in double.sent(bot, ann) if "text" in message]


def test_a_person_writes_a_bot_answers_and_kills_lose_nothing(tmp_path: Path, double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person("Ann")
    echo = EchoBot()
    with Receiver(echo) as receiver, Product(tmp_path, TELEGRAM_URL=double.url) as product:
        code = NEW_INSTANCE.format(credentials=credentials_of(bot), bot=bot.user.id, url=receiver.url)
        number, echo.token = json.loads(shell(product.environment, code))
        echo.api = f"{product.url}/instance{number}"

        first = double.write(bot, ann, "Grüße 👋")
        wait_until(lambda: answers(double, bot, ann), f"Ann reads the answer; {echo.refused}", 120)
        [answer] = double.sent(bot, ann)
        assert answer["text"] == "re: Grüße 👋"
        assert answer["reply_to_message"]["message_id"] == first["message_id"], "a quote is a reply"

        double.send_file(bot, ann, "photo", b"\xff\xd8\xff\xe0 a photo", "p.jpg", caption="look")
        link = wait_until(
            lambda: next((body for body in echo.bodies if body.startswith("http")), ""), "a file"
        )
        assert requests.get(link, timeout=60).content == b"\xff\xd8\xff\xe0 a photo"

        expected = {f"re: {body}" for body in ("Grüße 👋", link)}

        def write_and_kill(numbers: range, *roles: str) -> None:
            for one in numbers:
                double.write(bot, ann, str(one))
                if one == numbers[len(numbers) // 2]:
                    kill([run_of(product, role) for role in roles])
            expected.update(f"re: {one}" for one in numbers)

        group = double.add_group(bot, "Trip")
        group.administrators = [(ann, "creator")]
        double.add_to_group(bot, double.add_person("Ben"), group)
        chat = {"token": echo.token, "chatId": f"telegram:{group.id}@g.us"}
        wait_until(
            lambda: (
                requests.get(f"{echo.api}/dialog", chat, timeout=60).json().get("metadata", {}).get("admins")
                == [f"telegram:{ann.id}@c.us"]
            ),
            "the receiver asks who the administrators are",
        )

        double.order(Fault("error", method="sendMessage", status=502))
        double.order(flood(1, method="sendMessage"))
        double.order(Fault("reset", method="getUpdates"))
        double.order(Fault("garbage", method="getUpdates"))
        write_and_kill(range(10), "receiving")
        write_and_kill(range(10, 20), "outgoing")
        wait_until(
            lambda: set(answers(double, bot, ann)) >= expected, f"all answers arrive; {echo.refused}", 240
        )
        assert set(answers(double, bot, ann)) == expected
        assert echo.bodies == ["Grüße 👋", link, *map(str, range(20))], "in order, each once"
        assert not echo.refused
