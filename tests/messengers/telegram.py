"""Bots at the double of Telegram. The product polls it, because Telegram cannot reach a loopback address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instances import chat_ids
from tests.doubles.telegram import Bot, Telegram
from tests.messengers.double_service import DoubleService

# Of messages: the part that is there, and the product's word.
TYPES = {"text": "chat", "photo": "image", "document": "document", "location": "location"}


class TelegramBot:
    """Implements FallibleAccount."""

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
    def names(self) -> list[str]:
        return [person.first_name for person in self.people]

    @property
    def link_values(self) -> Mapping[str, str]:
        return {"token": self.bot.token}

    def is_linked(self, callback_url: str) -> None:
        pass

    def write(self, person: int, body: str, *, key: str) -> None:
        self.double.write(self.bot, self.people[person], body)

    def texts(self, person: int) -> list[str]:
        return [message["text"] for message in self.got(person) if "text" in message]

    def types(self, person: int) -> list[str]:
        return [next(TYPES[part] for part in TYPES if part in message) for message in self.got(person)]

    def revoke(self) -> None:
        self.double.revoke(self.bot)

    def restore(self) -> None:
        self.bot.is_revoked = False

    def write_lost_file(self, person: int, *, key: str) -> None:
        self.double.send_file(self.bot, self.people[person], "photo", b"a photo", f"{key}.jpg")
        self.double.state.files.clear()

    def read(self, person: int) -> None:
        raise AssertionError("bots get no receipts")

    def got(self, person: int) -> list[dict[str, Any]]:
        return self.double.sent(self.bot, self.people[person])


class TelegramService(DoubleService[Telegram]):
    """Implements HttpService."""

    send_path, poll_path = "/sendMessage", "/getUpdates"

    def __init__(self) -> None:
        super().__init__(Telegram())

    @property
    def settings(self) -> Mapping[str, str]:
        return {"TELEGRAM_URL": self.seen_at or self.url}

    def add_account(self, people: int) -> TelegramBot:
        return TelegramBot(self.double, people)
