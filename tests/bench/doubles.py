"""Doubles of messengers in a process of their own, so that they and the bench do not share an interpreter.

`with running_double("telegram") as double:` gives an object whose methods run there. Accounts are numbered from 0.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.managers import BaseManager
from typing import Any, NamedTuple

PEOPLE = 1_000
FIRST_PERSON = 17_680_560_000


class Account(NamedTuple):
    """What links an instance to an account."""

    credentials: dict[str, str]
    external_id: str
    options: dict[str, str] = {}


class TelegramDouble:
    """Bots, each of which PEOPLE have started."""

    def __init__(self) -> None:
        from tests.doubles.telegram import Telegram

        self.double = Telegram().__enter__()
        self.people = [self.double.add_person(id=FIRST_PERSON + number) for number in range(PEOPLE)]
        self.bots: list[Any] = []

    def url(self) -> str:
        return self.double.url

    def add(self, number: int, people: int = PEOPLE) -> list[Account]:
        added = [self.double.add_bot(f"bot{index}_bot") for index in range(number)]
        for bot in added:
            for person in self.people[:people]:
                self.double.private_chat(bot, person)
        self.bots += added
        return [Account({"token": bot.token, "webhook_secret": "secret"}, str(bot.user.id)) for bot in added]

    def set_latency(self, seconds: float, index: int | None = None) -> None:
        """Wait so long before the response to each message of a bot, or of all."""
        for bot in self.bots if index is None else [self.bots[index]]:
            bot.latency = seconds

    def arrivals(self) -> dict[str, float]:
        """Returns when each text has arrived, by time.monotonic(), which all processes share."""
        return {
            message["text"]: chat.arrivals[number]
            for bot in self.bots
            for chat in bot.chats.values()
            for number, message in list(chat.messages.items())
            if message["from"]["id"] == bot.user.id
        }

    def write(self, each: int) -> None:
        """Write so many messages to each bot, in turn."""
        for number in range(each):
            for bot in self.bots:
                self.double.write(bot, self.people[0], f"message {number}")

    def polls(self) -> int:
        """Returns how many bots have been polled."""
        return len({token for token, method in list(self.double.server.calls) if method == "getUpdates"})


class WhatsAppDouble:
    """Business numbers."""

    def __init__(self) -> None:
        from tests.doubles.whatsapp_cloud import WhatsAppCloud

        self.double = WhatsAppCloud().__enter__()
        self.numbers: list[Any] = []

    def url(self) -> str:
        return self.double.url

    def add(self, number: int) -> list[Account]:
        added = [self.double.add_number() for _ in range(number)]
        self.numbers += added
        return [
            Account(
                {"access_token": one.token, "app_secret": one.app_secret, "verify_token": one.verify_token},
                one.phone_number_id,
            )
            for one in added
        ]

    def set_latency(self, seconds: float, index: int | None = None) -> None:
        for number in self.numbers if index is None else [self.numbers[index]]:
            number.latency = seconds

    def arrivals(self) -> dict[str, float]:
        return {
            message["text"]["body"]: at
            for number in self.numbers
            for message, at in zip(list(number.accepted), list(number.arrivals), strict=False)
        }


class MatrixDouble:
    """Accounts at the double of a homeserver, which receive."""

    def __init__(self) -> None:
        from tests.doubles import matrix

        self.double = matrix.MatrixDouble().__enter__()
        self.double.max_poll_seconds = 60.0  # as long as it is asked to wait
        self.accounts: list[Any] = []

    def url(self) -> str:
        return self.double.url

    def add(self, number: int) -> list[Account]:
        added = [self.double.account(f"shop{len(self.accounts) + index}") for index in range(number)]
        self.accounts += added
        options = {"base_url": self.double.url}
        return [Account({"access_token": one.token}, one.user, options) for one in added]

    def write(self, each: int) -> None:
        for number in range(each):
            for account in self.accounts:
                content = {"msgtype": "m.text", "body": f"message {number}"}
                self.double.write(account, "!room:example.org", content, sender="@ann:example.org")

    def polls(self) -> int:
        return sum(any(one.endswith("/sync") for one in list(account.asked)) for account in self.accounts)


class WahaDouble:
    """Sessions at a WAHA server, which work and have no webhook yet."""

    def __init__(self) -> None:
        from tests.doubles.waha import Waha

        self.double = Waha().__enter__()

    def add(self, number: int) -> list[Account]:
        before = len(self.double.sessions)
        added = [
            self.double.add_session(f"shop-{before + index}", phone=f"1555{before + index:07}")
            for index in range(number)
        ]
        return [
            Account(
                {"api_key": self.double.api_key, "hmac_key": f"hmac-key-of-{one.name}-{'x' * 32}"},
                f"{one.name}@double",
                {"url": self.double.url, "session": one.name},
            )
            for one in added
        ]

    def number(self) -> int:
        return len(self.double.sessions)

    def configured(self) -> int:
        """Returns how many sessions send their events."""
        return sum(bool(one.config.get("webhooks")) for one in list(self.double.sessions.values()))

    def write(self, each: int) -> None:
        for number in range(each):
            for session in list(self.double.sessions.values()):
                session.write(f"{FIRST_PERSON}@c.us", f"message {number}")


class Doubles(BaseManager):
    pass


DOUBLES: dict[str, type[Any]] = {
    "telegram": TelegramDouble,
    "whatsapp_cloud": WhatsAppDouble,
    "matrix": MatrixDouble,
    "waha": WahaDouble,
}
for _name, _class in DOUBLES.items():
    Doubles.register(_name, _class)


def set_up() -> None:
    import django

    django.setup()


@contextlib.contextmanager
def running_double(channel: str) -> Iterator[Any]:
    manager = Doubles(ctx=multiprocessing.get_context("spawn"))
    manager.start(initializer=set_up)
    try:
        yield getattr(manager, channel)()
    finally:
        manager.shutdown()
