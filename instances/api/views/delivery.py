"""What is done to an instance's delivery as a whole: paused, resumed, signed with a new secret."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hooks.actions.endpoints import pause, resume, rotate_secret
from instances.api import schema
from instances.api.serializers.instances import InstanceSerializer
from instances.api.serializers.strict import StrictSerializer
from instances.api.views.instances import EXAMPLE, own_instance
from instances.models import Instance


class RotationSerializer(StrictSerializer):
    """How the old secret ends."""

    keepOld = serializers.BooleanField(
        required=False,
        default=True,
        help_text="True: hooks carry a signature by the old secret too, for 24 hours. False: it ends now.",
    )


def own(request: Request, number: str) -> Instance:
    return own_instance(Instance.objects.of_account(request.auth).select_related("endpoint"), number)


def documented(operation: str, summary: str, description: str, request: Any = None) -> Any:
    return extend_schema(
        tags=["Instances"],
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=[schema.INSTANCE_ID],
        request=request,
        responses={200: InstanceSerializer, **schema.refusals(*([400] if request else []), 404)},
        examples=[EXAMPLE],
    )


class RotateSecretView(APIView):
    @documented(
        "rotateWebhookSecret",
        "Make a new signing secret",
        "For 24 hours `webhook-signature` carries two signatures, by the new and by the old secret, so that "
        "receivers can change over in their own time. A second rotation within the day ends the oldest.",
        RotationSerializer,
    )
    def post(self, request: Request, id: str) -> Response:
        instance = own(request, id)
        given = RotationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        rotate_secret(instance.endpoint, acting_user=request.user, keep_old=given.validated_data["keepOld"])
        return Response(InstanceSerializer(own(request, id)).data)


class PauseView(APIView):
    @documented(
        "pauseDelivery",
        "Pause the delivery of an instance's hooks",
        "They gather in their order, and nothing is lost. Paused already: no change.",
    )
    def post(self, request: Request, id: str) -> Response:
        pause(own(request, id).endpoint, acting_user=request.user)
        return Response(InstanceSerializer(own(request, id)).data)


class ResumeView(APIView):
    @documented(
        "resumeDelivery",
        "Resume the delivery of an instance's hooks",
        "It begins with one hook a second and grows for two minutes. Not paused: no change.",
    )
    def post(self, request: Request, id: str) -> Response:
        resume(own(request, id).endpoint, acting_user=request.user)
        return Response(InstanceSerializer(own(request, id)).data)
