"""The instance's own phone in the sandbox: battery, connection, linking, takeover; resets the sandbox."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from instances.api import schema
from instances.api.sandbox.phone_serializers import (
    PhoneChangeSerializer,
    PhoneEventSerializer,
    PhoneSerializer,
)
from instances.api.sandbox.requests import failures_as_409, get_sandbox, validate
from instances.channels.sandbox.actions.phone import apply_phone_event, change_phone
from instances.channels.sandbox.actions.reset import reset_sandbox

STATE = {
    "accountStatus": "authenticated",
    "substatus": "battery_low",
    "reason": None,
    "battery": 15,
    "phone": "15550001234",
}
CURRENT_STATE = OpenApiExample("Current state", value=STATE, response_only=True, status_codes=["200"])


class PhoneView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="getSandboxPhone",
        summary="Read the phone's state",
        parameters=[schema.INSTANCE_ID],
        responses={200: PhoneSerializer, **schema.error_responses(404)},
        examples=[CURRENT_STATE],
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(PhoneSerializer(get_sandbox(request, id)).data)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxPhone",
        summary="Change the phone's state",
        description="A new `accountStatus` without a `substatus` starts as `normal`. A change is an event and sends "
        "a hook (`statusNotificationsOn`). While the phone is not connected (`phone`, `offline`), messages wait in "
        "the queue, and so do acks from contacts.",
        parameters=[schema.INSTANCE_ID],
        request=PhoneChangeSerializer,
        responses={200: PhoneSerializer, **schema.error_responses(400, 404)},
        examples=[
            OpenApiExample("Battery low", value={"battery": 15}, request_only=True),
            OpenApiExample("Not connected", value={"substatus": "phone"}, request_only=True),
            OpenApiExample("Logged out", value={"accountStatus": "got qr code"}, request_only=True),
            CURRENT_STATE,
        ],
    )
    def patch(self, request: Request, id: str) -> Response:
        instance = get_sandbox(request, id)
        given = validate(PhoneChangeSerializer(data=request.data))
        status = given.get("accountStatus", instance.account_status)
        if given.get("reason") and status != "loading":
            raise exceptions.ValidationError({"reason": "Must be omitted: the instance is not loading."})
        change_phone(
            instance,
            account_status=given.get("accountStatus"),
            substatus=given.get("substatus"),
            reason=given.get("reason"),
            battery=given.get("battery"),
            acting_user=current_user(request),
        )
        return Response(PhoneSerializer(instance).data)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="sandboxPhoneEvent",
        summary="Trigger an event of the phone",
        description="Its status changes send hooks (`statusNotificationsOn`), as with a real phone. `scan` leads to "
        "`loading` and then `authenticated`. After `take_over` the instance is loading with the reason `conflict` "
        "until the wire contract's `takeover`; after `sync` with the reason `syncing` until `synced` or `retry`.",
        parameters=[schema.INSTANCE_ID],
        request=PhoneEventSerializer,
        responses={200: PhoneSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            OpenApiExample("Scan the QR code", value={"event": "scan"}, request_only=True),
            OpenApiExample("Another computer takes over", value={"event": "take_over"}, request_only=True),
            CURRENT_STATE,
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_sandbox(request, id)
        given = validate(PhoneEventSerializer(data=request.data))
        with failures_as_409(instance):
            apply_phone_event(instance, event=given["event"], acting_user=current_user(request))
        return Response(PhoneSerializer(instance).data)


class ResetView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="resetSandbox",
        summary="Reset the sandbox",
        description="Deletes contacts, chats, messages and queues. The phone is then linked, connected and charged. "
        "Settings, hooks and the log stay; `messageNumber` and `queueNumber` continue.",
        parameters=[schema.INSTANCE_ID],
        request=None,
        responses={200: PhoneSerializer, **schema.error_responses(404)},
        examples=[CURRENT_STATE],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = reset_sandbox(get_sandbox(request, id), acting_user=current_user(request))
        return Response(PhoneSerializer(instance).data)
