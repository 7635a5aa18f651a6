"""The instance's own phone in the sandbox: its battery, its connection, who scans and who takes over; and the reset."""

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
from instances.api.sandbox.requests import checked, in_words, sandbox
from instances.channels.sandbox.actions.phone import apply_phone_event, change_phone
from instances.channels.sandbox.actions.reset import reset_sandbox

NOW = {
    "accountStatus": "authenticated",
    "substatus": "battery_low",
    "reason": None,
    "battery": 15,
    "phone": "15550001234",
}
AS_IT_IS = OpenApiExample("As it is now", value=NOW, response_only=True, status_codes=["200"])


class PhoneView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="getSandboxPhone",
        summary="The state of the instance's phone",
        parameters=[schema.INSTANCE_ID],
        responses={200: PhoneSerializer, **schema.refusals(404)},
        examples=[AS_IT_IS],
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(PhoneSerializer(sandbox(request, id)).data)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxPhone",
        summary="The instance's phone changes its state",
        description="A new `accountStatus` without a `substatus` starts as `normal`. What is new is an event with its "
        "hook (`statusNotificationsOn`). While the phone is not connected (`phone`, `offline`), messages wait in the "
        "queue, and the contacts' ticks with them.",
        parameters=[schema.INSTANCE_ID],
        request=PhoneChangeSerializer,
        responses={200: PhoneSerializer, **schema.refusals(400, 404)},
        examples=[
            OpenApiExample("Battery low", value={"battery": 15}, request_only=True),
            OpenApiExample("Not connected", value={"substatus": "phone"}, request_only=True),
            OpenApiExample("Logged out", value={"accountStatus": "got qr code"}, request_only=True),
            AS_IT_IS,
        ],
    )
    def patch(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(PhoneChangeSerializer(data=request.data))
        status = given.get("accountStatus", instance.account_status)
        if given.get("reason") and status != "loading":
            raise exceptions.ValidationError(
                {"reason": "It says why an instance is loading, and this one is not."}
            )
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
        summary="Something happens to the instance's phone",
        description="The changes of status that come of it go out as hooks (`statusNotificationsOn`), as from a real "
        "phone: `scan` leads by `loading` to `authenticated`; after `take_over` the instance is loading for the "
        "reason `conflict` until the wire contract's `takeover`, after `sync` for the reason `syncing` until `synced` "
        "or `retry`.",
        parameters=[schema.INSTANCE_ID],
        request=PhoneEventSerializer,
        responses={200: PhoneSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample("The code is scanned", value={"event": "scan"}, request_only=True),
            OpenApiExample("Another computer takes over", value={"event": "take_over"}, request_only=True),
            AS_IT_IS,
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(PhoneEventSerializer(data=request.data))
        with in_words(instance):
            apply_phone_event(instance, event=given["event"], acting_user=current_user(request))
        return Response(PhoneSerializer(instance).data)


class ResetView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="resetSandbox",
        summary="Start the sandbox anew",
        description="No contacts, chats, messages or queues any more; the phone is linked, connected and charged. "
        "Settings, hooks and the log stay, and `messageNumber` and `queueNumber` go on where they were.",
        parameters=[schema.INSTANCE_ID],
        request=None,
        responses={200: PhoneSerializer, **schema.refusals(404)},
        examples=[AS_IT_IS],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = reset_sandbox(sandbox(request, id), acting_user=current_user(request))
        return Response(PhoneSerializer(instance).data)
