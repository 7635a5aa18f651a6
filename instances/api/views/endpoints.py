"""An instance's endpoints: list, add, read, change, remove, pause, resume, rotate the secret, test."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import exceptions, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.current_user import current_user
from chatapi.ui.numbers import parse_digits
from hooks.actions import endpoint_list
from hooks.actions.endpoints import ConflictingModes, change_endpoint, pause, resume, rotate_secret
from hooks.actions.hooks import NotPossible
from hooks.filters import InvalidFilters
from hooks.models import MAX_ENDPOINTS, Endpoint
from hooks.urls.webhook_urls import InvalidUrl
from instances.actions.endpoint_test import send_test
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.filters import ENDPOINT_DIGITS
from instances.api.scopes import key_of
from instances.api.serializers.endpoints import (
    FILTER_NAMES,
    EndpointChangeSerializer,
    EndpointSerializer,
    NewEndpointSerializer,
    changed_filters,
)
from instances.api.serializers.hooks import HookSerializer
from instances.api.views.delivery import RotationSerializer
from instances.api.views.instances import get_instance
from instances.limits import manual_request_limit
from instances.models import Instance

EXAMPLE = OpenApiExample("Acks for a second system", value=schema.ENDPOINT, response_only=True)
PARAMETERS = [schema.INSTANCE_ID, schema.ENDPOINT_ID]


@extend_schema_serializer(many=False)
class EndpointsSerializer(serializers.Serializer[Any]):
    """The endpoints of an instance."""

    results = EndpointSerializer(many=True)


def documented(operation: str, summary: str, description: str = "", **more: Any) -> Any:
    """The documentation of an operation on one endpoint."""
    errors = more.pop("errors", ())
    return extend_schema(
        operation_id=operation,
        summary=summary,
        description=description,
        parameters=PARAMETERS,
        responses={200: EndpointSerializer, **schema.error_responses(404, *errors)},
        examples=[EXAMPLE],
        **{"request": None, **more},
    )


def changed(action: Callable[[], Any]) -> Any:
    """Runs the action. Responds 400 with the field's name if a value is invalid, 409 if it is not possible."""
    try:
        return action()
    except InvalidUrl as error:
        raise exceptions.ValidationError({"url": str(error)}) from None
    except ConflictingModes as error:
        raise exceptions.ValidationError({"strictOrder": str(error)}) from None
    except InvalidFilters as error:
        name = next(name for name, field in FILTER_NAMES.items() if field == error.field)
        raise exceptions.ValidationError({"filters": {name: str(error)}}) from None
    except NotPossible as reason:
        raise Conflict(str(reason)) from None


def get_own_endpoint(request: Request, number: str, key: str) -> Endpoint:
    """The endpoint with its instance. Raises NotFound for one of another instance, or one that was removed."""
    instance = get_instance(Instance.objects.of_account(request.auth), number)
    parsed = parse_digits(key, max_digits=ENDPOINT_DIGITS)
    found = (
        Endpoint.objects.present().filter(instance=instance, pk=parsed).first()
        if parsed is not None
        else None
    )
    if found is None:
        raise exceptions.NotFound(f"Instance {number} has no endpoint {key}.")
    found.instance = instance
    return found


