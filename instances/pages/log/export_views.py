"""The log as a download."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatapi.ui.downloads import as_download
from chatapi.ui.numbers import parse_digits
from instances.pages.log import export as log_export
from instances.pages.log.filters import Filters
from instances.pages.log.scope import require_scope


@require_safe
@login_required
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Downloads the hooks that match the log's filters, as `?as=ndjson` or `csv`. 404 for another format."""
    scope = require_scope(request)
    format = log_export.FORMATS.get(request.GET.get("as", ""))
    if format is None:
        raise Http404("Unknown format. The formats are ndjson and csv.")
    filters = Filters.from_query(request.GET)
    endpoint_ids = filters.endpoint_ids(scope.endpoint_ids)
    if filters.ignored:  # a file cannot say that a filter was ignored
        words = f"Invalid filters: {', '.join(filters.ignored)}. Correct them and export again."
        return HttpResponse(words, status=400, content_type="text/plain; charset=utf-8")
    chosen: dict[str, Any] = {**scope.query, "as": request.GET["as"]}

    def next_url(key: int) -> str:
        return f"{settings.SITE_URL}{reverse('log:export')}?{filters.query(**chosen, before=str(key))}"

    lines = log_export.export(
        partial(filters.newest, endpoint_ids),
        format,
        before=parse_digits(request.GET.get("before")),
        next_url=next_url,
    )
    response = StreamingHttpResponse(lines, content_type=format.type)
    return as_download(response, f"{scope.file_name}-{timezone.localdate()}.{format.extension}")
