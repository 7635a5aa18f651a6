"""Fetching hooks from behind a firewall: start and stop a run, take its next hooks, report what became of them.

chatapi/listen.py is the program that does.
"""

import uuid
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from chatapi.ui.numbers import parse_digits
from hooks.actions import listening
from hooks.actions.hooks import NotPossible
from hooks.explain.sentences import explain_hook
from hooks.http import LOGGED_BYTES, MAX_RESPONSE_BYTES
from hooks.log.endpoint_numbers import numbers_of
from hooks.models import Endpoint
from hooks.urls.webhook_urls import InvalidUrl
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.filters import ENDPOINT_DIGITS
from instances.api.serializers.listening import (
    ListenerSerializer,
    NewListenerSerializer,
    PortionSerializer,
    RecordedListSerializer,
    ReportsSerializer,
    WaitSerializer,
    hook_json,
    report_of,
)
from instances.api.views.instances import get_instance
from instances.limits import waiting_calls
from instances.models import Instance

LISTENER_ID = OpenApiParameter("listenerId", str, OpenApiParameter.PATH, description="The run's `id`.")
PARAMETERS = [schema.INSTANCE_ID, LISTENER_ID]
LISTENER = {
    "id": "1099511627776-5b1c3f5e0a3d4a6c9e8f7a6b5c4d3e2f",
    "endpointId": "1099511627776",
    "name": "My computer",
    "url": "http://localhost:3000/hook",
    "waiting": 12,
    "leaseSeconds": 30.0,
    "deadlineMs": 10000,
    "connectMs": 5000,
    "responseBytes": 65536,
    "loggedBytes": 8192,
}
CLAIM = "WzE3LDEsMCwxLCJldmVudCJd:1wBq2k:kZ0g"
TAKEN = {
    "hooks": [
        {
            "id": schema.HOOK["id"],
            "kind": "ack",
            "createdAt": "2030-01-01T09:00:00.120000Z",
            "attempt": 1,
            "headers": [
                ["Host", "localhost:3000"],
                ["Content-Type", "application/json"],
                ["User-Agent", "ChatAPI/0.2.0"],
                ["webhook-id", schema.HOOK["id"]],
                ["webhook-timestamp", "1893488400"],
                ["webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],
                ["webhook-attempt", "1/1"],
                ["Content-Length", str(len(schema.HOOK_BODY))],
            ],
            "body": schema.HOOK_BODY,
            "claim": CLAIM,
        }
    ],
    "paused": False,
}
REPORT = {
    "results": [
        {
            "claim": CLAIM,
            "status": 200,
            "headers": [["Content-Type", "text/plain"]],
            "body": "b2s=",
            "address": "127.0.0.1:3000",
            "delayMs": 2.5,
            "times": {"nameMs": 0.2, "connectMs": 0.4, "firstByteMs": 7.9, "totalMs": 8.1},
        }
    ]
}


def get_own_instance(request: Request, number: str) -> Instance:
    return get_instance(Instance.objects.of_account(request.auth), number)


def get_run(request: Request, number: str, listener_id: str, *, or_removed: bool = False) -> listening.Run:
    """Returns the run with its endpoint, also one that was replaced. Raises NotFound.

    With `or_removed`, the endpoint may have been removed while the run had hooks of it.
    """
    instance = get_own_instance(request, number)
    endpoint_id, _, key = listener_id.partition("-")
    parsed = parse_digits(endpoint_id, max_digits=ENDPOINT_DIGITS)
    try:
        run_key = uuid.UUID(key)
    except ValueError:
        run_key = None
    endpoint = None
    if parsed is not None and run_key is not None:
        endpoints = Endpoint.objects.all() if or_removed else Endpoint.objects.present()
        endpoint = endpoints.filter(instance=instance, is_listener=True, pk=parsed).first()
    if endpoint is None or run_key is None:
        raise exceptions.NotFound(f"Instance {number} has no listener {listener_id[:80]}. Start one.")
    return listening.Run(endpoint, run_key)


def validated(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given


@extend_schema(tags=["Listening"])
class ListenersView(APIView):
    @extend_schema(
        operation_id="startListener",
        summary="Start fetching hooks",
        description="Uses the listening endpoint with this name, or adds it: it gets a hook of every event, which "
        "waits until it is taken, also while no program runs. A run that fetches its hooks already is replaced. "
        "`python -m chatapi.listen` calls this and the following operations.",
        parameters=[schema.INSTANCE_ID],
        request=NewListenerSerializer,
        responses={201: ListenerSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            OpenApiExample("Started", value=LISTENER, response_only=True),
            OpenApiExample("A laptop", value={"url": "http://localhost:3000/hook"}, request_only=True),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        given = validated(NewListenerSerializer(data=request.data))
        try:
            run = listening.start(instance.pk, acting_user=current_user(request), **given)
        except InvalidUrl as error:
            raise exceptions.ValidationError({"url": str(error)}) from None
        except NotPossible as reason:
            raise Conflict(str(reason)) from None
        endpoint = run.endpoint
        found = {
            "id": f"{endpoint.pk}-{run.key.hex}",
            "endpointId": str(endpoint.pk),
            "name": endpoint.name,
            "url": endpoint.url,
            "waiting": numbers_of([endpoint.pk])[endpoint.pk].waiting,
            "leaseSeconds": listening.LEASE.total_seconds(),
            "deadlineMs": settings.HOOKS_DEADLINE_MS,
            "connectMs": settings.HOOKS_CONNECT_MS,
            "responseBytes": MAX_RESPONSE_BYTES,
            "loggedBytes": LOGGED_BYTES,
        }
        return Response(ListenerSerializer(found).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["Listening"])
class ListenerView(APIView):
    @extend_schema(
        operation_id="stopListener",
        summary="Stop fetching hooks",
        description="What was taken and not reported waits again. The endpoint stays, and gets further hooks.",
        parameters=PARAMETERS,
        request=None,
        responses={204: OpenApiResponse(description="Stopped"), **schema.error_responses(404)},
    )
    def delete(self, request: Request, id: str, listenerId: str) -> Response:
        listening.stop(get_run(request, id, listenerId))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["Listening"])
class TakeView(APIView):
    @extend_schema(
        operation_id="takeHooks",
        summary="Take the next hooks",
        description=f"Up to {listening.PORTION} hooks in order; with `strictOrder` one. Send them one after the other, "
        "and report each. What this run took before and has not reported is given again. With `wait`, the response is "
        "delayed until there is a hook; send no body then. At most 20 calls of an account wait at a time; further ones "
        "respond immediately. 409: another run has replaced this one.",
        parameters=[
            *PARAMETERS,
            OpenApiParameter(
                "wait", float, description="How long to wait for a hook, in seconds, at most 30. Default: 0."
            ),
        ],
        request=None,
        responses={200: PortionSerializer, **schema.error_responses(400, 404, 409)},
        examples=[OpenApiExample("One", value=TAKEN, response_only=True)],
    )
    def post(self, request: Request, id: str, listenerId: str) -> Response:
        run = get_run(request, id, listenerId)
        query = validated(WaitSerializer(data=request.query_params.dict()))
        try:
            hooks = listening.take(run)
        except listening.Replaced as reason:
            raise Conflict(str(reason)) from None
        is_paused = run.endpoint.paused_at is not None or run.endpoint.cancel_up_to is not None
        found = {"hooks": [hook_json(taken) for taken in hooks], "paused": is_paused}
        response = Response(PortionSerializer(found).data)
        if not hooks:
            waiting_calls.wait(
                response, request._request, query["wait"], owner=request.auth.pk, lane=run.endpoint.pk
            )
        return response


@extend_schema(tags=["Listening"])
class ReportView(APIView):
    @extend_schema(
        operation_id="reportHooks",
        summary="Report the local server's responses",
        description="Each is logged as an attempt of its hook, and decides like one whether the hook is delivered, "
        "retried or failed. Repeating a report changes nothing. A report of a run that was replaced is accepted and "
        "logged; if the hook was taken again, it does not change its state. So is one for an endpoint that was removed "
        "after the hook had been taken.",
        parameters=PARAMETERS,
        request=ReportsSerializer,
        responses={200: RecordedListSerializer, **schema.error_responses(400, 404)},
        examples=[
            OpenApiExample("A response", value=REPORT, request_only=True),
            OpenApiExample(
                "Delivered",
                value={
                    "results": [
                        {
                            "id": schema.HOOK["id"],
                            "state": "delivered",
                            "explanation": "Delivered, attempt 1 of 1: localhost responded with 200.",
                        }
                    ]
                },
                response_only=True,
            ),
        ],
    )
    def post(self, request: Request, id: str, listenerId: str) -> Response:
        run = get_run(request, id, listenerId, or_removed=True)
        given = validated(ReportsSerializer(data=request.data))["results"]
        try:
            hooks = listening.record(run, [report_of(one) for one in given])
        except listening.InvalidClaim as error:
            raise exceptions.ValidationError({"results": str(error)}) from None
        results = []
        for hook in hooks.values():
            hook.endpoint = run.endpoint
            results.append({"id": hook.webhook_id, "state": hook.state, "explanation": explain_hook(hook)})
        return Response(RecordedListSerializer({"results": results}).data)
