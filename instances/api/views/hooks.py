"""The delivery log: hooks with their attempts, newest first."""

import uuid
from collections.abc import Callable
from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.models import Attempt, Hook, HookQuerySet
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.filters import HookFilter, StrictFilters
from instances.api.newest import NewestOf
from instances.api.pagination import NewestFirst
from instances.api.serializers.hooks import HookSerializer
from instances.models import Instance

EXAMPLE = OpenApiExample("An ack that the endpoint refused", value=schema.HOOK, response_only=True)


def changes(operation: str, summary: str, description: str = "") -> Any:
    """How an action on one hook is documented."""
    return extend_schema(
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=[schema.HOOK_ID],
        request=None,
        responses={200: HookSerializer, **schema.refusals(404, 409)},
        examples=[EXAMPLE],
    )


@extend_schema(tags=["Hooks"])
class HookViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Hook]):
    queryset = Hook.objects.none()  # for the OpenAPI document, which is made for nobody
    serializer_class = HookSerializer
    pagination_class = NewestFirst
    filter_backends = (StrictFilters,)
    filterset_class = HookFilter

    def get_queryset(self) -> HookQuerySet:
        return (
            Hook.objects.of_instances(Instance.objects.of_account(self.request.auth))
            .select_related("endpoint__instance")
            .prefetch_related(Prefetch("attempts", Attempt.objects.order_by("number", "id")))
        )

    @extend_schema(
        operation_id="listHooks",
        summary="List hooks with their attempts",
        description="Newest first, those that were skipped too. Filters that are joined must all hold; a filter "
        "given several times holds when one of its values does.",
        responses={200: HookSerializer(many=True), **schema.refusals(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        keys = Instance.objects.of_account(request.auth).values_list("pk", flat=True)
        # each filter is the same for one instance and for a hundred; NewestOf sees to whose hooks these are
        fitting = self.filter_queryset(Hook.objects.all())
        page = self.paginate_queryset(NewestOf(fitting, self.get_queryset(), list(keys)))  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        operation_id="readHook",
        summary="Read one hook with its attempts",
        parameters=[schema.HOOK_ID],
        responses={200: HookSerializer, **schema.refusals(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(HookSerializer(self.own(id)).data)

    def own(self, id: str) -> Hook:
        try:
            public_id = uuid.UUID(id.removeprefix("hook_"))
        except ValueError:
            public_id = None
        hook = self.get_queryset().filter(public_id=public_id).first() if public_id else None
        if hook is None:
            raise exceptions.NotFound(f"There is no hook {id} in your account.")
        return hook

    def change(self, request: Request, id: str, action: Callable[..., Hook]) -> Response:
        """The action, its refusal as a 409; answers with the hook as it is then."""
        try:
            action(self.own(id), acting_user=request.user)
        except NotPossible as reason:
            raise Conflict(str(reason)) from None
        return Response(HookSerializer(self.own(id)).data)

    @changes(
        "resendHook",
        "Send a finished hook again",
        "Under its old `webhook-id`; it takes its turn like a retry.",
    )
    def resend(self, request: Request, id: str) -> Response:
        return self.change(request, id, resend)

    @changes("tryHookNow", "Make the next attempt of a hook due at once")
    def try_now(self, request: Request, id: str) -> Response:
        return self.change(request, id, try_now)

    @changes(
        "skipHook", "Pass over a hook that waits", "It becomes `skipped`, and its lane goes on without it."
    )
    def skip(self, request: Request, id: str) -> Response:
        return self.change(request, id, skip)

    @changes(
        "cancelHook",
        "Give a hook up",
        "It becomes `cancelled`; a request that is under way at this moment can't be called back.",
    )
    def cancel(self, request: Request, id: str) -> Response:
        return self.change(request, id, cancel)
