"""The channel of Matrix, by this folder's modules: channels.base.Channel, Receiving, Disconnectable and HasMedia."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from accounts.models import User
from hooks.http import Response
from instances.actions.chats.chats import Denied
from instances.actions.status import change_status
from instances.channels.base import Button, Can, CannotDo
from instances.channels.last_received import last_received_id
from instances.channels.linking import NOTHING_SAVED, Found, LinkSetup
from instances.channels.matrix import account, commands, media, receiving, sending
from instances.channels.media import FetchedFile
from instances.channels.receiving import Batch, Network
from instances.channels.remote import RemoteChannel
from instances.channels.requests import (
    Limits,
    Link,
    MessageToSend,
    Prepared,
    Refused,
    Request,
    Result,
)
from instances.commands import Command, LeaveGroup, MessengerGroup, ReadChat, ShowActivity
from instances.models import (
    AccountStatus,
    ActionType,
    Instance,
    MessageType,
)
from instances.received_events import Media, StatusReported

NO_GROUPS = "Groups are rooms that people manage in a Matrix client: invite the account there."


class MatrixChannel(RemoteChannel):
    keeps_stream = False
    cannot: Mapping[str, str] = {
        MessageType.VCARD: "Matrix has no contact cards. Send the number as text, or the card as a document.",
        MessageType.CALL_LOG: "Missed calls at Matrix are not reported.",
        Can.DELIVERED: "Matrix reports when a message was read, not when it was delivered.",
        Can.HAS_ACCOUNT: "Matrix has no phone numbers.",
        Can.SCAN: "Matrix is linked by a user id and a password or an access token, not by a QR code.",
        Button.EXPIRY: "Matrix has no QR code that expires.",
        Button.TAKEOVER: "A Matrix account may have any number of sessions.",
        Button.RETRY: "Matrix has no synchronisation that can be repeated. The connection is retried by itself.",
        Button.REBOOT: "Matrix has nothing to restart here. The homeserver is its own operator's.",
        ActionType.CREATE_GROUP: NO_GROUPS,
        ActionType.ADD_PARTICIPANT: NO_GROUPS,
        ActionType.REMOVE_PARTICIPANT: NO_GROUPS,
        ActionType.PROMOTE_PARTICIPANT: NO_GROUPS,
        ActionType.DEMOTE_PARTICIPANT: NO_GROUPS,
        ActionType.JOIN_GROUP: "Matrix rooms have no invite codes: invite the account, and it joins.",
        ActionType.RECORDING: "Matrix shows that someone is typing, not that they are recording.",
    }

    # The homeserver says when its own limit is reached. Each request holds a connection of it.
    limits = Limits(in_flight=8)
    setup: LinkSetup = account.SETUP
    may_remain = (
        "Its session may still be open; a Matrix client of the account can end it in its list of sessions."
    )

    def is_idempotent(self, link: Link) -> bool:
        return True

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        if message.type in self.cannot and not message.deletes:
            return Refused(self.cannot[message.type])
        return sending.prepare(message, link, uploaded)

    def read(self, request: Request, response: Response) -> Result:
        return sending.read(request, response)

    def is_own_id(self, messenger_id: str) -> bool:
        """Whether it is the id of an event."""
        return messenger_id.startswith("$")

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        if command.type in self.cannot:
            raise CannotDo(self.cannot[command.type])
        match command:
            case ReadChat():
                last = last_received_id(self, instance, command.chat_id)
                commands.read_chat(instance, self.link(instance), command, last)
            case ShowActivity():
                commands.show_activity(instance, self.link(instance), command)
            case LeaveGroup():
                commands.leave(instance, self.link(instance), command)
        return None

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """Log out: the token becomes invalid. It is reported whether the homeserver still knew the token or not."""
        if button in self.cannot:
            raise CannotDo(self.cannot[button])
        with contextlib.suppress(Denied):
            commands.log_out(self.link(instance))
        change_status(instance, account_status=AccountStatus.INIT, acting_user=acting_user)

    def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        return receiving.receive(link, cursor, network)

    async def fetch(self, link: Link, found: Media, network: Network) -> FetchedFile:
        return await media.fetch(link, found, network)

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        return await account.check(values, network, saved)

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        """Nothing: the homeserver is polled."""

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        return await account.health(link, network)

    async def disconnect(self, link: Link, network: Network) -> str:
        return await account.disconnect(link, network)
