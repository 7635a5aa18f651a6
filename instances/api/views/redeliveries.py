"""Jobs that resend many hooks: preview, create, read, pause, resume, cancel."""

import uuid
from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from hooks.actions import redelivery
from hooks.actions.hooks import NotPossible
from hooks.models import Redelivery, RedeliveryQuerySet
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.filters import as_selection
from instances.api.pagination import NewestFirst
from instances.api.serializers.redeliveries import (
    NewRedeliverySerializer,
    PreviewSerializer,
    RedeliverySerializer,
)
from instances.api.views.instances import get_instance
from instances.models import Instance

EXAMPLE = OpenApiExample("Half finished", value=schema.REDELIVERY, response_only=True)


@extend_schema(tags=["Redeliveries"])
class RedeliveryViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Redelivery]):
    queryset = Redelivery.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = RedeliverySerializer
    pagination_class = NewestFirst
    filter_backends = ()

    def get_queryset(self) -> RedeliveryQuerySet:
        visible = Instance.objects.of_account(self.request.auth)
        return Redelivery.objects.of_instances(visible).with_totals()

    def get_own_job(self, id: str) -> Redelivery:
        try:
            found = self.get_queryset().filter(public_id=uuid.UUID(id.removeprefix("redelivery_"))).first()
        except ValueError:
            found = None
        if found is None:
            raise exceptions.NotFound(f"Your account has no redelivery {id}.")
        return found

    @extend_schema(
        operation_id="listRedeliveries",
        summary="List redeliveries",
        description="Newest first.",
        responses={200: RedeliverySerializer(many=True), **schema.error_responses(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        operation_id="createRedelivery",
        summary="Resend many hooks",
        description="Matching finished hooks are resent, oldest first, with their old `webhook-id`. They take turns "
        "with new events, and never exceed the endpoint's limit of simultaneous requests. With `dryRun` they are "
        "only counted (200). 409 if no hook can be resent, or an open job has the same filter: the error names it.",
        request=NewRedeliverySerializer,
        responses={
            200: PreviewSerializer,
            201: RedeliverySerializer,
            **schema.error_responses(400, 404, 409),
        },
        examples=[
            OpenApiExample(
                "Hooks that failed during an outage",
                value={
                    "instance": "1203344556",
                    "state": ["failed"],
                    "createdAfter": "2030-01-01T09:00:00Z",
                    "createdBefore": "2030-01-01T11:00:00Z",
                },
                request_only=True,
            ),
            OpenApiExample(
                "Preview",
                value={"count": 120, "underWay": 3, "bodyDropped": 0, "noAddress": 0, "more": False},
                response_only=True,
                status_codes=["200"],
            ),
            OpenApiExample("Planned", value=schema.REDELIVERY, response_only=True, status_codes=["201"]),
        ],
    )
    def create(self, request: Request) -> Response:
        given = NewRedeliverySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        instances = Instance.objects.of_account(request.auth)
        number = given.validated_data.get("instance")
        if number is not None:
            instances = instances.filter(pk=get_instance(instances, number).pk)
        wanted = as_selection(given.validated_data)
        if given.validated_data["dryRun"]:
            return Response(PreviewSerializer(redelivery.preview(instances, wanted)).data)
        job = impossible_as_409(lambda: redelivery.plan(instances, wanted=wanted, acting_user=request.user))
        created = RedeliverySerializer(self.get_queryset().get(pk=job.pk))
        return Response(created.data, status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="readRedelivery",
        summary="Read one job",
        parameters=[schema.REDELIVERY_ID],
        responses={200: RedeliverySerializer, **schema.error_responses(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(RedeliverySerializer(self.get_own_job(id)).data)

    def change(self, request: Request, id: str, action: Callable[..., Redelivery]) -> Response:
        job = self.get_own_job(id)
        impossible_as_409(lambda: action(job, acting_user=request.user))
        return Response(RedeliverySerializer(self.get_own_job(id)).data)

    @extend_schema(
        operation_id="pauseRedelivery",
        summary="Pause a job",
        description="It resends no more hooks. Up to 100 hooks per instance that are already queued are still sent.",
        parameters=[schema.REDELIVERY_ID],
        request=None,
        responses={200: RedeliverySerializer, **schema.error_responses(404, 409)},
        examples=[EXAMPLE],
    )
    def pause(self, request: Request, id: str) -> Response:
        return self.change(request, id, redelivery.pause)

    @extend_schema(
        operation_id="resumeRedelivery",
        summary="Resume a paused job",
        parameters=[schema.REDELIVERY_ID],
        request=None,
        responses={200: RedeliverySerializer, **schema.error_responses(404, 409)},
        examples=[EXAMPLE],
    )
    def resume(self, request: Request, id: str) -> Response:
        return self.change(request, id, redelivery.resume)

    @extend_schema(
        operation_id="cancelRedelivery",
        summary="Cancel a job",
        description="Hooks not yet resent stay unchanged.",
        parameters=[schema.REDELIVERY_ID],
        request=None,
        responses={200: RedeliverySerializer, **schema.error_responses(404, 409)},
        examples=[EXAMPLE],
    )
    def cancel(self, request: Request, id: str) -> Response:
        return self.change(request, id, redelivery.cancel)


def impossible_as_409(action: Callable[[], Redelivery]) -> Redelivery:
    """Runs the action. Responds 409 if it is not possible."""
    try:
        return action()
    except NotPossible as reason:
        raise Conflict(str(reason)) from None
