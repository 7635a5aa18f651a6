"""Personal WhatsApp for the conformance tests: sessions at the double, and the people who write to them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from django.db import transaction

from instances.actions.channel_links import save_link
from instances.actions.media import store_media
from instances.actions.received import record_events
from instances.actions.status import change_status
from instances.channels.media import FetchedFile
from instances.channels.receiving import CallbackRequest, Store
from instances.channels.requests import Link
from instances.channels.waha import history
from instances.channels.waha.api import API_KEY, HMAC_KEY, SESSION, URL
from instances.channels.waha.channel import WahaChannel
from instances.models import AccountStatus, Instance
from instances.models import Media as StoredMedia
from instances.received_events import Media
from instances.receiving.files import wanted_files
from instances.receiving.network import LoopNetwork
from tests.doubles.waha import Fault, Session, Waha
from tests.doubles.waha.webhooks import Deliverer
from tests.instances.channels.pure_checks import GROUP

CHANNEL = WahaChannel()
PDF = b"%PDF-1.4 a file of Ann"
CONTENT_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "ptt": "audio/ogg; codecs=opus",
    "sticker": "image/webp",
    "document": "application/pdf",
}


def credentials_of(session: Session, api_key: str) -> dict[str, str]:
    return {API_KEY: api_key, HMAC_KEY: f"hmac-key-of-{session.name}"}


def callback_of(event: dict[str, Any], hmac_key: str) -> CallbackRequest:
    """Returns an event as this product's channel gets it."""
    raw, headers = Deliverer.signed({"hmac": {"key": hmac_key}}, event)
    return CallbackRequest("POST", "", tuple(headers.items()), raw)


def written(message: Mapping[str, Any]) -> str:
    """Returns the body of a message of the wire contract that has this content."""
    match message["kind"]:
        case "sendText":
            return str(message["text"])
        case "sendLocation":
            return f"{message['latitude']};{message['longitude']}"
        case "sendContactVcard":
            return "\n".join(one["vcard"] for one in message["contacts"])
    return str(message["file"].get("url", ""))


