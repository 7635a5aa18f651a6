"""The channel of personal WhatsApp: the parts of this folder, and what a WAHA server cannot do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from accounts.models import User
from hooks.http import Response
from instances.actions.channel_links import forget_account
from instances.actions.session import log_out
from instances.actions.status import change_status
from instances.channels.base import Button, CannotDo
from instances.channels.linking import NOTHING_SAVED, Found
from instances.channels.links import link_of_instance
from instances.channels.media import FetchedFile
from instances.channels.receiving import Batch, CallbackRequest, GroupLookup, Network, Reply, Store
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
from instances.channels.waha import (
    api,
    callbacks,
    commands,
    files,
    history,
    incoming,
    linking,
    outgoing,
    responses,
    second_ids,
)
from instances.commands import Command, MessengerGroup
from instances.models import AccountStatus, Instance, LoadingReason
from instances.received_events import Media, ReceivedEvent, StatusReported


class WahaChannel(RemoteChannel):
    """Implements base.Channel, media.HasMedia, linking.Linkable, Disconnectable and PairsByCode,
    receiving.Pushing, Receiving and LooksUpGroups.

    Events are pushed. What is received besides is the history after a gap.
    """

    keeps_stream = False
    cannot: Mapping[str, str] = {
        Button.TAKEOVER: "WhatsApp serves several linked devices at a time, so there is no session to take back.",
        Button.RETRY: "WAHA synchronises by itself, and cannot be asked to do it again.",
    }

    # WhatsApp has no published limit for a phone; sendDelay sets the pace. A session sends one message after the other.
    limits = Limits(in_flight=4)
    setup = linking.SETUP
    may_remain = linking.MAY_REMAIN

    def is_idempotent(self, link: Link) -> bool:
        return False

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        """Returns the request of the message; before it, for some countries, one that asks for the person's id."""
        if message.type in self.cannot:
            return Refused(self.cannot[message.type])
        return outgoing.prepare(message, link, uploaded)

    def read(self, request: Request, response: Response) -> Result:
        """Returns what the response means."""
        return responses.read(request, response)

    def is_own_id(self, messenger_id: str) -> bool:
        """Whether it is WhatsApp's own id of a message."""
        return api.KEY.fullmatch(messenger_id) is not None

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """Marks chats as read, shows that the account types or records, and manages groups."""
        return commands.perform(instance, self.link(instance), command)

    def has_account(self, instance: Instance, phone: str) -> bool:
        return commands.has_account(self.link(instance), phone)

    def press(self, instance: Instance, button: Button, *, acting_user: User | None = None) -> None:
        """Logs the phone out, restarts the session, or has it make a new code. Events say how it continues.

        The status changes first: the events of the session come while the request is made.
        """
        if button in self.cannot:
            raise CannotDo(self.cannot[button])
        link = link_of_instance(instance)
        if not link.options:
            raise CannotDo(commands.NOT_LINKED)
        match button:
            case Button.LOGOUT:
                log_out(instance, acting_user=acting_user)
                forget_account(instance)
                commands.change_session(link, "logout")
            case Button.EXPIRY | Button.REBOOT:
                change_status(
                    instance,
                    account_status=AccountStatus.LOADING,
                    reason=LoadingReason.CONNECTING,
                    acting_user=acting_user,
                )
                commands.change_session(link, "restart")

    def qr_text(self, instance: Instance) -> str:
        """Asks WAHA for the code that it shows now."""
        return commands.qr_text(self.link(instance))

    def pairing_code(self, instance: Instance, phone: str) -> str:
        return commands.pairing_code(self.link(instance), phone)

    def confirmation_code(self, instance: Instance) -> str:
        return commands.confirmation_code(self.link(instance))

    # -- receiving

    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        return callbacks.check(link, request)

    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        event = callbacks.event_in(request.body)
        return list(incoming.read(event)) if event is not None else []

    def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        return history.receive(link, cursor, network)

    async def fetch(self, link: Link, media: Media, network: Network) -> FetchedFile:
        return await files.fetch(link, media, network)

    def lookups(self, events: Sequence[ReceivedEvent]) -> Sequence[GroupLookup]:
        return second_ids.lookups(events)

    async def look_up(self, link: Link, lookup: GroupLookup, network: Network) -> Sequence[ReceivedEvent]:
        return await second_ids.look_up(link, lookup, network)

    # -- linking

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        return await linking.check(values, network)

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        await linking.connect(link, callback_url, network)

    async def disconnect(self, link: Link, network: Network) -> str:
        return await linking.disconnect(link, network)

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        return await linking.health(link, network)
