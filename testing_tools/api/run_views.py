"""Runs of several simulated hooks: plan, read, send the next ones, cancel."""

import uuid

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from chatapi.ui.json_text import compact
from instances.api import schema
from instances.api.views.delivery import get_own_instance
from instances.limits import manual_request_limit
from testing_tools.api.lookup import validate
from testing_tools.api.parameters import request_example, response_example
from testing_tools.api.run_serializers import NewRunSerializer, RunSerializer
from testing_tools.api.simulation_serializers import draft_of
from testing_tools.api.simulation_views import refusals, require_url
from testing_tools.simulation.actions import NotSent, advance, cancel_run, create_run, raise_if_blocked
from testing_tools.simulation.models import Plan, SimulationRun
from testing_tools.simulation.runs import KEPT_RUNS, show_run

STEP = {"kind": "message", "attempt": 1}
RUN = {
    "id": "run_0192f4c65d7b4c33a1e04be1f1d6e1aa",
    "plan": "duplicates",
    "state": "running",
    "url": "https://example.com/hook",
    "pause": 0.0,
    "createdAt": "2030-01-01T09:00:00Z",
    "nextAt": "2030-01-01T09:00:00.300000Z",
    "done": 1,
    "steps": [
        {"number": 1, "label": "Hook", **STEP, "hookId": schema.HOOK["id"], "verdict": "delivered"},
        {"number": 2, "label": "Duplicate", **STEP, "attempt": 2, "hookId": None, "verdict": None},
    ],
}
RUN_ID = OpenApiParameter("runId", str, OpenApiParameter.PATH, description="The run's `id`.")
ONE_RUN = response_example("One of two was sent", RUN)


class RunsView(APIView):
    @extend_schema(
        tags=["Simulation"],
        operation_id="createRun",
        summary="Plan a run of simulated hooks",
        description=f"Nothing is sent yet: each `stepRun` sends the next hooks. The newest {KEPT_RUNS} runs of an "
        "instance are kept; the hooks of older ones stay in the log. 409 if the instance is not paid or is stopped.",
        parameters=[schema.INSTANCE_ID],
        request=NewRunSerializer,
        responses={201: RunSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            response_example("Planned", RUN, status="201"),
            request_example("One message twice", {"kind": "message", "plan": "duplicates", "count": 2}),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        given = validate(NewRunSerializer(data=request.data))
        draft = draft_of(instance, given)
        with refusals():
            raise_if_blocked(instance)
            run = create_run(
                instance,
                kind=draft.kind,
                plan=Plan(given["plan"]),
                body=compact(draft.text),
                to_url=require_url(given.get("url") or instance.endpoint.effective_url()),
                count=given["count"],
                pause=given["pause"],
                acting_user=current_user(request),
            )
        return Response(RunSerializer(show_run(run)).data, status.HTTP_201_CREATED)


def get_run(request: Request, number: str, run_id: str) -> SimulationRun:
    """Returns the run of the account's instance. Raises NotFound."""
    instance = get_own_instance(request, number)
    try:
        public_id = uuid.UUID(run_id.removeprefix("run_"))
    except ValueError:
        public_id = None
    found = (
        SimulationRun.objects.filter(instance=instance, public_id=public_id).first() if public_id else None
    )
    if found is None:
        raise exceptions.NotFound(f"Instance {number} has no run {run_id}.")
    found.instance = instance
    return found


class RunView(APIView):
    @extend_schema(
        tags=["Simulation"],
        operation_id="readRun",
        summary="Read a run",
        parameters=[schema.INSTANCE_ID, RUN_ID],
        responses={200: RunSerializer, **schema.error_responses(404)},
        examples=[ONE_RUN],
    )
    def get(self, request: Request, id: str, runId: str) -> Response:
        return Response(RunSerializer(show_run(get_run(request, id, runId))).data)


class StepView(APIView):
    @extend_schema(
        tags=["Simulation"],
        operation_id="stepRun",
        summary="Send the next hooks of a run",
        description="Sends those that are due, for about a second, and waits for their responses; a hook may take up "
        "to 10 s. Repeat it until `state` is `finished`. Of two calls at the same time, one sends. 409 if the instance "
        "is not paid or is stopped, or if too many of the account's requests are in progress or were sent in this "
        "minute; the run stays as it is.",
        parameters=[schema.INSTANCE_ID, RUN_ID],
        request=None,
        responses={200: RunSerializer, **schema.error_responses(400, 404, 409)},
        examples=[ONE_RUN],
    )
    def post(self, request: Request, id: str, runId: str) -> Response:
        run = get_run(request, id, runId)
        with refusals():
            raise_if_blocked(run.instance)
            try:
                with manual_request_limit.place(request.user):
                    advance(run)
            except manual_request_limit.TooMany as error:
                raise NotSent(str(error)) from None
        return Response(RunSerializer(show_run(run)).data)


class CancelRunView(APIView):
    @extend_schema(
        tags=["Simulation"],
        operation_id="cancelRun",
        summary="Cancel a run",
        description="A hook that is being sent is still sent. Does nothing if the run is finished.",
        parameters=[schema.INSTANCE_ID, RUN_ID],
        request=None,
        responses={200: RunSerializer, **schema.error_responses(404)},
        examples=[response_example("Cancelled", RUN | {"state": "cancelled"})],
    )
    def post(self, request: Request, id: str, runId: str) -> Response:
        run = cancel_run(get_run(request, id, runId), acting_user=current_user(request))
        return Response(RunSerializer(show_run(run)).data)
