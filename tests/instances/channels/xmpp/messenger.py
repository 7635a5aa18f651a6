"""XMPP for the conformance tests: accounts at a real Prosody, and Ann, who writes to them with slixmpp.

The accounts are connected in this process as a receiver connects them: by the channel's `receive`, and a gateway
through which the tests send. What comes is recorded when a method asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import requests

from instances.actions.channel_links import save_link
from instances.actions.media import store_media
from instances.actions.received import record_events
from instances.actions.status import change_status
from instances.channels import channel_of
from instances.channels.media import FetchedFile
from instances.channels.open_streams import StreamReply
from instances.channels.receiving import LinkLost
from instances.channels.requests import Link
from instances.channels.xmpp.channel import XmppChannel
from instances.models import AccountStatus, Instance, Message, ReceiverState
from instances.received_events import ChatViewed, MessageAcked, MessageReceived, MessageTyped, ReceivedEvent
from instances.receiving.network import LoopNetwork
from instances.receiving.stream_gateway import StreamGateway
from tests.instances.channels.pure_checks import People
from tests.servers.prosody import ROOMS, Account, Prosody
from tests.servers.xmpp_client import Client, Loop, Received

SECONDS = 120.0  # for what takes milliseconds
FILES = {
    "image": ("photo.png", "image/png"),
    "video": ("film.mp4", "video/mp4"),
    "audio": ("song.mp3", "audio/mpeg"),
    "ptt": ("recording.ogg", "audio/ogg"),
    "document": ("paper.pdf", "application/pdf"),
    "sticker": ("sticker.png", "image/png"),
}
NICK, OOB, STICKERS = "http://jabber.org/protocol/nick", "jabber:x:oob", "urn:xmpp:stickers:0"
RECEIPTS, MARKERS, RETRACT = "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:message-retract:1"


def written(message: Received) -> str:
    """Returns the body of a message of the wire contract that was sent so."""
    if message.body.startswith("geo:"):
        return message.body.removeprefix("geo:").replace(",", ";")
    return message.body


@dataclass
class Limited:
    """The stream of an account whose server refuses for a limit."""

    seconds: int

    async def call(self, action: str, body: bytes) -> StreamReply:
        return StreamReply(429, b'{"error": "The limit was reached."}', retry_after=self.seconds)


@dataclass
class Connected:
    """An account and its connection. `reported` are the events of each batch, with their files, or what ended it."""

    account: Account
    link: Link | None = None
    cursor: str = ""
    reported: queue.Queue[tuple[list[ReceivedEvent], dict[str, FetchedFile]] | Exception] = field(
        default_factory=queue.Queue
    )
    task: asyncio.Task[None] | None = None


class XmppMessenger:
    """Implements NetworkMessenger. Prosody is started when it is first used, and ends with the process."""

    def __init__(self) -> None:
        self.connected: dict[int, Connected] = {}

    @cached_property
    def prosody(self) -> Prosody:
        folder = Path(tempfile.mkdtemp(prefix="chatapi-prosody-"))
        folder.chmod(0o755)
        return Prosody(folder / "prosody").__enter__()

    @cached_property
    def ann(self) -> Client:
        return Client(self.prosody.register("ann"), gives_receipts=False).__enter__()

    @cached_property
    def room(self) -> str:
        return self.ann.create_room("holidays", "Ann")

    @cached_property
    def loop(self) -> Loop:
        return Loop()

    @cached_property
    def network(self) -> LoopNetwork:
        return LoopNetwork()  # first used in the loop

    @cached_property
    def gateway(self) -> StreamGateway:
        return StreamGateway()

    @cached_property
    def people(self) -> People:
        return People(
            ann=f"xmpp:{self.ann.jid}@c.us",
            ben=f"xmpp:{self.prosody.register('ben').jid}@c.us",
            group=f"xmpp:{self.room}@g.us",
            message="a-random-id-of-a-message",
        )

    # -- the account's connection

    def link(self, instance: Instance) -> None:
        known = self.connected.get(instance.pk) or Connected(self.prosody.register("bot"))
        self.connected[instance.pk] = known
        save_link(
            instance,
            credentials={"password": known.account.password},
            external_id=known.account.jid,
            options={"host": "127.0.0.1", "port": str(self.prosody.port), "rooms": ROOMS},
            own_chat_id=f"xmpp:{known.account.jid}@c.us",
            acting_user=None,
        )
        change_status(instance, account_status=AccountStatus.AUTHENTICATED)
        self.ann.set_affiliation(self.room, known.account.jid, "owner")
        self.loop.run(self.connect(instance, known))
        ReceiverState.objects.filter(instance=instance).update(stream_url=self.gateway.url)

    async def connect(self, instance: Instance, known: Connected) -> None:
        """Open the connection, and wait until it takes messages."""
        if known.task is not None:
            known.task.cancel()
            await asyncio.wait([known.task])
        channel = channel_of(instance)
        assert isinstance(channel, XmppChannel)
        link = Link(
            instance.number,
            f"xmpp:{known.account.jid}@c.us",
            {"password": known.account.password},
            known.account.jid,
            {"host": "127.0.0.1", "port": str(self.prosody.port), "rooms": ROOMS},
        )
        known.link = link
        opened = asyncio.get_running_loop().create_future()
        known.task = asyncio.create_task(self.receive(channel, link, known, opened))
        await asyncio.wait_for(opened, SECONDS)

    async def receive(
        self, channel: XmppChannel, link: Link, known: Connected, opened: asyncio.Future[None]
    ) -> None:
        try:
            batches: Any = channel.receive(link, known.cursor, self.network)
            async with contextlib.aclosing(batches):
                async for batch in batches:
                    known.cursor = batch.cursor
                    wanted = [
                        event.media
                        for event in batch.events
                        if isinstance(event, MessageReceived | MessageTyped) and event.media
                    ]
                    files = {
                        media.reference: await channel.fetch(link, media, self.network) for media in wanted
                    }
                    if batch.events:
                        known.reported.put((list(batch.events), files))
                    if batch.stream is not None:
                        await self.gateway.offer(link.number, batch.stream)
                        if not opened.done():
                            opened.set_result(None)
        except Exception as error:  # noqa: BLE001 - whatever ends it is read by `deliver`
            known.reported.put(error)
            if not opened.done():
                opened.set_exception(error)

    def deliver(self, instance: Instance, kind: type = object) -> None:
        """Record what has come, up to the first event of this kind."""
        known = self.connected[instance.pk]
        while True:
            found = known.reported.get(timeout=SECONDS)
            if isinstance(found, LinkLost):
                change_status(instance, account_status=AccountStatus.INIT)
                return
            if isinstance(found, Exception):
                raise found
            events, fetched = found
            files: Mapping[str, Any] = {
                reference: store_media(instance, content=file.content, filename="file.pdf")
                for reference, file in fetched.items()
            }
            assert not record_events(instance, events, is_patient=False, files=files).refused
            if any(isinstance(event, kind) for event in events):
                return

    # -- what happens at the messenger

    def log_out(self, instance: Instance) -> None:
        """Change the password at the server, and lose the connection."""
        known = self.connected[instance.pk]
        known.account.password += "-new"
        self.prosody.set_password(known.account.user, known.account.password)
        link = known.link
        assert link is not None

        async def lose() -> None:
            assert known.task is not None
            known.task.cancel()
            await asyncio.wait([known.task])
            opened = asyncio.get_running_loop().create_future()
            await self.receive(XmppChannel(), link, known, opened)
            assert isinstance(opened.exception(), LinkLost)

        self.loop.run(lose())
        while not isinstance(known.reported.queue[0], LinkLost):
            known.reported.get()
        self.deliver(instance)

    def write(self, instance: Instance, *, chat_id: str, name: str, type: str, body: str, key: str) -> None:
        jid = self.connected[instance.pk].account.jid
        url = ""
        if type in FILES:
            filename, content_type = FILES[type]
            body = url = self.ann.upload(b"%PDF-1.4 a file of Ann", content_type, filename)
        if type == "location":
            body = f"geo:{body.replace(';', ',')}"
        message = self.ann._message(jid, body, id=key)
        message.xml.append(with_text(f"{{{NICK}}}nick", name))
        if url:
            outside = Element(f"{{{OOB}}}x")
            outside.append(with_text(f"{{{OOB}}}url", url))
            message.xml.append(outside)
        if type == "sticker":
            message.xml.append(Element(f"{{{STICKERS}}}sticker"))
        self.ann._send(message)
        self.deliver(instance, MessageReceived)

    def type_on_phone(self, instance: Instance, *, chat_id: str, body: str, key: str) -> None:
        with Client(self.connected[instance.pk].account) as phone:
            phone.write(self.ann.jid, body, id=key)
            self.deliver(instance, MessageTyped)

    def acknowledge(self, instance: Instance, *, message_id: str, status: str) -> None:
        known = self.connected[instance.pk]
        sent = Message.objects.get(instance=instance, message_id=message_id).messenger_id
        space, name = (RECEIPTS, "received") if status == "delivered" else (MARKERS, "displayed")
        ack = self.ann._message(known.account.jid, "")
        ack.xml.append(Element(f"{{{space}}}{name}", {"id": sent}))
        self.ann._send(ack)
        self.deliver(instance, MessageAcked if status == "delivered" else ChatViewed)

    def from_account(self, instance: Instance) -> list[Received]:
        """Returns what Ann has got from the account, without deletions, after all that the server had for her."""
        self.ann.write_many(self.ann.jid, [])
        sender = f"{self.connected[instance.pk].account.jid}/"
        return [
            message
            for message in list(self.ann.messages)
            if message.sender.startswith(sender) and message.stanza.xml.find(f"{{{RETRACT}}}retract") is None
        ]

    def received(self, instance: Instance, *, chat_id: str) -> list[str]:
        return [written(message) for message in self.from_account(instance)]

    def received_files(self, instance: Instance) -> list[int]:
        urls = [message.url for message in self.from_account(instance) if message.url]
        return [len(requests.get(url, timeout=SECONDS).content) for url in urls]

    def remove_account(self, instance: Instance, phone: str) -> None:
        raise AssertionError("XMPP has no phone numbers")

    def revoke(self, instance: Instance) -> None:
        """The receiver has found out that the password is not valid any more."""
        self.loop.run(self.replace(instance, None))

    def limit(self, instance: Instance, *, seconds: int) -> None:
        self.loop.run(self.replace(instance, Limited(seconds)))

    async def replace(self, instance: Instance, stream: Limited | None) -> None:
        known = self.connected[instance.pk]
        assert known.task is not None
        known.task.cancel()
        await asyncio.wait([known.task])
        del self.gateway.streams[instance.number]
        if stream is None:
            self.gateway.refuse(instance.number, "The server does not accept this JID and password.")
        else:
            await self.gateway.offer(instance.number, stream)


def with_text(tag: str, text: str) -> Element:
    made = Element(tag)
    made.text = text
    return made


MESSENGER = XmppMessenger()


class Writer:
    """Implements ReceivingMessenger: an account that Ann writes to."""

    def __init__(self, messenger: XmppMessenger) -> None:
        self.messenger, self.account = messenger, messenger.prosody.register("bot")
        self.credentials: Mapping[str, str] = {"password": self.account.password}
        self.external_id = self.account.jid
        self.options: Mapping[str, str] = {"host": "127.0.0.1", "port": str(messenger.prosody.port)}

    def write(self, *, key: str, body: str) -> None:
        self.messenger.ann.write(self.account.jid, body, id=key)

    def revoke(self) -> None:
        self.credentials = {"password": "another password"}
