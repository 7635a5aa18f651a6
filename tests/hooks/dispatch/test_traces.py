"""With OTEL_EXPORTER_OTLP_ENDPOINT, a dispatcher exports spans; they are read by OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hooks import spans, tracing
from hooks.dispatch.attempts import attempt_result
from hooks.http import Response
from hooks.models import Attempt, Hook, Outcome, new_public_id
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, Held, emit, wait_until
from tests.hooks.dispatch.test_lanes import hook as claimed
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a-very-secret-value"


class Collector(Receiver):
    """What a collector was sent, decoded."""

    @property
    def contents(self) -> list[bytes]:
        return [
            gzip.decompress(request.body)
            if request.headers.get("content-encoding") == "gzip"
            else request.body
            for request in self.requests
        ]

    @property
    def resource_spans(self) -> list[Any]:
        return [
            found
            for content in self.contents
            for found in ExportTraceServiceRequest.FromString(content).resource_spans
        ]

    @property
    def spans(self) -> list[Any]:
        return [span for found in self.resource_spans for scope in found.scope_spans for span in scope.spans]


def origin(collector: Receiver) -> str:
    return f"http://127.0.0.1:{collector.port}"


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def are_finished(hooks: list[Hook]) -> bool:
    return not Hook.objects.filter(pk__in=[hook.pk for hook in hooks], finished_at=None).exists()


def test_a_hook_is_a_trace_with_a_span_for_each_attempt(tmp_path: Path, collector: Collector) -> None:
    with (
        Receiver([(500, {}, SECRET.encode()), (200, {}, b"")]) as receiver,
        Dispatch(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=origin(collector)) as dispatch,
    ):
        endpoint = InstanceFactory(url=f"{receiver.url}{SECRET}?key={SECRET}", guaranteed=True).endpoint
        [hook] = hooks = emit(endpoint)
        wait_until(lambda: are_finished(hooks), "the hook has finished", 120)
        sent = [request.headers["traceparent"].split("-") for request in receiver.requests]
        wait_until(lambda: len(collector.spans) >= 3, "the spans are exported", 120)
        dispatch.stop()

    assert {request.path for request in collector.requests} == {"/v1/traces"}
    resources = [values(found.resource.attributes) for found in collector.resource_spans]
    assert {one["service.name"] for one in resources} == {"chatapi"}
    [root] = [span for span in collector.spans if span.name == "hook"]
    attempts = sorted(
        (span for span in collector.spans if span.name == "attempt"),
        key=lambda span: span.start_time_unix_nano,
    )
    assert [(span.trace_id.hex(), span.span_id.hex()) for span in attempts] == [
        (trace, span) for _, trace, span, _ in sent
    ]
    assert {span.parent_span_id for span in attempts} == {root.span_id}
    assert {span.trace_id for span in attempts} == {root.trace_id}
    assert root.parent_span_id == b""
    about = [values(span.attributes) for span in attempts]
    assert [one["chatapi.outcome"] for one in about] == ["not_200", "ok"]
    assert [one["chatapi.attempt"] for one in about] == [1, 2]
    assert [one["http.response.status_code"] for one in about] == [500, 200]
    assert {one["server.address"] for one in about} == {"127.0.0.1"}
    assert {one["chatapi.webhook_id"] for one in about} == {hook.webhook_id}
    assert {one["chatapi.instance"] for one in about} == {endpoint.instance_id}
    first = Attempt.objects.filter(hook=hook).order_by("number")[0]
    ends = first.started_at + timedelta(milliseconds=first.total_ms)
    assert abs(root.end_time_unix_nano / 1e9 - ends.timestamp()) < 0.001
    assert abs(root.start_time_unix_nano / 1e9 - hook.created_at.timestamp()) < 60
    assert SECRET.encode() not in b"".join(collector.contents)
    assert dict(first.request_headers)["traceparent"] == "-".join(sent[0])


def test_a_sampler_leaves_out_hooks(tmp_path: Path, collector: Collector) -> None:
    environment = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    with (
        Receiver() as receiver,
        Dispatch(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=origin(collector), **environment) as dispatch,
    ):
        hooks = emit(InstanceFactory(url=receiver.url).endpoint, 200)
        wait_until(lambda: are_finished(hooks), "the hooks have finished", 120)
        traced = [request for request in receiver.requests if "traceparent" in request.headers]
        wait_until(lambda: len(collector.spans) >= 2 * len(traced), "the spans are exported", 120)
        dispatch.stop()
    assert 40 < len(traced) < 160
    assert len(collector.spans) == 2 * len(traced)


def test_hooks_are_delivered_while_the_collector_is_away(tmp_path: Path) -> None:
    with (
        Receiver() as receiver,
        Dispatch(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as dispatch,
    ):
        hooks = emit(InstanceFactory(url=receiver.url).endpoint, 10)
        wait_until(lambda: are_finished(hooks), "the hooks have finished", 120)
        dispatch.stop()
    assert len(receiver.requests) == 10


def test_a_dispatcher_stops_while_the_collector_does_not_respond(tmp_path: Path) -> None:
    held = Held()
    with (
        Receiver() as receiver,
        Receiver(held) as collector,
        Dispatch(
            tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=origin(collector), OTEL_EXPORTER_OTLP_TIMEOUT="3600"
        ) as dispatch,
    ):
        hooks = emit(InstanceFactory(url=receiver.url).endpoint, 10)
        wait_until(lambda: are_finished(hooks), "the hooks have finished", 120)
        held.wait_for_arrival(120)
        try:
            assert dispatch.stop() == 0
        finally:
            held.release.set()


def test_a_stop_exports_what_is_queued(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "EXPORT_MS", 3_600_000)
    monkeypatch.setattr(spans, "FLUSH_SECONDS", 60)
    exporting = spans.Spans(origin(collector), "1")
    hook, at = claimed(1), datetime.now(UTC)
    hook.webhook_id = f"hook_{new_public_id().hex}"
    traceparent = exporting.traceparent(hook.webhook_id, at)
    assert traceparent
    exporting.add(attempt_result(hook, at, {tracing.HEADER: traceparent}, Response(Outcome.OK, status=200)))
    exporting.flush()
    assert [span.name for span in collector.spans] == ["hook", "attempt"]


def test_a_setting_that_the_sdk_refuses_stops_no_delivery(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:1"
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1000000")
    tracing.spans.cache_clear()
    try:
        for _ in range(2):
            assert tracing.headers(f"hook_{new_public_id().hex}", datetime.now(UTC)) == {}
        tracing.flush()
    finally:
        tracing.spans.cache_clear()
    assert caplog.text.count("No traces are exported: max_export_batch_size must be") == 1


def test_without_the_setting_there_is_no_header(tmp_path: Path) -> None:
    with Receiver() as receiver, Dispatch(tmp_path):
        hooks = emit(InstanceFactory(url=receiver.url).endpoint)
        wait_until(lambda: are_finished(hooks), "the hook has finished")
    assert "traceparent" not in receiver.requests[0].headers
