"""The channel of XMPP: channels.base.Channel, Receiving, Linkable and HasMedia, by the modules of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from accounts.models import User
from hooks.http import Response
from instances.actions.channel_links import take_session_back, unlink_account
from instances.channels.base import Button, Can, CannotDo
from instances.channels.last_received import last_received_id
from instances.channels.linking import NOTHING_SAVED, Found, LinkSetup
from instances.channels.media import FetchedFile
from instances.channels.receiving import Batch, Network
from instances.channels.remote import RemoteChannel
from instances.channels.requests import Limits, Link, MessageToSend, Prepared, Refused, Request, Result
from instances.channels.xmpp import account, commands, media, receiving, sending
from instances.commands import (
    AddParticipant,
    Command,
    CreateGroup,
    LeaveGroup,
    MessengerGroup,
    ReadChat,
    RemoveParticipant,
    SetAdmin,
    ShowActivity,
)
from instances.models import ActionType, Instance, MessageType
from instances.received_events import Media, StatusReported


class XmppChannel(RemoteChannel):
    keeps_stream = True
    cannot: Mapping[str, str] = {
        MessageType.CALL_LOG: "Missed calls at XMPP are not reported.",
        Can.HAS_ACCOUNT: "XMPP has no phone numbers.",
        Can.SCAN: "XMPP is linked by a JID and a password, not by a QR code.",
        Button.EXPIRY: "XMPP has no QR code that expires.",
        Button.RETRY: "XMPP has no synchronisation that can be repeated. The connection is retried by itself.",
        Button.REBOOT: "XMPP has nothing to restart here. The server is its own operator's.",
        ActionType.JOIN_GROUP: "XMPP rooms have no invite codes: invite the account, and it enters.",
        ActionType.RECORDING: "XMPP shows that someone is typing, not that they are recording.",
    }

    # Servers limit the bytes that a stream sends, by reading it more slowly.
    limits = Limits(in_flight=20)
    setup: LinkSetup = account.SETUP

    def is_idempotent(self, link: Link) -> bool:
        """After a break, the archive tells which messages the server has got."""
        return account.NO_ARCHIVE not in link.options.get("missing", "")

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        if message.type in self.cannot and not message.deletes:
            return Refused(self.cannot[message.type])
        return sending.prepare(message, link, uploaded)

    def read(self, request: Request, response: Response) -> Result:
        return sending.read(request, response)

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        if command.type in self.cannot:
            raise CannotDo(self.cannot[command.type])
        link = self.link(instance)
        match command:
            case ReadChat():
                last = last_received_id(self, instance, command.chat_id)
                commands.read_chat(instance, link, command, last)
            case ShowActivity():
                commands.show_activity(instance, link, command)
            case CreateGroup():
                return commands.create_group(instance, link, command)
            case AddParticipant():
                commands.add_participant(instance, link, command)
            case RemoveParticipant():
                commands.remove_participant(instance, link, command)
            case SetAdmin():
                commands.set_admin(instance, link, command)
            case LeaveGroup():
                commands.leave(instance, link, command)
        return None

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """Take the session back, or log out: the link is removed, because its password would sign in again."""
        if button in self.cannot:
            raise CannotDo(self.cannot[button])
        if button == Button.TAKEOVER:
            take_session_back(instance, acting_user=acting_user)
        else:
            unlink_account(instance, acting_user=acting_user)

    def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        return receiving.receive(link, cursor, network)

    async def fetch(self, link: Link, found: Media, network: Network) -> FetchedFile:
        return await media.fetch(found, network)

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        return await account.check(values, network)

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        """Nothing: the receiver opens the stream."""

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        return await account.health(link, network)
