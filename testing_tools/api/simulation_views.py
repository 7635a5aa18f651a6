"""Webhook Simulation: the kinds, what would be sent, and sending it."""

from collections.abc import Iterator
from contextlib import contextmanager

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from chatapi.ui.json_text import compact
from hooks.urls.webhook_urls import InvalidUrl
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.serializers.hooks import HookSerializer
from instances.api.views.delivery import get_own_instance
from testing_tools.api.lookup import validate
from testing_tools.api.parameters import request_example, response_example
from testing_tools.api.simulation_serializers import (
    NewSimulationSerializer,
    SimulationKindsSerializer,
    SimulationPreviewSerializer,
    draft_of,
    kind_json,
    shown_fields,
)
from testing_tools.simulation.actions import NotSent, send_now
from testing_tools.simulation.drafts import preview_headers
from testing_tools.simulation.kinds import SimulationKind, hook_kind
from testing_tools.simulation.runs import InvalidRun

SIMULATED = schema.HOOK | {"simulated": True, "suggestedSetting": None}
PREVIEW = {
    "kind": "delivered",
    "fields": {
        "recipient": "17680561234",
        "messageId": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
        "queueNumber": "7",
    },
    "url": "https://example.com/hook",
    "headers": [{"name": "webhook-id", "value": "hook_…", "note": "new for each hook"}],
    "body": schema.HOOK_BODY,
    "size": len(schema.HOOK_BODY),
}


class SimulationKindsView(APIView):
    @extend_schema(
        tags=["Simulation"],
        operation_id="listSimulationKinds",
        summary="List the kinds of hooks that can be simulated",
        description="Each with its fields, as on the page Webhook Simulation.",
        responses={200: SimulationKindsSerializer, **schema.error_responses()},
        examples=[response_example("One of them", {"results": [kind_json(SimulationKind.DELIVERED)]})],
    )
    def get(self, request: Request) -> Response:
        return Response({"results": [kind_json(kind) for kind in SimulationKind]})


class SimulationsView(APIView):
    @extend_schema(
        tags=["Simulation"],
        operation_id="simulateHook",
        summary="Simulate a hook",
        description="Sends one hook now, outside the lane, and waits up to 10 s for the response. Returns the hook "
        "with its attempt: the whole request and response, the verdict and what to do (201). With `dryRun` it returns "
        "what would be sent (200). Nothing else changes: no message is stored. `GET hooks/?simulated=true` lists the "
        "simulations. 409 if the instance is not paid or is stopped, or if too many of the account's requests are in "
        "progress or were sent in this minute.",
        parameters=[schema.INSTANCE_ID],
        request=NewSimulationSerializer,
        responses={
            200: SimulationPreviewSerializer,
            201: HookSerializer,
            **schema.error_responses(400, 404, 409),
        },
        examples=[
            response_example("The server failed", SIMULATED, status="201"),
            response_example("A preview", PREVIEW),
            request_example(
                "A message", {"kind": "message", "fields": {"sender": "17680561234", "text": "hello"}}
            ),
            request_example("An ack, preview", {"kind": "delivered", "dryRun": True}),
            request_example(
                "Own JSON to another URL",
                {"kind": "delivered", "body": schema.HOOK_BODY, "url": "https://example.com/test"},
            ),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        given = validate(NewSimulationSerializer(data=request.data))
        draft = draft_of(instance, given)
        body = compact(draft.text)
        url = given.get("url") or instance.endpoint.effective_url()
        if given["dryRun"]:
            preview = {
                "kind": draft.kind,
                "fields": shown_fields(draft),
                "url": url or None,
                "headers": [
                    {"name": name, "value": value, "note": note}
                    for name, value, note in preview_headers(instance, body)
                ],
                "body": body.decode(),
                "size": len(body),
            }
            return Response(SimulationPreviewSerializer(preview).data)
        with refusals():
            hook = send_now(
                instance,
                kind=hook_kind(draft.kind),
                body=body,
                to_url=require_url(url),
                acting_user=current_user(request),
            )
        return Response(HookSerializer(hook).data, status.HTTP_201_CREATED)


def require_url(url: str) -> str:
    """Returns the URL. Raises ValidationError if there is none."""
    if not url:
        raise exceptions.ValidationError({"url": "The instance has no webhook URL. Set one, or send `url`."})
    return url


@contextmanager
def refusals() -> Iterator[None]:
    """Responds 400 if the URL or the plan is invalid, and 409 if nothing can be sent now."""
    try:
        yield
    except InvalidUrl as error:
        raise exceptions.ValidationError({"url": str(error)}) from None
    except InvalidRun as error:
        raise exceptions.ValidationError({"plan": str(error)}) from None
    except NotSent as error:
        raise Conflict(str(error)) from None
