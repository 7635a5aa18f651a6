"""Pauses and resumes an instance's delivery; rotates its signing secret."""

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
from instances.api.views.instances import EXAMPLE, get_instance
from instances.models import Instance


class RotationSerializer(StrictSerializer):
    """Whether the old secret stays valid."""

    keepOld = serializers.BooleanField(
        required=False,
        default=True,
        help_text="If true, hooks are also signed with the old secret for 24 hours. If false, it is invalid "
        "immediately.",
    )


def get_own_instance(request: Request, number: str) -> Instance:
    return get_instance(Instance.objects.of_account(request.auth).select_related("endpoint"), number)


def documented(operation: str, summary: str, description: str, request: Any = None) -> Any:
    return extend_schema(
        tags=["Instances"],
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=[schema.INSTANCE_ID],
        request=request,
        responses={200: InstanceSerializer, **schema.error_responses(*([400] if request else []), 404)},
        examples=[EXAMPLE],
    )


class RotateSecretView(APIView):
    @documented(
        "rotateWebhookSecret",
        "Rotate the signing secret",
        "For 24 hours `webhook-signature` has two signatures, with the new and with the old secret, so that receivers "
        "have time to switch. A second rotation within 24 hours invalidates the oldest secret.",
        RotationSerializer,
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        given = RotationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        rotate_secret(instance.endpoint, acting_user=request.user, keep_old=given.validated_data["keepOld"])
        return Response(InstanceSerializer(get_own_instance(request, id)).data)


class PauseView(APIView):
    @documented(
        "pauseDelivery",
        "Pause the delivery of an instance's hooks",
        "Hooks are queued in order, and none is lost. If delivery is already paused, nothing changes.",
    )
    def post(self, request: Request, id: str) -> Response:
        pause(get_own_instance(request, id).endpoint, acting_user=request.user)
        return Response(InstanceSerializer(get_own_instance(request, id)).data)


class ResumeView(APIView):
    @documented(
        "resumeDelivery",
        "Resume the delivery of an instance's hooks",
        "It starts with one hook per second and speeds up for two minutes. If delivery is not paused, nothing changes.",
    )
    def post(self, request: Request, id: str) -> Response:
        resume(get_own_instance(request, id).endpoint, acting_user=request.user)
        return Response(InstanceSerializer(get_own_instance(request, id)).data)
