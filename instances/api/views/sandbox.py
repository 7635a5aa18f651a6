"""The sandbox messenger: what its contacts and its phone do is made here, and the events are real."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances import actions, payloads
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.serializers.sandbox import (
    MessageSerializer,
    NewReceiptSerializer,
    NewSandboxMessageSerializer,
    PhoneChangeSerializer,
    PhoneSerializer,
    ReceiptSerializer,
)
from instances.api.views.instances import own_instance
from instances.models import Channel, Instance, Message


def sandbox(request: Request, number: str) -> Instance:
    """The caller's sandbox instance with this number; 404 for any other."""
    visible = Instance.objects.of_account(request.auth).select_related("endpoint")
    return own_instance(visible.filter(channel=Channel.SANDBOX), number)


def checked(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given


class MessageView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="receiveSandboxMessage",
        summary="A contact writes to the instance",
        description="The message is received as from a real messenger: it gets its `messageNumber` and its hook. "
        "On an instance that is not paid it is received too; its hook is skipped.",
        parameters=[schema.INSTANCE_ID],
        request=NewSandboxMessageSerializer,
        responses={201: MessageSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample(
                "A text",
                value={"from": "17680561234", "name": "Ann", "type": "chat", "body": "hello"},
                request_only=True,
            ),
            OpenApiExample(
                "As it was received", value=schema.MESSAGE, response_only=True, status_codes=["201"]
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewSandboxMessageSerializer(data=request.data))
        try:
            quoted = actions.quote(instance, given["quotedMsgId"]) if given["quotedMsgId"] else None
            message = actions.write_as_contact(
                instance,
                sender=given["from"],
                sender_name=given["name"],
                type=given["type"],
                body=given["body"],
                caption=given["caption"],
                chat_id=given["chatId"],
                quoted=quoted,
            )
        except actions.UnknownMessage as error:
            raise exceptions.ValidationError({"quotedMsgId": str(error)}) from None
        except actions.Banned as error:
            raise Conflict(str(error)) from None
        except actions.NotLinked as error:
            raise Conflict(
                f"{error} First "
                f'PATCH /api/v1/instances/{id}/sandbox/phone/ {{"accountStatus":"authenticated"}}.'
            ) from None
        shown = payloads.message_dict(message, chat_id=message.chat.chat_id, chat_name=message.chat.name)
        return Response(shown, status.HTTP_201_CREATED)


class ReceiptView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="recordSandboxReceipt",
        summary="A contact gets or reads a message",
        description="Makes the ack of a message that the instance has sent. A status never goes back, and the same "
        "one twice is no event: `changed` is false then.",
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
    @transaction.atomic
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewReceiptSerializer(data=request.data))
        message_id = given["messageId"]
        if instance.outgoing.filter(message_id=message_id).exists():
            raise Conflict("The message still waits in the instance's queue; nobody can have got it yet.")
        before = (
            Message.objects.filter(instance=instance, message_id=message_id)
            .values_list("ack", flat=True)
            .first()
        )
        try:
            message = actions.record_ack(instance, message_id=message_id, status=given["status"])
        except actions.UnknownMessage as error:
            raise exceptions.ValidationError({"messageId": str(error)}) from None
        return Response(
            {"messageId": message_id, "status": message.get_ack_display(), "changed": message.ack != before}
        )


class PhoneView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxPhone",
        summary="The instance's phone changes its state",
        description="A new `accountStatus` without a `substatus` starts as `normal`. What is new is an event with its "
        "hook (`statusNotificationsOn`).",
        parameters=[schema.INSTANCE_ID],
        request=PhoneChangeSerializer,
        responses={200: PhoneSerializer, **schema.refusals(400, 404)},
        examples=[
            OpenApiExample("Battery low", value={"substatus": "battery_low"}, request_only=True),
            OpenApiExample("Logged out", value={"accountStatus": "got qr code"}, request_only=True),
            OpenApiExample(
                "As it is now",
                value={"accountStatus": "authenticated", "substatus": "battery_low", "phone": "15550001234"},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def patch(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(PhoneChangeSerializer(data=request.data))
        actions.change_status(
            instance,
            account_status=given.get("accountStatus"),
            substatus=given.get("substatus"),
            actor=request.user,
        )
        return Response(PhoneSerializer(instance).data)
