"""The spans of hooks, by OpenTelemetry's SDK; hooks/tracing.py says what they are.

The SDK's settings work as in any program: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, …
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from threading import Thread
from urllib.parse import urlsplit
from uuid import UUID

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from hooks.dispatch.attempts import AttemptResult
from hooks.models import Outcome
from hooks.tracing import HEADER

QUEUE = 10_000  # spans; more are dropped
EXPORT_MS, FLUSH_SECONDS = 1_000, 2


def number(content: str, size: int) -> int:
    """Returns the same `size` bytes for the same content: an id."""
    return int.from_bytes(blake2b(content.encode(), digest_size=size).digest(), "big")


def trace_of(webhook_id: str) -> int:
    # Not the id's own bytes: they begin with the time, by which samplers would choose.
    return number(webhook_id, 16)


def span_of(webhook_id: str, what: str) -> int:
    return number(f"{webhook_id} {what}", 8)


def context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def created_at(webhook_id: str) -> datetime:
    """Returns the time in a `webhook-id`, which is a UUID of version 7."""
    return datetime.fromtimestamp((UUID(webhook_id.removeprefix("hook_")).int >> 80) / 1000, UTC)


def nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e9)


class Spans:
    """Exports to a collector at this URL, in OTLP over HTTP, from a thread of its own."""

    def __init__(self, endpoint: str, version: str) -> None:
        default = Resource({"service.name": "chatapi", "service.version": version})
        self.resource = default.merge(OTELResourceDetector().detect())
        # It creates no spans, because each has an id before it has begun; it reads the settings of sampling.
        self.sampler = TracerProvider(resource=self.resource, shutdown_on_exit=False).sampler
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self.processor = BatchSpanProcessor(exporter, QUEUE, schedule_delay_millis=EXPORT_MS)

    def traceparent(self, webhook_id: str, at: datetime) -> str | None:
        """Returns the header's value (W3C Trace Context); None if the sampler leaves the hook out."""
        trace = trace_of(webhook_id)
        if not self.sampler.should_sample(None, trace, "hook").decision.is_sampled():
            return None
        return f"00-{trace:032x}-{span_of(webhook_id, at.isoformat()):016x}-01"

    def add(self, result: AttemptResult) -> None:
        if not (sent := result.headers.get(HEADER)):
            return
        hook, response = result.hook, result.response
        _, trace, span, _ = sent.split("-")
        ends = result.started_at + timedelta(milliseconds=response.total_ms)
        own = context(int(trace, 16), int(span, 16))
        root = context(own.trace_id, span_of(hook.webhook_id, "hook"))
        about: dict[str, str | int] = {
            "chatapi.webhook_id": hook.webhook_id,
            "chatapi.instance": hook.instance_id,
            "chatapi.endpoint": hook.endpoint_id,
        }
        if hook.attempts_made == 0:
            begins = min(created_at(hook.webhook_id), result.started_at)
            self.end("hook", root, None, begins, ends, about)
        url = urlsplit(hook.url)  # whose path and query may have a token
        about |= {
            "chatapi.attempt": hook.attempts_made + 1,
            "chatapi.outcome": response.outcome.value,
            "http.request.method": "POST",
            "server.address": url.hostname or "",
        }
        if response.status is not None:
            about["http.response.status_code"] = response.status
        is_ok = response.outcome == Outcome.OK
        self.end("attempt", own, root, result.started_at, ends, about, SpanKind.CLIENT, is_ok=is_ok)

    def end(
        self,
        name: str,
        own: SpanContext,
        parent: SpanContext | None,
        begins: datetime,
        ends: datetime,
        attributes: dict[str, str | int],
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        is_ok: bool = True,
    ) -> None:
        span = ReadableSpan(
            name,
            own,
            parent,
            self.resource,
            dict(attributes),
            kind=kind,
            status=Status() if is_ok else Status(StatusCode.ERROR, str(attributes["chatapi.outcome"])),
            start_time=nanoseconds(begins),
            end_time=nanoseconds(ends),
        )
        self.processor.on_end(span)

    def flush(self) -> None:
        # The SDK takes a timeout and ignores it: it waits ten seconds for each batch that a collector does not accept.
        exporting = Thread(target=self.processor.force_flush, daemon=True)
        exporting.start()
        exporting.join(FLUSH_SECONDS)