class WahaMessenger:
    """Implements NetworkMessenger. The double is started when it is first used, and ends with the process."""

    def __init__(self, engine: str = "WEBJS") -> None:
        self.started: Waha | None = None
        self.engine = engine
        self.by_instance: dict[int, Session] = {}
        self.delivered: dict[int, int] = {}  # how many of the session's events

    @property
    def double(self) -> Waha:
        if self.started is None:
            self.started = Waha(engine=self.engine).__enter__()
        return self.started

    @property
    def settings(self) -> dict[str, Any]:
        return {"WAHA_SERVERS": {}}

    def session(self, instance: Instance) -> Session:
        """Returns the instance's session, which has an API key of its own."""
        if instance.number not in self.by_instance:
            session = self.double.add_session(f"session-{instance.number}")
            session.group = GROUP
            self.double.keys.add(self.key(instance))
            self.by_instance[instance.number] = session
        return self.by_instance[instance.number]

    @staticmethod
    def key(instance: Instance) -> str:
        return f"api-key-{instance.number}"

    def link(self, instance: Instance) -> None:
        session = self.session(instance)
        save_link(
            instance,
            credentials=credentials_of(session, self.key(instance)),
            external_id=f"{session.name}@double",
            options={URL: self.double.url, SESSION: session.name},
            acting_user=None,
        )
        change_status(instance, account_status=AccountStatus.AUTHENTICATED)

    def log_out(self, instance: Instance) -> None:
        session = self.session(instance)
        session.log_out()
        session.next_code()
        self.deliver_new(instance)

    def write(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        session, more = self.session(instance), dict[str, Any]()
        if type == "call_log":
            session.call(chat_id, key=key)
        elif type == "location":
            latitude, longitude = body.split(";")
            session.write(
                chat_id, name=name, key=key, location={"latitude": latitude, "longitude": longitude}
            )
        elif type == "vcard":
            session.write(chat_id, name=name, key=key, vCards=[body])
        else:
            if type in CONTENT_TYPES:
                body, more = "", session.file(PDF, CONTENT_TYPES[type])
            session.write(chat_id, body, name=name, key=key, **more)
        self.deliver_new(instance)

    def type_on_phone(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        self.session(instance).type_in_app(chat_id, body, key=key)
        self.deliver_new(instance)

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        session = self.session(instance)
        session.acknowledge(session.sent[-1]["key"], {"delivered": 2, "viewed": 3}[status])
        self.deliver_new(instance)

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        return [written(one) for one in self.session(instance).sent if one["chatId"] == chat_id]

    def received_files(self, instance: Instance) -> list[int]:
        files = [one["file"] for one in self.session(instance).sent if "file" in one]
        return [len(base64.b64decode(file["data"])) for file in files if "data" in file]

    def remove_account(self, instance: Instance, phone: str) -> None:
        self.session(instance).without_account.add(phone.partition("@")[0])

    def revoke(self, instance: Instance) -> None:
        self.double.keys.discard(self.key(instance))

    def limit(self, instance: Instance, *, seconds: int) -> None:
        self.session(instance).faults.append(Fault(status=429, retry_after=seconds, said="Too Many Requests"))

    def deliver_new(self, instance: Instance) -> None:
        """Deliver the events of the session that were not delivered yet, in order."""
        session = self.session(instance)
        events = session.events[self.delivered.get(instance.number, 0) :]
        self.delivered[instance.number] = len(session.events)
        for event in events:
            self.deliver(instance, event)

    def deliver(self, instance: Instance, event: dict[str, Any]) -> None:
        """Check, read and record an event with its files, as the web server and a receiver do."""
        link = CHANNEL.link(instance)
        request = callback_of(event, link.credentials[HMAC_KEY])
        checked = CHANNEL.check_callback(link, request)
        assert isinstance(checked, Store), checked
        events = CHANNEL.read_callback(link, request)
        files: dict[str, StoredMedia | str] = {}
        for wanted in wanted_files(instance, events):
            with asyncio.run(fetch(link, wanted.media)).content as content:
                files[wanted.media.reference] = store_media(
                    instance, content=content, filename=wanted.filename
                )
        with transaction.atomic():
            recorded = record_events(instance, events, is_patient=False, files=files)
            assert not recorded.refused, recorded.refused


async def fetch(link: Link, media: Media) -> FetchedFile:
    network = LoopNetwork()
    try:
        return await CHANNEL.fetch(link, media, network)
    finally:
        network.close()


class Pusher:
    """Implements PushingMessenger: what WAHA sends to one session's callback URL."""

    def __init__(self) -> None:
        server = Waha()
        server.server.server_close()  # it is only asked for events
        self.session = server.add_session("a-session")
        self.credentials: Mapping[str, str] = credentials_of(self.session, "an-api-key")
        self.options = {URL: server.url, SESSION: self.session.name}

    def callback(self, *, key: str, body: str) -> CallbackRequest:
        message = self.session.message("17680561234@c.us", body, key=key, timestamp=1_700_000_000)
        event = self.session.event("message.any", message)
        event |= {"id": f"evt_{key}", "timestamp": 1_700_000_000_000}  # of the same event, the same
        return callback_of(event, self.credentials[HMAC_KEY])

    def handshake(self) -> tuple[CallbackRequest, str] | None:
        return None


class Writer:
    """Implements ReceivingMessenger: a session whose events are lost, so that its history is read."""

    def __init__(self, double: Waha) -> None:
        self.double, self.session = double, double.add_session("a-session")
        self.session.is_offline = True
        self.credentials: Mapping[str, str] = credentials_of(self.session, double.api_key)
        self.options = {URL: double.url, SESSION: self.session.name}
        self.second = int(time.time())

    def write(self, *, key: str, body: str) -> None:
        self.second += 1
        self.session.write("17680561234@c.us", body, key=key, timestamp=self.second)
        self.session.stumbles = 1

    def revoke(self) -> None:
        self.double.keys.clear()


@contextlib.contextmanager
def writer() -> Iterator[Writer]:
    """A session at a double; the pauses between two looks are short."""
    pauses = mock.patch.multiple(history, POLL_SECONDS=0.1, BUSY_SECONDS=0.05)
    with Waha() as double, pauses:
        yield Writer(double)