@extend_schema(tags=["Endpoints"])
class EndpointViewSet(viewsets.GenericViewSet[Endpoint]):
    queryset = Endpoint.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = EndpointSerializer
    pagination_class = None
    filter_backends = ()

    def get_serializer_context(self) -> dict[str, Any]:
        return {"key": key_of(self.request)}

    def get_own_instance(self, number: str) -> Instance:
        return get_instance(Instance.objects.of_account(self.request.auth), number)

    def get_own_endpoint(self, number: str, key: str) -> Endpoint:
        return get_own_endpoint(self.request, number, key)

    def respond(self, endpoint: Endpoint, **more: Any) -> Response:
        """Responds with the endpoint as it is stored now."""
        row = Endpoint.objects.select_related("instance").get(pk=endpoint.pk)
        return Response(self.get_serializer(row).data, **more)

    @extend_schema(
        operation_id="listEndpoints",
        summary="List an instance's endpoints",
        description="The first one is the wire contract's `webhookUrl`; the others follow in the order in which they "
        "were added.",
        parameters=[schema.INSTANCE_ID],
        responses={200: EndpointsSerializer, **schema.error_responses(404)},
        examples=[OpenApiExample("One", value={"results": [schema.ENDPOINT]}, response_only=True)],
    )
    def list(self, request: Request, id: str) -> Response:
        rows = (
            Endpoint.objects.present().filter(instance=self.get_own_instance(id)).select_related("instance")
        )
        return Response({"results": self.get_serializer(rows, many=True).data})

    @extend_schema(
        operation_id="addEndpoint",
        summary="Add an endpoint",
        description=f"It gets hooks of the events from now on that match its filters, beside the other endpoints. An "
        f"instance has up to {MAX_ENDPOINTS} endpoints; then 409.",
        parameters=[schema.INSTANCE_ID],
        request=NewEndpointSerializer,
        responses={201: EndpointSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            EXAMPLE,
            OpenApiExample(
                "Messages of groups",
                value={
                    "url": "https://example.com/groups",
                    "filters": {"families": ["message"], "chatKinds": "group"},
                },
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request, id: str) -> Response:
        instance = self.get_own_instance(id)
        given = validated(NewEndpointSerializer, request)
        filters = changed_filters(None, given.pop("filters", {}))
        endpoint = changed(
            lambda: endpoint_list.add_endpoint(
                instance.pk, filters=filters, acting_user=current_user(request), **given
            )
        )
        path = reverse("instances-api:endpoint", args=[instance.number, endpoint.pk])
        return self.respond(
            endpoint, status=status.HTTP_201_CREATED, headers={"Location": settings.SITE_URL + path}
        )

    @documented("readEndpoint", "Read one endpoint")
    def retrieve(self, request: Request, id: str, endpointId: str) -> Response:
        return self.respond(self.get_own_endpoint(id, endpointId))

    @documented(
        "changeEndpoint",
        "Change an endpoint",
        "Fields and filters that are not sent stay as they are. If any field is invalid, nothing is changed. Changed "
        "filters apply to events from now on.",
        request=EndpointChangeSerializer,
        errors=(400,),
    )
    @transaction.atomic
    def partial_update(self, request: Request, id: str, endpointId: str) -> Response:
        endpoint = self.get_own_endpoint(id, endpointId)
        given = validated(EndpointChangeSerializer, request)
        filters = changed_filters(endpoint, given.pop("filters")) if "filters" in given else None
        changed(
            lambda: change_endpoint(endpoint, filters=filters, acting_user=current_user(request), **given)
        )
        return self.respond(endpoint)

    @extend_schema(
        operation_id="removeEndpoint",
        summary="Remove an endpoint",
        description="Its waiting hooks are cancelled. Its log is kept as long as any. The first endpoint cannot be "
        "removed (409).",
        parameters=PARAMETERS,
        responses={204: OpenApiResponse(description="Removed"), **schema.error_responses(404, 409)},
    )
    def destroy(self, request: Request, id: str, endpointId: str) -> Response:
        endpoint = self.get_own_endpoint(id, endpointId)
        changed(lambda: endpoint_list.remove_endpoint(endpoint, acting_user=current_user(request)))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @documented(
        "pauseEndpoint",
        "Pause an endpoint",
        "Its hooks are queued in order, and none is lost. The other endpoints are not affected.",
    )
    def pause(self, request: Request, id: str, endpointId: str) -> Response:
        return self.respond(pause(self.get_own_endpoint(id, endpointId), acting_user=current_user(request)))

    @documented(
        "resumeEndpoint",
        "Resume an endpoint",
        "It starts with one hook per second and speeds up for two minutes.",
    )
    def resume(self, request: Request, id: str, endpointId: str) -> Response:
        return self.respond(resume(self.get_own_endpoint(id, endpointId), acting_user=current_user(request)))

    @documented(
        "rotateEndpointSecret",
        "Rotate an endpoint's signing secret",
        "For 24 hours `webhook-signature` has two signatures, with the new and with the old secret.",
        request=RotationSerializer,
        errors=(400,),
    )
    def rotate_secret(self, request: Request, id: str, endpointId: str) -> Response:
        endpoint = self.get_own_endpoint(id, endpointId)
        keep_old = validated(RotationSerializer, request)["keepOld"]
        rotate_secret(endpoint, acting_user=current_user(request), keep_old=keep_old)
        return self.respond(endpoint)

    @extend_schema(
        operation_id="testEndpoint",
        summary="Test an endpoint",
        description="Sends one message of a contact to its URL and waits up to 10 s for the response. The hook is "
        "simulated: it is in the log, and no message is stored. `suggestedUrl` is the URL to set if the response names "
        "one that would work.",
        parameters=PARAMETERS,
        request=None,
        responses={200: HookSerializer, **schema.error_responses(404, 409)},
        examples=[OpenApiExample("The endpoint redirects", value=schema.REDIRECTED_HOOK, response_only=True)],
    )
    def test(self, request: Request, id: str, endpointId: str) -> Response:
        endpoint = self.get_own_endpoint(id, endpointId)
        url = endpoint.effective_url()
        if not url:
            raise Conflict("The endpoint has no URL. Set one first.")
        try:
            with manual_request_limit.place(request.user):
                hook = changed(
                    lambda: send_test(
                        endpoint, instance=endpoint.instance, url=url, acting_user=current_user(request)
                    )
                )
        except manual_request_limit.TooMany as error:
            raise Conflict(str(error)) from None
        return Response(HookSerializer(hook).data)


def validated(serializer: type[Any], request: Request) -> dict[str, Any]:
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)
