"""Jobs that send many hooks again: count before, make, look, pause, resume, cancel."""

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
from instances.api.views.instances import own_instance
from instances.models import Instance

EXAMPLE = OpenApiExample("Half done", value=schema.REDELIVERY, response_only=True)


@extend_schema(tags=["Redeliveries"])
class RedeliveryViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Redelivery]):
    queryset = Redelivery.objects.none()  # for the OpenAPI document, which is made for nobody
    serializer_class = RedeliverySerializer
    pagination_class = NewestFirst
    filter_backends = ()

    def get_queryset(self) -> RedeliveryQuerySet:
        visible = Instance.objects.of_account(self.request.auth)
        return Redelivery.objects.of_instances(visible).with_totals()

    def own(self, id: str) -> Redelivery:
        try:
            found = self.get_queryset().filter(public_id=uuid.UUID(id.removeprefix("redelivery_"))).first()
        except ValueError:
            found = None
        if found is None:
            raise exceptions.NotFound(f"There is no redelivery {id} in your account.")
        return found

    @extend_schema(
        operation_id="listRedeliveries",
        summary="List the jobs of redelivery",
        description="Newest first.",
        responses={200: RedeliverySerializer(many=True), **schema.refusals(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        operation_id="createRedelivery",
        summary="Send many hooks again",
        description="Finished hooks that fit go out again, oldest first, under their old `webhook-id`, in turn with "
        "new events and never more at once than the endpoint takes. With `dryRun` they are only counted (200).",
        request=NewRedeliverySerializer,
        responses={200: PreviewSerializer, 201: RedeliverySerializer, **schema.refusals(400, 404, 409)},
        examples=[
            OpenApiExample(
                "What an outage has cost",
                value={
                    "instance": "1203344556",
                    "state": ["failed"],
                    "createdAfter": "2030-01-01T09:00:00Z",
                    "createdBefore": "2030-01-01T11:00:00Z",
                },
                request_only=True,
            ),
            OpenApiExample(
                "Counted before",
                value={"count": 120, "underWay": 3, "bodyDropped": 0, "noAddress": 0},
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
            instances = instances.filter(pk=own_instance(instances, number).pk)
        wanted = as_selection(given.validated_data)
        if given.validated_data["dryRun"]:
            return Response(PreviewSerializer(redelivery.preview(instances, wanted)).data)
        job = refusing(lambda: redelivery.plan(instances, wanted, acting_user=request.user))
        made = RedeliverySerializer(self.get_queryset().get(pk=job.pk))
        return Response(made.data, status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="readRedelivery",
        summary="Read one job",
        parameters=[schema.REDELIVERY_ID],
        responses={200: RedeliverySerializer, **schema.refusals(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(RedeliverySerializer(self.own(id)).data)

    def change(self, request: Request, id: str, action: Callable[..., Redelivery]) -> Response:
        job = self.own(id)
        refusing(lambda: action(job, acting_user=request.user))
        return Response(RedeliverySerializer(self.own(id)).data)

    @extend_schema(
        operation_id="pauseRedelivery",
        summary="Pause a job",
        description="It sends no more; the up to 100 hooks of each instance that are on their way go on.",
        parameters=[schema.REDELIVERY_ID],
        request=None,
        responses={200: RedeliverySerializer, **schema.refusals(404, 409)},
        examples=[EXAMPLE],
    )
    def pause(self, request: Request, id: str) -> Response:
        return self.change(request, id, redelivery.pause)

    @extend_schema(
        operation_id="resumeRedelivery",
        summary="Go on with a paused job",
        parameters=[schema.REDELIVERY_ID],
        request=None,
        responses={200: RedeliverySerializer, **schema.refusals(404, 409)},
        examples=[EXAMPLE],
    )
    def resume(self, request: Request, id: str) -> Response:
        return self.change(request, id, redelivery.resume)

    @extend_schema(
        operation_id="cancelRedelivery",
        summary="End a job",
        description="The hooks that it has not come to stay as they are.",
        parameters=[schema.REDELIVERY_ID],
        request=None,
        responses={200: RedeliverySerializer, **schema.refusals(404, 409)},
        examples=[EXAMPLE],
    )
    def cancel(self, request: Request, id: str) -> Response:
        return self.change(request, id, redelivery.cancel)


def refusing(action: Callable[[], Redelivery]) -> Redelivery:
    """The action, its refusal as a 409."""
    try:
        return action()
    except NotPossible as reason:
        raise Conflict(str(reason)) from None
