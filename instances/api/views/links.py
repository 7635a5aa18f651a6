"""The channels, and the account at a messenger that an instance is linked to."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from instances import chat_ids
from instances.actions.channel_links import unlink_account
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.scopes import key_of
from instances.api.serializers.links import (
    ChannelSerializer,
    LinkSerializer,
    LinkValuesSerializer,
    PairingCodeSerializer,
    PairingPhoneSerializer,
    channel_data,
    link_data,
)
from instances.api.views.delivery import get_own_instance
from instances.channels import offered_channels
from instances.channels.base import CannotDo
from instances.channels.linking import NotLinkable
from instances.limits import manual_request_limit
from instances.models import Instance
from instances.receiving.linking import link_account
from instances.receiving.links import linkable_channel
from instances.receiving.pairing import get_pairing_code
from instances.receiving.unlinking import ending_links

CHANNEL = {
    "name": "telegram",
    "title": "Telegram bot",
    "summary": "Links a bot by the token that BotFather gave you.",
    "fields": [
        {
            "name": "token",
            "label": "bot token",
            "help": "BotFather sends it after /newbot.",
            "secret": True,
            "required": True,
            "pattern": "[0-9]+:[A-Za-z0-9_-]{30,}",
            "default": "",
        }
    ],
    "needs": ["A Telegram account."],
    "steps": ["Write /newbot to @BotFather and follow its questions.", "Copy the token that it sends."],
    "callbackSteps": [],
    "facts": ["A person has to write to the bot first."],
    "cannot": {"delivered": "Telegram does not tell bots when a message was delivered."},
}
LINK = {
    "channel": "telegram",
    "linked": True,
    "account": "@shop_bot",
    "externalId": "1234567890",
    "options": {},
    "callbackUrl": "https://chat.example.com/channels/telegram/kC2mVq4tFz9wXb1nLd7sRy3uHa5eJ0gP",
    "changedAt": "2030-01-01T09:00:00Z",
    "lostAt": None,
    "lostReason": "",
    "notice": "",
}
UNLINKED = LINK | {
    "linked": False,
    "account": "",
    "externalId": "",
    "callbackUrl": None,
    "changedAt": None,
}
EXAMPLE = OpenApiExample("A Telegram bot", value=LINK, response_only=True)


class ChannelsView(APIView):
    @extend_schema(
        tags=["Instances"],
        operation_id="listChannels",
        summary="List the channels",
        description="The kinds of links that an instance can have, and what each needs.",
        responses={200: ChannelSerializer(many=True), **schema.error_responses()},
        examples=[OpenApiExample("A channel", value=CHANNEL, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        return Response([channel_data(name, label) for name, label in offered_channels()])


def get_linkable_instance(request: Request, number: str) -> Instance:
    """Returns the instance. Raises Conflict if its channel is not linked by values."""
    instance = get_own_instance(request, number)
    if linkable_channel(instance.channel) is None:
        raise Conflict(f"An instance of the channel `{instance.channel}` is not linked by values.")
    return instance


class LinkView(APIView):
    @extend_schema(
        tags=["Instances"],
        operation_id="readLink",
        summary="Read an instance's link",
        description="The account at the messenger that the instance is linked to, without its secrets.",
        parameters=[schema.INSTANCE_ID],
        responses={200: LinkSerializer, **schema.error_responses(404)},
        examples=[EXAMPLE],
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(link_data(get_own_instance(request, id), key=key_of(request)))

    @extend_schema(
        tags=["Instances"],
        operation_id="linkAccount",
        summary="Link an account, or change its credentials",
        description="The values are checked at the messenger, saved and connected, which takes up to 30 seconds. The "
        "instance is `authenticated` then. If the messenger refuses them, nothing changes; if only connecting fails, "
        "they are saved, and the instance is `init`. 409 for a channel that is not linked by values.",
        parameters=[schema.INSTANCE_ID],
        request=LinkValuesSerializer,
        responses={200: LinkSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            EXAMPLE,
            OpenApiExample(
                "A bot's token",
                value={"values": {"token": "1234567890:AAF-abcdefghijklmnopqrstuvwxyz01234"}},
                request_only=True,
            ),
        ],
    )
    def put(self, request: Request, id: str) -> Response:
        instance = get_linkable_instance(request, id)
        body = LinkValuesSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user = current_user(request)
        try:
            with ending_links(instance, acting_user=user) as notice, manual_request_limit.place(user):
                link_account(instance, body.given, acting_user=user)
        except NotLinkable as refused:
            if not refused.field:
                raise exceptions.ParseError(refused.sentence) from None
            raise exceptions.ValidationError({f"values.{refused.field}": refused.sentence}) from None
        except manual_request_limit.TooMany as error:
            raise Conflict(str(error)) from None
        return Response(link_data(get_own_instance(request, id), key=key_of(request), notice=notice.text))

    @extend_schema(
        tags=["Instances"],
        operation_id="unlinkAccount",
        summary="Unlink the account",
        description="Its credentials are deleted, and the callback URL is invalid. Messages wait in the queue until an "
        "account is linked again. The messenger is informed, which takes up to 15 seconds; `notice` says what may be "
        "left there. If none is linked, nothing changes.",
        parameters=[schema.INSTANCE_ID],
        request=None,
        responses={200: LinkSerializer, **schema.error_responses(404, 409)},
        examples=[OpenApiExample("Unlinked", value=UNLINKED, response_only=True)],
    )
    def delete(self, request: Request, id: str) -> Response:
        instance, user = get_linkable_instance(request, id), current_user(request)
        with ending_links(instance, acting_user=user) as notice:
            unlink_account(instance, acting_user=user)
        return Response(link_data(get_own_instance(request, id), key=key_of(request), notice=notice.text))


class PairingCodeView(APIView):
    @extend_schema(
        tags=["Instances"],
        operation_id="getPairingCode",
        summary="Get a code that links a phone",
        description="For a phone that cannot scan the QR code: enter the code on it. The messenger makes a new one at "
        "each call. 409 if the instance's channel has no such codes, or the messenger has none now, as when the "
        "instance does not show a QR code.",
        parameters=[schema.INSTANCE_ID],
        request=PairingPhoneSerializer,
        responses={200: PairingCodeSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            OpenApiExample("A phone", value={"phone": "15550001111"}, request_only=True),
            OpenApiExample("A code", value={"code": "ABCD-1234"}, response_only=True),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        body = PairingPhoneSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            code = get_pairing_code(instance, body.validated_data["phone"], acting_user=current_user(request))
        except chat_ids.BadChatId as error:
            raise exceptions.ValidationError({"phone": str(error)}) from None
        except CannotDo as error:
            raise Conflict(str(error)) from None
        return Response({"code": code})
