"""Telegram for the conformance tests: bots at the double, and the people who write to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from instances import chat_ids
from instances.actions.channel_links import save_link
from instances.actions.status import change_status
from instances.channels.receiving import CallbackRequest, LinkLost
from instances.channels.requests import Link
from instances.channels.telegram.callbacks import SECRET_HEADER
from instances.channels.telegram.channel import TelegramChannel
from instances.models import AccountStatus, Instance, MessageType
from instances.received_events import ReceivedEvent
from instances.receiving.network import LoopNetwork
from tests.doubles.telegram import Bot, Telegram, User, flood
from tests.doubles.telegram.methods import media_json
from tests.instances.channels.pure_checks import People
from tests.instances.channels.recorder import record_with_files

CHANNEL = TelegramChannel()
ANN, GROUP = User(100_000_001, "Ann"), -4_000_001
KINDS = {"image": "photo", "ptt": "voice"}  # of files, where the product's words differ
MEDIA = ("photo", "voice", "audio", "video", "document", "sticker")
SECRET = "a-secret-of-the-webhook"


def credentials_of(bot: Bot) -> dict[str, str]:
    return {"token": bot.token, "webhook_secret": SECRET}


def save_bot(instance: Instance, bot: Bot) -> None:
    """Link the instance to the bot, as the page does."""
    save_link(instance, credentials=credentials_of(bot), external_id=str(bot.user.id), acting_user=None)
    change_status(instance, account_status=AccountStatus.AUTHENTICATED)


class TelegramMessenger:
    """Implements NetworkMessenger. The double is started when it is first used, and ends with the process."""

    people = People(
        ann=chat_ids.of_native("telegram", str(ANN.id), is_group=False),
        ben=chat_ids.of_native("telegram", "100000002", is_group=False),
        group=chat_ids.of_native("telegram", str(GROUP), is_group=True),
    )

    def __init__(self) -> None:
        self.started: Telegram | None = None
        self.by_instance: dict[int, Bot] = {}
        self.written: dict[tuple[int, str], dict[str, Any]] = {}  # updates by bot and key

    @property
    def double(self) -> Telegram:
        if self.started is None:
            self.started = Telegram().__enter__()
        return self.started

    @property
    def settings(self) -> dict[str, str]:
        return {"TELEGRAM_URL": self.double.url}

    def bot(self, instance: Instance) -> Bot:
        if instance.number not in self.by_instance:
            bot = self.by_instance[instance.number] = self.double.add_bot()
            self.double.private_chat(bot, ANN)
            self.double.add_group(bot, id=GROUP)
        return self.by_instance[instance.number]

    def link(self, instance: Instance) -> None:
        bot = self.bot(instance)
        if bot.is_revoked:
            del self.by_instance[instance.number]
            bot = self.bot(instance)
        save_bot(instance, bot)

    def log_out(self, instance: Instance) -> None:
        self.double.revoke(self.bot(instance))
        self.receive(instance)

    def write(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        """Write; with a key for the second time, Telegram reports the same update again."""
        bot, kind = self.bot(instance), KINDS.get(type, type)
        if (known := self.written.get((bot.user.id, key))) is not None:
            bot.updates.append({**known, "update_id": bot.next_update})
            bot.next_update += 1
            self.receive(instance)
            return
        content: dict[str, Any] = {"text": body}
        if kind in MEDIA:
            stored = self.double.state.store_file("notes.pdf", "application/pdf", b"%PDF-1.4 a file of Ann")
            content = {kind: media_json(kind, stored)}
        elif type == MessageType.LOCATION:
            latitude, longitude = body.split(";")
            content = {"location": {"latitude": float(latitude), "longitude": float(longitude)}}
        elif type == MessageType.VCARD:
            content = {"contact": {"phone_number": "+4915112345678", "first_name": "Ben", "vcard": body}}
        assert chat_ids.native_of(chat_id) == ("telegram", str(ANN.id)) and name == ANN.first_name
        self.double.write(bot, ANN, **content)
        self.written[bot.user.id, key] = bot.updates[-1]
        self.receive(instance)

    def type_on_phone(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        raise AssertionError("a bot is on no phone")

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        raise AssertionError("bots get no receipts")

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        return [self.body_of(message) for message in self.double.sent(self.bot(instance), ANN)]

    def body_of(self, message: Mapping[str, Any]) -> str:
        """Returns the body of a message of the wire contract that has this content."""
        if place := message.get("location"):
            return f"{place['latitude']};{place['longitude']}"
        if contact := message.get("contact"):
            return str(contact["vcard"])
        if "text" in message:
            return str(message["text"])
        return self.double.state.files[file_id(message)].url

    def received_files(self, instance: Instance) -> list[int]:
        sent = self.double.sent(self.bot(instance), ANN)
        return [len(self.double.content_of(file_id(message))) for message in sent]

    def remove_account(self, instance: Instance, phone: str) -> None:
        raise AssertionError("Telegram does not tell bots who has an account")

    def revoke(self, instance: Instance) -> None:
        self.double.revoke(self.bot(instance))

    def limit(self, instance: Instance, *, seconds: int) -> None:
        self.double.order(flood(seconds, token=self.bot(instance).token))

    def receive(self, instance: Instance) -> None:
        """Record what one poll brings, with its files, as a receiver does."""
        link = CHANNEL.link(instance)
        try:
            events = asyncio.run(poll(link))
        except LinkLost:
            change_status(instance, account_status=AccountStatus.INIT)
            return
        record_with_files(instance, CHANNEL, link, events)


def file_id(message: Mapping[str, Any]) -> str:
    found = next(message[kind] for kind in MEDIA if kind in message)
    return str((found[-1] if isinstance(found, list) else found)["file_id"])


async def poll(link: Link) -> list[ReceivedEvent]:
    """Returns the events of one poll, and confirms them."""
    network = LoopNetwork()
    try:
        async with contextlib.aclosing(CHANNEL.receive(link, "", network)) as batches:  # type: ignore[type-var]
            first = await anext(batches)
        async with contextlib.aclosing(CHANNEL.receive(link, first.cursor, network)) as batches:  # type: ignore[type-var]
            await anext(batches)
        return list(first.events)
    finally:
        network.close()


class Pusher:
    """Implements PushingMessenger: what Telegram sends to a bot's webhook."""

    external_id = "700000001"
    credentials: Mapping[str, str] = {
        "token": "700000001:AAF-double_of_telegram_000700000001",
        "webhook_secret": SECRET,
    }

    def callback(self, *, key: str, body: str) -> CallbackRequest:
        number = sum(key.encode())
        update = (
            f'{{"update_id":{number},"message":{{"message_id":{number},"date":1700000000,"text":"{body}",'
            '"from":{"id":100000001,"is_bot":false,"first_name":"Ann"},'
            '"chat":{"id":100000001,"type":"private","first_name":"Ann"}}}'
        )
        headers = ((SECRET_HEADER, SECRET), ("Content-Type", "application/json"))
        return CallbackRequest("POST", "", headers, update.encode())

    def handshake(self) -> tuple[CallbackRequest, str] | None:
        return None


class Writer:
    """Implements ReceivingMessenger: Ann and a bot that is polled."""

    def __init__(self, double: Telegram) -> None:
        self.double = double
        self.bot = double.add_bot()
        self.credentials: Mapping[str, str] = credentials_of(self.bot)

    def write(self, *, key: str, body: str) -> None:
        self.double.write(self.bot, ANN, body)

    def revoke(self) -> None:
        self.double.revoke(self.bot)
