"""Statistics of all instances, one, or an endpoint: the chart above the log with durations; the health of endpoints."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hooks.explain.verdicts import explanation_in_full
from hooks.log.chart import MAX_BARS, STEPS, Bar, Chart, chart_of
from hooks.log.durations import NEWEST, Durations, durations_between
from hooks.log.endpoint_health import NEWEST as MEASURED
from hooks.log.endpoint_health import Health, health_of
from hooks.models import Endpoint
from instances.api import schema
from instances.api.serializers.strict import StrictSerializer
from instances.api.views.delivery import DeliverySerializer, get_own_instance
from instances.api.views.endpoints import get_own_endpoint
from instances.models import Instance

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
OUT_OF_RANGE = "Must be a time from 2000 to 2099."
DAY = timedelta(days=1)


class PeriodSerializer(StrictSerializer):
    """The period of the statistics."""

    createdAfter = serializers.DateTimeField(
        required=False, help_text="Events at this time or later, ISO 8601. Default: 24 hours before the end."
    )
    createdBefore = serializers.DateTimeField(
        required=False, help_text="Events before this time, ISO 8601. Default: now."
    )
    step = serializers.ChoiceField(
        choices=[(str(step), str(step)) for step in STEPS],
        required=False,
        help_text=f"The length of a bar in seconds. Default: the shortest with at most {MAX_BARS} bars.",
        error_messages={"invalid_choice": f"Must be one of: {', '.join(str(step) for step in STEPS)}."},
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wrong: dict[str, Any] = {
            name: OUT_OF_RANGE
            for name in ("createdAfter", "createdBefore")
            if name in attrs and not EARLIEST <= attrs[name] < LATEST
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        end = attrs.get("createdBefore") or timezone.now()
        start = attrs.get("createdAfter") or end - DAY
        if start >= end:
            raise serializers.ValidationError({"createdAfter": "Must be before `createdBefore`."})
        step = int(attrs.get("step", 0))
        if step and (end - start).total_seconds() / step > MAX_BARS:
            least = math.ceil((end - start).total_seconds() / MAX_BARS)
            raise serializers.ValidationError(
                {"step": f"Must be at least {least} for this period: there are at most {MAX_BARS} bars."}
            )
        return {"start": start, "end": end, "step": step}


class DurationsSerializer(serializers.Serializer[Durations]):
    """How long the last attempt of hooks took. Null if there is none."""

    hooks = serializers.IntegerField(help_text="The number of hooks that were measured.")
    p50Ms = serializers.FloatField(source="p50", allow_null=True, help_text="The median, in milliseconds.")
    p95Ms = serializers.FloatField(source="p95", allow_null=True, help_text="The 95th percentile.")
    p99Ms = serializers.FloatField(source="p99", allow_null=True, help_text="The 99th percentile.")


class CountsSerializer(serializers.Serializer[Any]):
    """The number of hooks by their state now."""

    delivered = serializers.IntegerField()
    failed = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Queued, being sent or retrying.")
    notSent = serializers.IntegerField(source="skipped", help_text="Skipped or cancelled.")


class BarSerializer(serializers.Serializer[Any]):
    """The hooks whose event was at `start` or later and before `end`."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    counts = CountsSerializer()
    durations = DurationsSerializer()


class StatisticsSerializer(serializers.Serializer[Any]):
    """The chart above the delivery log."""

    step = serializers.IntegerField(help_text="The length of a bar in seconds.")
    complete = serializers.BooleanField(
        help_text="False: there are too many hooks to count, so the earlier bars are left out."
    )
    counts = CountsSerializer(help_text="Of all bars.")
    durations = DurationsSerializer(help_text="Of all bars.")
    bars = BarSerializer(many=True, help_text="Oldest first. Each starts at a multiple of the step.")


class HealthFailureSerializer(serializers.Serializer[Any]):
    """The newest hook whose last attempt failed, among those that were measured."""

    hookId = serializers.CharField()
    at = serializers.DateTimeField()
    explanation = serializers.CharField(help_text="What happened.")
    nextStep = serializers.CharField(help_text="What to do.")


class HealthSerializer(serializers.Serializer[Any]):
    """The health of an endpoint, as its page shows it."""

    delivery = DeliverySerializer()
    measured = serializers.IntegerField(
        help_text=f"The newest hooks with an attempt that were measured, at most {MEASURED}."
    )
    p50Ms = serializers.FloatField(allow_null=True, help_text="The median duration of their last attempt.")
    p95Ms = serializers.FloatField(allow_null=True, help_text="The 95th percentile.")
    failure = HealthFailureSerializer(allow_null=True, help_text="Null: none of them failed.")


COUNTS = {"delivered": 118, "failed": 2, "waiting": 1, "notSent": 0}
DURATIONS = {"hooks": 120, "p50Ms": 41.5, "p95Ms": 180.2, "p99Ms": 310.9}
STATISTICS = {
    "step": 3600,
    "complete": True,
    "counts": COUNTS,
    "durations": DURATIONS,
    "bars": [
        {
            "start": "2030-01-01T09:00:00Z",
            "end": "2030-01-01T10:00:00Z",
            "counts": COUNTS,
            "durations": DURATIONS,
        }
    ],
}
DESCRIPTION = (
    "What the chart above the delivery log shows: how many hooks are delivered, failed, waiting or not sent, for each "
    f"step of the period, and how long their last attempts took. Durations are those of the newest {NEWEST} hooks, "
    "without simulations."
)


