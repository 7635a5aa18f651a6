"""With OTEL_EXPORTER_OTLP_ENDPOINT, a dispatcher exports spans; they are read by OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hooks.models import Attempt, Hook
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, emit, wait_until
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a-very-secret-value"


class Collector:
    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.paths: set[str] = set()
        self.content = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    content = gzip.decompress(content)
                collector.paths.add(self.path)
                collector.content += content
                for found in ExportTraceServiceRequest.FromString(content).resource_spans:
                    collector.resources.append(values(found.resource.attributes))
                    for scope in found.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Collector:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


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
        Dispatch(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as dispatch,
    ):
        endpoint = InstanceFactory(url=f"{receiver.url}{SECRET}?key={SECRET}", guaranteed=True).endpoint
        [hook] = hooks = emit(endpoint)
        wait_until(lambda: are_finished(hooks), "the hook has finished", 120)
        sent = [request.headers["traceparent"].split("-") for request in receiver.requests]
        dispatch.stop()

    assert collector.paths == {"/v1/traces"}
    assert {one["service.name"] for one in collector.resources} == {"chatapi"}
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
    assert SECRET.encode() not in collector.content
    assert dict(first.request_headers)["traceparent"] == "-".join(sent[0])


def test_a_sampler_leaves_out_hooks(tmp_path: Path, collector: Collector) -> None:
    environment = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    with (
        Receiver() as receiver,
        Dispatch(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **environment) as dispatch,
    ):
        hooks = emit(InstanceFactory(url=receiver.url).endpoint, 200)
        wait_until(lambda: are_finished(hooks), "the hooks have finished", 120)
        dispatch.stop()
    traced = [request for request in receiver.requests if "traceparent" in request.headers]
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


def test_without_the_setting_there_is_no_header(tmp_path: Path) -> None:
    with Receiver() as receiver, Dispatch(tmp_path):
        hooks = emit(InstanceFactory(url=receiver.url).endpoint)
        wait_until(lambda: are_finished(hooks), "the hook has finished")
    assert "traceparent" not in receiver.requests[0].headers
