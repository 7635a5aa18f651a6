"""The channel for Telegram's bots: its parts in this folder, and what bots cannot do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from hooks import http
from hooks.http import Response
from instances.actions.chats.chats import Denied
from instances.channels.base import Button, Can, CannotDo
from instances.channels.linking import NOTHING_SAVED, Found
from instances.channels.media import FetchedFile
from instances.channels.receiving import Batch, CallbackRequest, GroupLookup, Network, Reply, Store
from instances.channels.remote import RemoteChannel
from instances.channels.requests import (
    Limits,
    Link,
    MessageToSend,
    Prepared,
    Rate,
    Request,
    Result,
)
from instances.channels.responses import json_object
from instances.channels.telegram import (
    administrators,
    api,
    callbacks,
    files,
    linking,
    outgoing,
    polling,
    responses,
)
from instances.channels.telegram.updates import read_update
from instances.commands import Command, LeaveGroup, MessengerGroup, ShowActivity
from instances.models import ActionType, Chat, Instance, MessageType
from instances.received_events import Media, ReceivedEvent, StatusReported

ACTIONS = {Chat.Activity.TYPING: "typing", Chat.Activity.RECORDING: "record_voice"}
NO_SESSION = "A bot has no session to {}: it is linked by its token."
NO_GROUPS = "Telegram bots cannot do this in groups: do it in the Telegram app."


class TelegramChannel(RemoteChannel):
    """Implements channels.base.Channel, Receiving and Pushing (which of the two: linking.is_pushed), LooksUpGroups,
    Linkable and Disconnectable."""

    keeps_stream = False
    cannot: Mapping[str, str] = {
        Can.DELIVERED: "Telegram does not tell bots whether a message was delivered.",
        Can.VIEWED: "Telegram does not tell bots whether a message was read.",
        Can.HAS_ACCOUNT: "A Telegram bot cannot find out whether a phone number uses Telegram.",
        Can.SCAN: "A Telegram bot is linked by its token, without a QR code.",
        Can.TYPED: "A Telegram bot is on no phone: it sends only what this instance sends.",
        MessageType.CALL_LOG: "Telegram bots cannot be called.",
        **{button: NO_SESSION.format(button.label) for button in Button},
        ActionType.CREATE_GROUP: "Telegram bots cannot create groups: create it in the app and add the bot.",
        ActionType.ADD_PARTICIPANT: "Telegram bots cannot add people to groups: send them an invite link.",
        ActionType.REMOVE_PARTICIPANT: NO_GROUPS,
        ActionType.PROMOTE_PARTICIPANT: NO_GROUPS,
        ActionType.DEMOTE_PARTICIPANT: NO_GROUPS,
        ActionType.JOIN_GROUP: "Telegram bots cannot join groups by a link: a member adds them.",
        ActionType.READ_CHAT: "Telegram bots cannot mark messages as read.",
    }

    limits = Limits(per_number=Rate(30), per_recipient=Rate(1), per_group=Rate(20, 60.0), in_flight=30)
    setup = linking.SETUP
    may_remain = "The bot's webhook may still be set; linking the bot again, here or elsewhere, replaces it."

    def is_idempotent(self, link: Link) -> bool:
        return False

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        """Returns the request of the message. Files are in the same request."""
        return outgoing.prepare(message, link)

    def read(self, request: Request, response: Response) -> Result:
        """Returns what the response means."""
        return responses.read(request, response)

    def is_own_id(self, messenger_id: str) -> bool:
        """Whether it is the key of a message of a bot (api.message_key)."""
        return api.KEY.fullmatch(messenger_id) is not None

    def perform(self, instance: Instance, command: Command) -> MessengerGroup | None:
        """Leaves a group, or shows that the bot is typing or recording, for five seconds."""
        match command:
            case LeaveGroup(group_id):
                self.call(instance, "leaveChat", group_id)
            case ShowActivity(chat_id, activity, seconds) if seconds:
                self.call(instance, "sendChatAction", chat_id, action=ACTIONS[activity])
            case ShowActivity():
                pass  # Telegram ends it by itself
            case _:
                raise CannotDo(self.cannot[command.type])
        return None

    def call(self, instance: Instance, method: str, chat_id: str, **arguments: str) -> None:
        """Call a method on a chat. Raises Denied with Telegram's words."""
        chat = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
        native = (chat.messenger_chat_id if chat else "") or api.native_chat(chat_id)
        request = api.call(self.link(instance), method, {"chat_id": native, **arguments})
        response = http.send(request.method, request.url, request.headers.items(), request.body)
        found = json_object(response)
        if found.get("ok") is not True:
            raise Denied(api.explain(found) or "Telegram cannot be reached at the moment.")

    # -- receiving

    def is_pushed(self) -> bool:
        """Returns whether Telegram can reach this site: then it pushes, otherwise it is polled."""
        return linking.is_pushed()

    def receive(self, link: Link, cursor: str, network: Network) -> AsyncIterator[Batch]:
        return polling.receive(link, cursor, network)

    def check_callback(self, link: Link, request: CallbackRequest) -> Store | Reply:
        return callbacks.check(link, request)

    def read_callback(self, link: Link, request: CallbackRequest) -> Sequence[ReceivedEvent]:
        update = callbacks.update_in(request)
        return read_update(update, api.bot_of(link)) if update is not None else []

    async def fetch(self, link: Link, media: Media, network: Network) -> FetchedFile:
        return await files.fetch(link, media, network)

    def lookups(self, events: Sequence[ReceivedEvent]) -> Sequence[GroupLookup]:
        return administrators.lookups(events)

    async def look_up(self, link: Link, lookup: GroupLookup, network: Network) -> Sequence[ReceivedEvent]:
        return await administrators.look_up(link, lookup, network)

    # -- linking

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        return await linking.check(values, network)

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        await linking.connect(link, callback_url, network)

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        return await linking.health(link, network)

    async def disconnect(self, link: Link, network: Network) -> str:
        return await linking.disconnect(link, network)
