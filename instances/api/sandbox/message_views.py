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

from instances.actions.media import NoSpace, store_given_media
from instances.actions.message_lookup import UnknownMessage, quote
from instances.api import schema
from instances.api.errors import Conflict, InsufficientStorage
from instances.api.parsing import BoundedJSONParser
from instances.api.sandbox.message_serializers import (
    MessageSerializer,
    NewCallSerializer,
    NewPhoneMessageFormSerializer,
    NewPhoneMessageSerializer,
    NewReceiptSerializer,
    NewSandboxMessageFormSerializer,
    NewSandboxMessageSerializer,
    ReceiptSerializer,
)
from instances.api.sandbox.requests import failures_as_409, get_sandbox, message_json, validate
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


FILE_EXAMPLE = OpenApiExample(
    "An image",
    value={
        "from": "17680561234",
        "file": "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=",
        "filename": "dot.gif",
        "caption": "look",
    },
    request_only=True,
)


def read_content(instance: Instance, given: dict[str, Any]) -> dict[str, Any]:
    """The action's arguments for a message validated by ContentSerializer. Stores its file; no transaction is open."""
    try:
        quoted = quote(instance, given["quotedMsgId"]) if given["quotedMsgId"] else None
    except UnknownMessage as error:
        raise exceptions.ValidationError({"quotedMsgId": str(error)}) from None
    media = store_file(instance, given)
    return {
        "type": given.get("type") or (choose_message_type(media.content_type) if media else MessageType.CHAT),
        "body": given["body"],
        "media": media,
        "caption": given["caption"],
        "quoted": quoted,
        "forwarded": given["isForwarded"],
        "time": None if given["time"] is None else datetime.fromtimestamp(given["time"], UTC),
    }


def store_file(instance: Instance, given: dict[str, Any]) -> Media | None:
    """Stores the file of a message. None if it has no file."""
    file = given.get("file")
    if file is None:
        return None
    name = given["filename"] or file_name(file)
    try:
        return store_given_media(instance, file, filename=name)
    except NoSpace as error:
        raise InsufficientStorage(f"The file was not stored: {error}") from None
    except WrongFile as error:
        raise exceptions.ValidationError({"file": f"Was not accepted: {error}"}) from None


def file_name(file: UploadedFile | str) -> str:
    """The name of a file. Empty for a data: URI, which gets a name from its content type."""
    if isinstance(file, UploadedFile):
        return file.name or ""
    if file[:5].lower() == "data:":
        return ""
    try:
        return PurePosixPath(unquote(urlsplit(file).path)).name
    except ValueError:
        return ""


class MessageView(APIView):
    finds_own_instance = True  # by the statement that finds the key
    parser_classes = PARSERS

    @extend_schema(
        tags=["Sandbox"],
        operation_id="receiveSandboxMessage",
        summary="Send a message as a contact",
        description="The instance receives the message as from a real messenger: it gets its `messageNumber` and its "
        "hook. An instance that is not paid receives it too; its hook is skipped. Send files as "
        "`multipart/form-data` in the field `file`, or in JSON as a `data:` URI or a URL.",
        parameters=[schema.INSTANCE_ID],
        request={
            "application/json": NewSandboxMessageSerializer,
            "multipart/form-data": NewSandboxMessageFormSerializer,
        },
        responses={201: MessageSerializer, **schema.error_responses(400, 404, 409, 507)},
        examples=[
            OpenApiExample(
                "A text",
                value={"from": "17680561234", "name": "Ann", "type": "chat", "body": "hello"},
                request_only=True,
            ),
            OpenApiExample(
                "A location",
                value={"from": "17680561234", "type": "location", "body": "52.5200;13.4050"},
                request_only=True,
            ),
            FILE_EXAMPLE,
            OpenApiExample(
                "The received message", value=schema.MESSAGE, response_only=True, status_codes=["201"]
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_sandbox(request, id)
        given = validate(NewSandboxMessageSerializer(data=request.data))
        content = read_content(instance, given)
        with failures_as_409(instance):
            message = write_as_contact(
                instance,
                sender=given["from"],
                sender_name=given["name"],
                chat_id=given["chatId"],
                is_loaded=content["media"] is None,  # fetching a file takes seconds
                **content,
            )
        return Response(message_json(message), status.HTTP_201_CREATED)


class CallView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="missSandboxCall",
        summary="Make a missed call as a contact",
        description="A missed call is a message of type `call_log`; it has no other hook.",
        parameters=[schema.INSTANCE_ID],
        request=NewCallSerializer,
        responses={201: MessageSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            OpenApiExample("A missed call", value={"from": "17680561234", "name": "Ann"}, request_only=True),
            OpenApiExample(
                "The received message",
                value={**schema.MESSAGE, "type": "call_log", "body": "[Call]"},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_sandbox(request, id)
        given = validate(NewCallSerializer(data=request.data))
        with failures_as_409(instance):
            message = write_as_contact(
                instance, sender=given["from"], sender_name=given["name"], type=MessageType.CALL_LOG
            )
        return Response(message_json(message), status.HTTP_201_CREATED)


class PhoneMessageView(APIView):
    parser_classes = PARSERS

    @extend_schema(
        tags=["Sandbox"],
        operation_id="typeOnSandboxPhone",
        summary="Type a message on the instance's own phone",
        description="Its `self` is 0: the message sends a hook, but its acks never do; the log shows them as skipped.",
        parameters=[schema.INSTANCE_ID],
        request={
            "application/json": NewPhoneMessageSerializer,
            "multipart/form-data": NewPhoneMessageFormSerializer,
        },
        responses={201: MessageSerializer, **schema.error_responses(400, 404, 409, 507)},
        examples=[
            OpenApiExample(
                "A text",
                value={"chatId": "17680561234@c.us", "body": "typed on the phone"},
                request_only=True,
            ),
            OpenApiExample(
                "The typed message",
                value={
                    **schema.MESSAGE,
                    "id": "true_17680561234@c.us_957AD66BAFF57D1D3EB0957AD66B3EB0",
                    "body": "typed on the phone",
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
        instance = get_sandbox(request, id)
        given = validate(NewPhoneMessageSerializer(data=request.data))
        content = read_content(instance, given)
        with failures_as_409(instance):
            message = type_on_sandbox_phone(instance, chat_id=given["chatId"], **content)
        return Response(message_json(message), status.HTTP_201_CREATED)


class ReceiptView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="recordSandboxReceipt",
        summary="Receive or read a message as a contact",
        description="Creates the ack of a message that the instance has sent, whatever the contact's configured "
        "behaviour. A status never goes back; if it does not change, `changed` is false and there is no event.",
        parameters=[schema.INSTANCE_ID],
        request=NewReceiptSerializer,
        responses={200: ReceiptSerializer, **schema.error_responses(400, 404, 409)},
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
        instance = get_sandbox(request, id)
        given = validate(NewReceiptSerializer(data=request.data))
        message_id = given["messageId"]
        if instance.outgoing.waiting().filter(message_id=message_id).exists():
            raise Conflict(
                "The message is still in the instance's queue, so no contact can have received it."
            )
        ack = Ack.of_status(given["status"])
        try:
            message, changed = acknowledge_as_contact(
                instance, message_id=message_id, ack=ack, contact=given["from"]
            )
        except UnknownMessage as error:
            raise exceptions.ValidationError({"messageId": str(error)}) from None
        return Response({"messageId": message_id, "status": message.get_ack_display(), "changed": changed})
