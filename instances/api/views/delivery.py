"""An instance's delivery: its numbers, pausing and resuming, and the rotation of its signing secret."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hooks.actions.endpoints import pause, resume, rotate_secret
from hooks.log.endpoint_numbers import EndpointNumbers, numbers_of
from instances.api import schema
from instances.api.scopes import key_of
from instances.api.serializers.instances import InstanceSerializer
from instances.api.serializers.strict import StrictSerializer
from instances.api.views.instances import EXAMPLE, get_instance
from instances.models import Instance


class RotationSerializer(StrictSerializer):
    """Whether the old secret stays valid."""

    keepOld = serializers.BooleanField(
        required=False,
        default=True,
        help_text="If true, requests are also signed with the old secret for 24 hours. If false, it is invalid "
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
        return Response(
            InstanceSerializer(get_own_instance(request, id), context={"key": key_of(request)}).data
        )


class DeliverySerializer(serializers.Serializer[EndpointNumbers]):
    """The numbers of an instance's delivery, as its pages show them."""

    waiting = serializers.IntegerField(
        help_text="Hooks that are queued, being sent or retrying now. At most 10 000 are counted."
    )
    oldestWaitingAt = serializers.DateTimeField(
        source="oldest", allow_null=True, help_text="The event of the oldest of them. Null: none is waiting."
    )
    sentLastHour = serializers.IntegerField(
        source="sent",
        help_text="Hooks of events of the last hour that have at least one attempt, without simulations. The newest "
        "10 000 are counted.",
    )
    deliveredLastHour = serializers.IntegerField(
        source="delivered", help_text="Those of them whose last attempt was delivered."
    )


class DeliveryView(APIView):
    @extend_schema(
        tags=["Instances"],
        operation_id="getDelivery",
        summary="Get the numbers of an instance's delivery",
        description="The same numbers as on the instance's pages.",
        parameters=[schema.INSTANCE_ID],
        responses={200: DeliverySerializer, **schema.error_responses(404)},
        examples=[
            OpenApiExample(
                "A quarter was delivered",
                value={
                    "waiting": 2,
                    "oldestWaitingAt": "2030-01-01T09:00:00.120000Z",
                    "sentLastHour": 4,
                    "deliveredLastHour": 1,
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        return Response(DeliverySerializer(numbers_of([instance.pk])[instance.pk]).data)


class PauseView(APIView):
    @documented(
        "pauseDelivery",
        "Pause the delivery of an instance's hooks",
        "Hooks are queued in order, and none is lost. If delivery is already paused, nothing changes.",
    )
    def post(self, request: Request, id: str) -> Response:
        pause(get_own_instance(request, id).endpoint, acting_user=request.user)
        return Response(
            InstanceSerializer(get_own_instance(request, id), context={"key": key_of(request)}).data
        )


class ResumeView(APIView):
    @documented(
        "resumeDelivery",
        "Resume the delivery of an instance's hooks",
        "It starts with one hook per second and speeds up for two minutes. If delivery is not paused, nothing changes.",
    )
    def post(self, request: Request, id: str) -> Response:
        resume(get_own_instance(request, id).endpoint, acting_user=request.user)
        return Response(
            InstanceSerializer(get_own_instance(request, id), context={"key": key_of(request)}).data
        )
