"""Matrix for the conformance tests: accounts at the double, and Ann, who writes to them in a direct room."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from instances.actions.channel_links import save_link
from instances.actions.media import store_media
from instances.actions.received import record_events
from instances.actions.status import change_status
from instances.channels import channel_of
from instances.channels.matrix.channel import MatrixChannel
from instances.channels.media import FetchedFile
from instances.channels.receiving import LinkLost
from instances.channels.requests import Link
from instances.models import AccountStatus, Instance, Message
from instances.received_events import MessageReceived, MessageTyped, ReceivedEvent
from instances.receiving.network import LoopNetwork
from tests.doubles.matrix import SERVER, Account, MatrixDouble
from tests.instances.channels.pure_checks import People

ROOM, ANN = f"!ann:{SERVER}", f"@ann:{SERVER}"
MSGTYPES = {
    "image": "m.image",
    "video": "m.video",
    "audio": "m.audio",
    "ptt": "m.audio",
    "document": "m.file",
}


def said(type: str, body: str, uri: str) -> dict[str, Any]:
    """Returns the content of a message as Ann's client would make it."""
    if type == "location":
        return {"msgtype": "m.location", "body": "here", "geo_uri": f"geo:{body.replace(';', ',')}"}
    if type == "sticker":
        return {"body": "a sticker", "url": uri, "info": {}}
    if type in MSGTYPES:
        voice: dict[str, Any] = {"org.matrix.msc3245.voice": {}} if type == "ptt" else {}
        return {"msgtype": MSGTYPES[type], "body": f"{type}.bin", "url": uri, "info": {}, **voice}
    return {"msgtype": "m.text", "body": body}


def written(content: Mapping[str, Any]) -> str:
    """Returns the body of a message of the wire contract that has this content."""
    if "geo_uri" in content:
        return str(content["geo_uri"]).removeprefix("geo:").replace(",", ";")
    return str(content["body"]).partition("\n")[0]  # a caption follows a link


class MatrixMessenger:
    """Implements NetworkMessenger. The homeserver is started when it is first used, and ends with the process."""

    people = People(
        ann=f"matrix:{ROOM}@c.us",
        ben=f"matrix:!ben:{SERVER}@c.us",
        group=f"matrix:!group:{SERVER}@g.us",
        message="$event",
        author=f"matrix:{ANN}@c.us",
    )

    def __init__(self) -> None:
        self.started: MatrixDouble | None = None
        self.cursors: dict[int, str] = {}

    @property
    def double(self) -> MatrixDouble:
        if self.started is None:
            self.started = MatrixDouble().__enter__()
        return self.started

    def account(self, instance: Instance) -> Account:
        return self.double.account(f"bot{instance.pk}")

    def link(self, instance: Instance) -> None:
        account = self.account(instance)
        self.cursors.setdefault(instance.pk, f"s{len(account.events)}")
        save_link(
            instance,
            credentials={"access_token": account.token},
            external_id=account.user,
            options={"base_url": self.double.url},
            own_chat_id=f"matrix:{account.user}@c.us",
            acting_user=None,
        )
        change_status(instance, account_status=AccountStatus.AUTHENTICATED)

    def log_out(self, instance: Instance) -> None:
        self.double.revoke(self.account(instance))
        self.deliver(instance)

    def write(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        account = self.account(instance)
        uri = self.double.upload(account, b"%PDF-1.4 a file of Ann")
        kind = "m.sticker" if type == "sticker" else "m.room.message"
        content = said(type, body, uri)
        self.double.write(account, ROOM, content, sender=ANN, name=name, key=key, type=kind)
        self.deliver(instance)

    def type_on_phone(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        account = self.account(instance)
        self.double.write(account, ROOM, said("chat", body, ""), sender=account.user, key=key)
        self.deliver(instance)

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        event = Message.objects.get(instance=instance, message_id=message_id).messenger_id
        self.double.read(self.account(instance), ROOM, event, reader=ANN)
        self.deliver(instance)

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        sent = self.account(instance).sent.values()
        return [written(each["content"]) for each in sent if each["room"] == ROOM and each["content"]]

    def received_files(self, instance: Instance) -> list[int]:
        account = self.account(instance)
        sent = [each["content"].get("url") for each in account.sent.values()]
        return [len(account.files[uri]) for uri in sent if uri]

    def remove_account(self, instance: Instance, phone: str) -> None:
        raise AssertionError("Matrix has no phone numbers")

    def revoke(self, instance: Instance) -> None:
        self.double.revoke(self.account(instance))

    def limit(self, instance: Instance, *, seconds: int) -> None:
        self.account(instance).retry_after = seconds

    def deliver(self, instance: Instance) -> None:
        """Receive and record what has happened, as a receiver does."""
        channel = channel_of(instance)
        assert isinstance(channel, MatrixChannel)
        try:
            events, fetched = asyncio.run(self.poll(channel, channel.link(instance), instance.pk))
        except LinkLost:
            change_status(instance, account_status=AccountStatus.INIT)
            return
        files = {
            reference: store_media(instance, content=file.content, filename="file.pdf")
            for reference, file in fetched.items()
        }
        assert not record_events(instance, events, is_patient=False, files=files).refused

    async def poll(
        self, channel: MatrixChannel, link: Link, key: int
    ) -> tuple[list[ReceivedEvent], dict[str, FetchedFile]]:
        """Returns the next events with their files."""
        network, found = LoopNetwork(), list[ReceivedEvent]()
        try:
            batches: Any = channel.receive(link, self.cursors[key], network)
            async with contextlib.aclosing(batches):
                async for batch in batches:
                    found += batch.events
                    if batch.cursor != self.cursors[key]:
                        break
            self.cursors[key] = batch.cursor
            wanted = [
                event.media
                for event in found
                if isinstance(event, MessageReceived | MessageTyped) and event.media
            ]
            return found, {media.reference: await channel.fetch(link, media, network) for media in wanted}
        finally:
            network.close()


class Writer:
    """Implements ReceivingMessenger: an account that Ann writes to."""

    def __init__(self, double: MatrixDouble) -> None:
        self.double, self.account = double, double.account("bot")
        self.credentials: Mapping[str, str] = {"access_token": self.account.token}
        self.external_id = self.account.user
        self.options: Mapping[str, str] = {"base_url": double.url, "since": "s0"}

    def write(self, *, key: str, body: str) -> None:
        self.double.write(self.account, ROOM, said("chat", body, ""), sender=ANN, name="Ann", key=key)

    def revoke(self) -> None:
        self.double.revoke(self.account)
