"""Contacts write, call and read; the instance's own phone writes. The events are real."""

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances.actions.media import take_media
from instances.actions.message_lookup import UnknownMessage, quote
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.parsing import BoundedJSONParser
from instances.api.sandbox.message_serializers import (
    MessageSerializer,
    NewCallSerializer,
    NewPhoneMessageSerializer,
    NewReceiptSerializer,
    NewSandboxMessageSerializer,
    ReceiptSerializer,
)
from instances.api.sandbox.requests import checked, in_words, sandbox, shown
from instances.channels.sandbox.actions.contacts import write_as_contact
from instances.channels.sandbox.actions.phone import type_on_sandbox_phone
from instances.channels.sandbox.actions.receipts import acknowledge_as_contact
from instances.media.kinds import WrongFile, choose_message_type
from instances.models import (
    Ack,
    Instance,
    Media,
    MessageType,
)

PARSERS = (BoundedJSONParser, MultiPartParser)


A_FILE = OpenApiExample(
    "A picture",
    value={
        "from": "17680561234",
        "file": "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=",
        "filename": "dot.gif",
        "caption": "look",
    },
    request_only=True,
)


def content_of(instance: Instance, given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a message that ContentSerializer has checked, its file stored. No transaction is open."""
    try:
        quoted = quote(instance, given["quotedMsgId"]) if given["quotedMsgId"] else None
    except UnknownMessage as error:
        raise exceptions.ValidationError({"quotedMsgId": str(error)}) from None
    media = stored(instance, given)
    return {
        "type": given.get("type") or (choose_message_type(media.content_type) if media else MessageType.CHAT),
        "body": given["body"],
        "media": media,
        "caption": given["caption"],
        "quoted": quoted,
        "forwarded": given["isForwarded"],
        "time": None if given["time"] is None else datetime.fromtimestamp(given["time"], UTC),
    }


def stored(instance: Instance, given: dict[str, Any]) -> Media | None:
    """The file that came with a message, if one did."""
    file = given.get("file")
    if file is None:
        return None
    name = given["filename"] or name_of(file)
    try:
        return take_media(instance, file, filename=name)
    except WrongFile as error:
        raise exceptions.ValidationError({"file": f"It was not taken: {error}"}) from None


def name_of(file: UploadedFile | str) -> str:
    """The name that a file brings with it; "" for a data: URI, which gets one by its type."""
    if isinstance(file, UploadedFile):
        return file.name or ""
    if file[:5].lower() == "data:":
        return ""
    try:
        return PurePosixPath(unquote(urlsplit(file).path)).name
    except ValueError:
        return ""


class MessageView(APIView):
    parser_classes = PARSERS

    @extend_schema(
        tags=["Sandbox"],
        operation_id="receiveSandboxMessage",
        summary="A contact writes to the instance",
        description="The message is received as from a real messenger: it gets its `messageNumber` and its hook. "
        "On an instance that is not paid it is received too; its hook is skipped. Files come as `multipart/form-data` "
        "in the field `file`, or in JSON as a `data:` URI or an address.",
        parameters=[schema.INSTANCE_ID],
        request={
            "application/json": NewSandboxMessageSerializer,
            "multipart/form-data": NewSandboxMessageSerializer,
        },
        responses={201: MessageSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample(
                "A text",
                value={"from": "17680561234", "name": "Ann", "type": "chat", "body": "hello"},
                request_only=True,
            ),
            OpenApiExample(
                "A place",
                value={"from": "17680561234", "type": "location", "body": "52.5200;13.4050"},
                request_only=True,
            ),
            A_FILE,
            OpenApiExample(
                "As it was received", value=schema.MESSAGE, response_only=True, status_codes=["201"]
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewSandboxMessageSerializer(data=request.data))
        content = content_of(instance, given)
        with in_words(instance):
            message = write_as_contact(
                instance, sender=given["from"], sender_name=given["name"], chat_id=given["chatId"], **content
            )
        return Response(shown(message), status.HTTP_201_CREATED)


class CallView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="missSandboxCall",
        summary="A contact calls, and nobody takes it",
        description="A missed call is a message of type `call_log`; there is no other hook for it.",
        parameters=[schema.INSTANCE_ID],
        request=NewCallSerializer,
        responses={201: MessageSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample("A call", value={"from": "17680561234", "name": "Ann"}, request_only=True),
            OpenApiExample(
                "As it was received",
                value={**schema.MESSAGE, "type": "call_log", "body": "[Call]"},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewCallSerializer(data=request.data))
        with in_words(instance):
            message = write_as_contact(
                instance, sender=given["from"], sender_name=given["name"], type=MessageType.CALL_LOG
            )
        return Response(shown(message), status.HTTP_201_CREATED)


class PhoneMessageView(APIView):
    parser_classes = PARSERS

    @extend_schema(
        tags=["Sandbox"],
        operation_id="typeOnSandboxPhone",
        summary="Somebody writes on the instance's own phone",
        description="By hand, so `self` is 0: the message is hooked, and no ack of it ever is; the log keeps those as "
        "skipped.",
        parameters=[schema.INSTANCE_ID],
        request={
            "application/json": NewPhoneMessageSerializer,
            "multipart/form-data": NewPhoneMessageSerializer,
        },
        responses={201: MessageSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample(
                "A text", value={"chatId": "17680561234@c.us", "body": "by hand"}, request_only=True
            ),
            OpenApiExample(
                "As it was written",
                value={
                    **schema.MESSAGE,
                    "id": "true_17680561234@c.us_957AD66BAFF57D1D3EB0957AD66B3EB0",
                    "body": "by hand",
                    "fromMe": True,
                    "author": "15550001234@c.us",
                    "senderName": "15550001234",
                    "ack": 2,
                },
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewPhoneMessageSerializer(data=request.data))
        content = content_of(instance, given)
        with in_words(instance):
            message = type_on_sandbox_phone(instance, chat_id=given["chatId"], **content)
        return Response(shown(message), status.HTTP_201_CREATED)


class ReceiptView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="recordSandboxReceipt",
        summary="A contact gets or reads a message",
        description="Makes the ack of a message that the instance has sent, whatever the contact's mind is. A status "
        "never goes back, and the same one twice is no event: `changed` is false then.",
        parameters=[schema.INSTANCE_ID],
        request=NewReceiptSerializer,
        responses={200: ReceiptSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample(
                "Viewed",
                value={"messageId": "true_17680561234@c.us_3EB0957AD66BAFF57D1D", "status": "viewed"},
                request_only=True,
            ),
            OpenApiExample(
                "Recorded",
                value={
                    "messageId": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
                    "status": "viewed",
                    "changed": True,
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewReceiptSerializer(data=request.data))
        message_id = given["messageId"]
        if instance.outgoing.filter(message_id=message_id).exists():
            raise Conflict("The message still waits in the instance's queue; nobody can have got it yet.")
        ack = {ack.label: ack for ack in Ack}[given["status"]]
        try:
            message, changed = acknowledge_as_contact(
                instance, message_id=message_id, ack=ack, contact=given["from"]
            )
        except UnknownMessage as error:
            raise exceptions.ValidationError({"messageId": str(error)}) from None
        return Response({"messageId": message_id, "status": message.get_ack_display(), "changed": changed})
