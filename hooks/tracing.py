"""OpenTelemetry traces of hooks, if OTEL_EXPORTER_OTLP_ENDPOINT is set.

A hook is a trace. Its first span lasts from the event to the end of the first attempt, so it shows how long the hook
waited; each attempt is a child. The request has the attempt's span in its `traceparent` header, where an endpoint with
traces of its own continues. Ids are computed from the `webhook-id`, so nothing is stored, and dispatchers, retries and
resends continue the same trace.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from hooks.dispatch.attempts import AttemptResult
    from hooks.spans import Spans

log = logging.getLogger(__name__)

HEADER = "traceparent"


@functools.cache
def spans() -> Spans | None:
    """Returns what exports spans in this process; None without the setting. The SDK is loaded here: it takes 10 MB.

    None too if the SDK refuses another of its settings, which must not stop deliveries.
    """
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return None
    from hooks.spans import Spans

    try:
        return Spans(settings.OTEL_EXPORTER_OTLP_ENDPOINT, settings.VERSION)
    except ValueError as error:  # it names the setting
        log.error("No traces are exported: %s", error)
        return None


def headers(webhook_id: str, at: datetime) -> dict[str, str]:
    """Returns the header of an attempt that starts `at`; none if the hook is not traced."""
    exporting = spans()
    found = exporting.traceparent(webhook_id, at) if exporting else None
    return {HEADER: found} if found else {}


def export(results: Sequence[AttemptResult]) -> None:
    """Queue the spans of recorded attempts. They are dropped if the collector does not keep up."""
    if exporting := spans():
        for result in results:
            exporting.add(result)


def flush() -> None:
    """Export what is queued, within two seconds: the process ends."""
    if exporting := spans():
        exporting.flush()
