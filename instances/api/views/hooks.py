"""The delivery log: hooks with their attempts, newest first."""

from collections.abc import Callable
from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions.share_links import MAX_SHARES, VALID_FOR, TooManyShares
from accounts.current_user import current_user
from chatapi.ui.numbers import parse_digits
from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.log.newest import NewestOf
from hooks.models import Attempt, Endpoint, Hook, HookQuerySet, parse_webhook_id
from instances.actions.hook_shares import revoke_share, share_hook, shares_of
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.filters import HookFilter, StrictFilters
from instances.api.pagination import NewestFirst
from instances.api.serializers.hooks import HookSerializer
from instances.api.serializers.shares import (
    CreatedHookShareSerializer,
    HookShareSerializer,
    HookSharesSerializer,
    NewHookShareSerializer,
)
from instances.models import Instance

EXAMPLE = OpenApiExample("A failed ack", value=schema.HOOK, response_only=True)


def documented(operation: str, summary: str, description: str = "") -> Any:
    """The documentation of an action on one hook."""
    return extend_schema(
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=[schema.HOOK_ID],
        request=None,
        responses={200: HookSerializer, **schema.error_responses(404, 409)},
        examples=[EXAMPLE],
    )


@extend_schema(tags=["Hooks"])
class HookViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Hook]):
    queryset = Hook.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = HookSerializer
    pagination_class = NewestFirst
    filter_backends = (StrictFilters,)
    filterset_class = HookFilter

    def get_queryset(self) -> HookQuerySet:
        return (
            Hook.objects.of_instances(Instance.objects.of_account(self.request.auth))
            .show_sending()
            .select_related("endpoint__instance")
            .prefetch_related(Prefetch("attempts", Attempt.objects.order_by("number", "id")))
        )

    @extend_schema(
        operation_id="listHooks",
        summary="List hooks with their attempts",
        description="Newest first, including skipped hooks. A hook must match every filter. A filter that is sent "
        "several times matches if one of its values does.",
        responses={200: HookSerializer(many=True), **schema.error_responses(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        instances = Instance.objects.of_account(request.auth)
        keys = Endpoint.objects.of_instances(instances).values_list("pk", flat=True)
        matching: Any = self.filter_queryset(NewestOf(self.get_queryset(), list(keys)))  # type: ignore[arg-type]
        page = self.paginate_queryset(matching)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        operation_id="readHook",
        summary="Read one hook with its attempts",
        parameters=[schema.HOOK_ID],
        responses={200: HookSerializer, **schema.error_responses(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(HookSerializer(self.get_own_hook(id)).data)

    def get_own_hook(self, id: str) -> Hook:
        public_id = parse_webhook_id(id)
        hook = self.get_queryset().filter(public_id=public_id).first() if public_id else None
        if hook is None:
            raise exceptions.NotFound(f"Your account has no hook {id}.")
        return hook

    @extend_schema(
        operation_id="listHookShares",
        summary="List the links that share a hook",
        description="The valid ones, newest first, without their URLs.",
        parameters=[schema.HOOK_ID],
        responses={200: HookSharesSerializer, **schema.error_responses(404)},
        examples=[OpenApiExample("One link", value={"results": [schema.HOOK_SHARE]}, response_only=True)],
    )
    def shares(self, request: Request, id: str) -> Response:
        valid = shares_of(self.get_own_hook(id)).valid().order_by("-pk")
        return Response({"results": HookShareSerializer(valid, many=True).data})

    @extend_schema(
        operation_id="shareHook",
        summary="Share a hook",
        description="Anyone who has the link can read the hook, its body and its attempts, until it expires or is "
        "revoked. Masked are credentials in headers, the signature, and the query and parts that look like keys in "
        f"URLs, also where a response repeats them. The hooks of an instance have up to {MAX_SHARES} valid links; "
        "then 409.",
        parameters=[schema.HOOK_ID],
        request=NewHookShareSerializer,
        responses={201: CreatedHookShareSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            OpenApiExample(
                "A new link",
                value=schema.HOOK_SHARE | {"url": schema.HOOK_SHARE_URL},
                response_only=True,
                status_codes=["201"],
            ),
            OpenApiExample("For a day", value={"validFor": "24h"}, request_only=True),
        ],
    )
    def share(self, request: Request, id: str) -> Response:
        hook = self.get_own_hook(id)
        given = NewHookShareSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            created, url = share_hook(
                hook,
                instance=hook.endpoint.instance,
                valid_for=VALID_FOR[given.validated_data["valid_for"]],
                acting_user=current_user(request),
            )
        except TooManyShares as error:
            raise Conflict(str(error)) from None
        return Response(CreatedHookShareSerializer(created, context={"url": url}).data, status=201)

    @extend_schema(
        operation_id="revokeHookShare",
        summary="Revoke the link to a hook",
        description="It is invalid immediately. Revoking it again changes nothing.",
        parameters=[schema.HOOK_ID, schema.HOOK_SHARE_ID],
        request=None,
        responses={204: OpenApiResponse(description="Revoked"), **schema.error_responses(404)},
    )
    def revoke(self, request: Request, id: str, shareId: str) -> Response:
        number = parse_digits(shareId)
        found = None if number is None else shares_of(self.get_own_hook(id)).filter(pk=number).first()
        if found is None:
            raise exceptions.NotFound(f"Hook {id} has no link {shareId}.")
        revoke_share(found, acting_user=current_user(request))
        return Response(status=204)

    def change(self, request: Request, id: str, action: Callable[..., Hook]) -> Response:
        """Runs the action and returns the hook. If the action is not possible, responds 409."""
        try:
            action(self.get_own_hook(id), acting_user=request.user)
        except NotPossible as reason:
            raise Conflict(str(reason)) from None
        return Response(HookSerializer(self.get_own_hook(id)).data)

    @documented(
        "resendHook",
        "Resend a finished hook",
        "With its old `webhook-id`. It is sent in turn, like a retry.",
    )
    def resend(self, request: Request, id: str) -> Response:
        return self.change(request, id, resend)

    @documented("tryHookNow", "Make the next attempt of a hook now")
    def try_now(self, request: Request, id: str) -> Response:
        return self.change(request, id, try_now)

    @documented("skipHook", "Skip a waiting hook", "It becomes `skipped`; the hooks after it are sent.")
    def skip(self, request: Request, id: str) -> Response:
        return self.change(request, id, skip)

    @documented(
        "cancelHook",
        "Cancel a hook",
        "It becomes `cancelled`. A request that is already in progress cannot be stopped.",
    )
    def cancel(self, request: Request, id: str) -> Response:
        return self.change(request, id, cancel)
