"""Bots at the double of Telegram. The product polls it, because Telegram cannot reach a loopback address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from instances import chat_ids
from tests.doubles.telegram import Bot, Telegram


class TelegramBot:
    """Implements Account."""

    def __init__(self, double: Telegram, people: int) -> None:
        self.double: Telegram = double
        self.bot: Bot = double.add_bot()
        self.people = [double.add_person(f"Person {number}") for number in range(people)]
        for person in self.people:
            double.private_chat(self.bot, person)

    @property
    def chat_ids(self) -> list[str]:
        return [chat_ids.of_native("telegram", str(person.id), is_group=False) for person in self.people]

    @property
    def link_values(self) -> Mapping[str, str]:
        return {"token": self.bot.token}

    def is_linked(self, callback_url: str) -> None:
        pass

    def write(self, person: int, body: str, *, key: str) -> None:
        self.double.write(self.bot, self.people[person], body)

    def texts(self, person: int) -> list[str]:
        return [message["text"] for message in self.double.sent(self.bot, self.people[person])]


class TelegramService:
    """Implements Service."""

    def __init__(self) -> None:
        self.double = Telegram()

    @property
    def settings(self) -> Mapping[str, str]:
        return {"TELEGRAM_URL": self.double.url}

    def add_account(self, people: int) -> TelegramBot:
        return TelegramBot(self.double, people)

    def __enter__(self) -> Self:
        self.double.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.double.__exit__(*exception)
