"""The channel of WhatsApp Business: Meta's Cloud API, which sends events to the callback URL of each instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from hooks.http import Response
from instances.channels.base import Button, Can, CannotDo
from instances.channels.last_received import last_received_id
from instances.channels.linking import NOTHING_SAVED, Found
from instances.channels.media import FetchedFile
from instances.channels.receiving import CallbackRequest, Network, Reply, Store
from instances.channels.remote import RemoteChannel
from instances.channels.reply_windows import ReplyWindow
from instances.channels.requests import (
    Limits,
    Link,
    MessageToSend,
    Prepared,
    Rate,
    Refused,
    Request,
    Result,
)
from instances.channels.templates import Template
from instances.channels.whatsapp_cloud import (
    callbacks,
    commands,
    files,
    incoming,
    linking,
    listed_templates,
    outgoing,
)
from instances.commands import Command, MessengerGroup, ReadChat, ShowActivity
from instances.models import ActionType, Chat, Instance, MessageType
from instances.received_events import Media, ReceivedEvent, StatusReported


class WhatsAppCloudChannel(RemoteChannel):
    """Implements base.Channel, receiving.Pushing, media.HasMedia, linking.Linkable and Disconnectable of
    instances.channels.
    """

    cannot: Mapping[str, str] = {
        MessageType.CALL_LOG: "WhatsApp's Cloud API does not report missed calls.",
        Can.HAS_ACCOUNT: "WhatsApp's Cloud API does not tell whether a number uses WhatsApp.",
        Can.DELETE: "WhatsApp's Cloud API cannot delete a message that was sent.",
        Can.SCAN: "WhatsApp Business is linked by an access token, not by a QR code.",
        Button.LOGOUT: "WhatsApp Business has no session: remove the link, or revoke the token at Meta.",
        Button.EXPIRY: "WhatsApp Business has no QR code that expires.",
        Button.TAKEOVER: "WhatsApp Business has no session that another browser could take.",
        Button.RETRY: "WhatsApp Business has nothing to synchronise.",
        Button.REBOOT: "WhatsApp Business runs at Meta and cannot be restarted.",
        **dict.fromkeys(
            set(ActionType) - {ActionType.READ_CHAT, ActionType.TYPING},
            "WhatsApp's Cloud API has no groups that an app could manage.",
        ),
        ActionType.RECORDING: "WhatsApp's Cloud API can show that someone types, but not that they record.",
    }

    # 80 messages/s for each number. To one person 45 at once, and then one each 6 s (error 131056). After a kill of the
    # sender, as many messages as were in flight may be sent twice.
    limits = Limits(per_number=Rate(80), per_recipient=Rate(45, 270.0), in_flight=40)
    setup = linking.SETUP
    may_remain = (
        "The app may still be subscribed to the business account, and Meta may still have the callback URL: remove it "
        "in the app's dashboard under WhatsApp, Configuration, Webhook."
    )
    reply_window = ReplyWindow(
        timedelta(hours=24),
        "WhatsApp takes any message to this person; without a new one of theirs, that ends",
        "This person has not written in the last 24 hours: WhatsApp takes only message templates.",
    )

    def is_idempotent(self, link: Link) -> bool:
        return False

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        """Returns the request to `/messages`; before it, if the message has a file, that to `/media`."""
        if message.deletes:
            return Refused(self.cannot[Can.DELETE])
        if message.type in self.cannot:
            return Refused(self.cannot[message.type])
        return outgoing.prepare(message, link, uploaded)

    def read(self, request: Request, response: Response) -> Result:
        """Returns what WhatsApp's response means."""
        return outgoing.read(request, response)

    def is_own_id(self, messenger_id: str) -> bool:
        """Whether it is a WhatsApp message id."""
        return messenger_id.startswith("wamid.")

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """Marks the contact's messages as read, and shows that someone types; WhatsApp marks them as read then too."""
        match command:
            case ReadChat(chat_id):
                commands.mark_read(instance, last_received_id(self, instance, chat_id))
            case ShowActivity(chat_id, Chat.Activity.TYPING, seconds):
                if seconds:
                    commands.mark_read(instance, last_received_id(self, instance, chat_id), is_typing=True)
            case _:
                raise CannotDo(self.cannot[command.type])
        return None

    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        """Completes the challenge of a new callback URL, and checks the signature of events."""
        return callbacks.check(link, request)

    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        """Returns the messages, acks and failures of this number."""
        return incoming.read_body(link, request.body)

    async def fetch(self, link: Link, media: Media, network: Network) -> FetchedFile:
        """Returns a file that a person sent."""
        return await files.fetch(link, media, network)

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        """Returns the number that the values belong to."""
        return await linking.check(values, network)

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        """Subscribes the app to the business account; people enter the callback URL at Meta themselves."""
        await linking.connect(link, network)

    async def disconnect(self, link: Link, network: Network) -> str:
        """Ends the app's subscription; returns that people remove the callback URL at Meta themselves."""
        return await linking.disconnect(link, network)

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        """Returns whether the token is valid."""
        return await linking.health(link, network)

    async def templates(self, link: Link, network: Network) -> Sequence[Template]:
        """Returns the templates of the business account."""
        return await listed_templates.read(link, network)
