"""Webhook Verification of an instance: read its state, start it, stop it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from instances.api import schema
from instances.api.serializers.hooks import TextOrNull
from instances.api.serializers.strict import StrictSerializer
from instances.api.views.delivery import get_own_instance
from instances.models import Instance
from testing_tools.api import parameters
from testing_tools.api.bin_serializers import BinSerializer
from testing_tools.api.lookup import validate
from testing_tools.api.parameters import request_example, response_example
from testing_tools.verification import verification_checklist
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.actions.verifications import (
    endpoint_of,
    start_verification,
    stop_verification,
)

OWN_URL = "https://example.com/hook"
RUNNING = {
    "running": True,
    "until": "2030-01-01T09:30:00Z",
    "url": parameters.BIN_URL,
    "ownUrl": OWN_URL,
    "forwards": False,
    "bin": parameters.BIN,
    "checks": [],
}
STOPPED = RUNNING | {"running": False, "until": None, "url": OWN_URL}


class CheckSerializer(serializers.Serializer[Any]):
    """One condition for hooks to arrive."""

    passed = serializers.BooleanField()
    text = serializers.CharField(help_text="What was found.")
    advice = serializers.CharField(help_text="What to do. Empty if it passed.")


class VerificationSerializer(serializers.Serializer[Any]):
    """Where an instance's hooks go now."""

    running = serializers.BooleanField(help_text="Whether a verification sends the hooks to the bin.")
    until = serializers.DateTimeField(
        allow_null=True, help_text="When it ends by itself. Null: none is running."
    )
    url = TextOrNull(help_text="Where hooks are sent now. Null: nowhere.")
    ownUrl = TextOrNull(
        help_text="The instance's `webhookUrl`, which gets the hooks again when the verification ends. Null: none."
    )
    forwards = serializers.BooleanField(help_text="Whether `ownUrl` gets the hooks too meanwhile.")
    bin = BinSerializer()
    checks = CheckSerializer(
        many=True,
        help_text="Why no hooks may have arrived; empty unless a verification has received none for a minute.",
    )


class NewVerificationSerializer(StrictSerializer):
    """How to verify."""

    forwards = serializers.BooleanField(
        required=False, default=False, help_text="If true, the instance's own URL gets the hooks too."
    )


def documented(operation: str, summary: str, description: str, *, example: Any, **more: Any) -> Any:
    """The documentation of an operation on a verification."""
    errors = more.pop("errors", ())
    return extend_schema(
        tags=["Verification"],
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=[schema.INSTANCE_ID],
        responses={200: VerificationSerializer, **schema.error_responses(404, *errors)},
        examples=[example, *more.pop("requests", ())],
        **({"request": None} | more),
    )


def respond(instance: Instance) -> Response:
    """Responds with the state of the instance's verification."""
    endpoint, bin = endpoint_of(instance), open_bin(instance)
    is_running = endpoint.is_overridden()
    state = {
        "running": is_running,
        "until": endpoint.override_until if is_running else None,
        "url": endpoint.effective_url(),
        "ownUrl": endpoint.shown_url,
        "forwards": bool(endpoint.own_url_as_well()),
        "bin": bin,
        "checks": verification_checklist.checklist(instance, endpoint)
        if verification_checklist.is_silent(bin, endpoint)
        else [],
    }
    return Response(VerificationSerializer(state).data)


class VerificationView(APIView):
    @documented(
        "readVerification",
        "Read the state of a verification",
        "Where the instance's hooks are sent now, and until when. Opens the instance's bin, if it has none.",
        example=response_example("None is running", STOPPED),
    )
    def get(self, request: Request, id: str) -> Response:
        return respond(get_own_instance(request, id))


class StartView(APIView):
    @documented(
        "startVerification",
        "Start a verification",
        "The instance's hooks go to its bin for half an hour (the site's `VERIFICATION_MINUTES`), or until it is "
        "stopped. Its own URL stays stored, and gets them again after that. Starting again restarts the time.",
        example=response_example("Running", RUNNING),
        requests=[request_example("To both URLs", {"forwards": True})],
        request=NewVerificationSerializer,
        errors=(400,),
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        forwards = validate(NewVerificationSerializer(data=request.data))["forwards"]
        start_verification(instance, forwards=forwards, acting_user=current_user(request))
        return respond(instance)


class StopView(APIView):
    @documented(
        "stopVerification",
        "Stop a verification",
        "Hooks go to the instance's own URL again. Does nothing if none is running.",
        example=response_example("Stopped", STOPPED),
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        stop_verification(instance, acting_user=current_user(request))
        return respond(instance)