def read_statistics(request: Request, endpoint_ids: list[int]) -> Response:
    period = PeriodSerializer(data=request.query_params.dict())
    period.is_valid(raise_exception=True)
    given = period.validated_data
    chart = chart_of(endpoint_ids, given["start"], given["end"], min_step=given["step"])
    return Response(StatisticsSerializer(describe(chart, endpoint_ids)).data)


def describe(chart: Chart, endpoint_ids: list[int]) -> dict[str, Any]:
    """Returns what StatisticsSerializer shows: the chart with the durations of each bar."""
    total, by_bar = Durations(), dict[int, Durations]()
    if chart.bars:
        edges = [bar.start for bar in chart.bars] + [chart.bars[-1].end]
        total, by_bar = durations_between(endpoint_ids, edges)
    return {
        "step": chart.step,
        "complete": not chart.is_cut,
        "counts": chart.totals,
        "durations": total,
        "bars": [describe_bar(bar, by_bar.get(place, Durations())) for place, bar in enumerate(chart.bars)],
    }


def describe_bar(bar: Bar, durations: Durations) -> dict[str, Any]:
    return {"start": bar.start, "end": bar.end, "counts": bar.counts, "durations": durations}


class StatisticsView(APIView):
    @extend_schema(
        tags=["Instances"],
        operation_id="getStatistics",
        summary="Get the statistics of an instance",
        description=f"{DESCRIPTION} Those of all its endpoints, removed ones too.",
        parameters=[schema.INSTANCE_ID, PeriodSerializer],
        responses={200: StatisticsSerializer, **schema.error_responses(400, 404)},
        examples=[OpenApiExample("One hour", value=STATISTICS, response_only=True)],
    )
    def get(self, request: Request, id: str) -> Response:
        return read_statistics(request, get_own_instance(request, id).endpoint.sibling_ids)


class AccountStatisticsView(APIView):
    @extend_schema(
        tags=["Account"],
        operation_id="getAccountStatistics",
        summary="Get the statistics of all instances",
        description=f"{DESCRIPTION} Those of all instances together.",
        parameters=[PeriodSerializer],
        responses={200: StatisticsSerializer, **schema.error_responses(400)},
        examples=[OpenApiExample("One hour", value=STATISTICS, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        own = Endpoint.objects.of_instances(Instance.objects.of_account(request.auth))
        return read_statistics(request, list(own.values_list("pk", flat=True)))


class EndpointStatisticsView(APIView):
    @extend_schema(
        tags=["Endpoints"],
        operation_id="getEndpointStatistics",
        summary="Get the statistics of an endpoint",
        description=DESCRIPTION,
        parameters=[schema.INSTANCE_ID, schema.ENDPOINT_ID, PeriodSerializer],
        responses={200: StatisticsSerializer, **schema.error_responses(400, 404)},
        examples=[OpenApiExample("One hour", value=STATISTICS, response_only=True)],
    )
    def get(self, request: Request, id: str, endpointId: str) -> Response:
        return read_statistics(request, [get_own_endpoint(request, id, endpointId).pk])


class EndpointHealthView(APIView):
    @extend_schema(
        tags=["Endpoints"],
        operation_id="getEndpointHealth",
        summary="Get the health of an endpoint",
        description="The numbers of its delivery, the durations of its newest hooks, and the last failure among them.",
        parameters=[schema.INSTANCE_ID, schema.ENDPOINT_ID],
        responses={200: HealthSerializer, **schema.error_responses(404)},
        examples=[
            OpenApiExample(
                "One failure",
                value={
                    "delivery": {
                        "waiting": 0,
                        "oldestWaitingAt": None,
                        "sentLastHour": 40,
                        "deliveredLastHour": 39,
                    },
                    "measured": 1000,
                    "p50Ms": 41.5,
                    "p95Ms": 180.2,
                    "failure": {
                        "hookId": schema.HOOK["id"],
                        "at": "2030-01-01T09:00:00.124000Z",
                        "explanation": "example.com responded with 500: your server failed while handling it.",
                        "nextStep": "Check your server's error log for this time.",
                    },
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, id: str, endpointId: str) -> Response:
        health = health_of([get_own_endpoint(request, id, endpointId).pk])
        return Response(HealthSerializer(describe_health(health)).data)


def describe_health(health: Health) -> dict[str, Any]:
    failure = None
    if health.failed and health.failure and health.explanation:
        failure = {
            "hookId": health.failed.webhook_id,
            "at": health.failure.started_at,
            "explanation": explanation_in_full(health.failure),
            "nextStep": health.explanation.next_step,
        }
    return {
        "delivery": health.numbers,
        "measured": health.tried,
        "p50Ms": health.p50,
        "p95Ms": health.p95,
        "failure": failure,
    }
