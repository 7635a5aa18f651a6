"""Views of a bin: its page, the polls of its list, and the export."""

from datetime import date

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.current_user import current_user
from chatapi.ui.downloads import as_download
from chatapi.ui.numbers import parse_digits
from testing_tools.verification import exports as verification_exports
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import Capture
from testing_tools.verification.views.contexts import (
    count_context,
    list_context,
    opened_context,
    until_mark,
    visible_bin,
)

PAGE = "testing_tools/verification/bin.html"


@require_GET
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """Redirects to the user's own bin, which belongs to no instance."""
    bin = bin_actions.open_own_bin(current_user(request).account)
    return redirect("testing:bin-page", key=bin.key)


@require_GET
@login_required
def bin_page(request: HttpRequest, key: str) -> HttpResponse:
    """Shows the bin's page, with the capture `?open=`; with `?before=` the next rows of its list (for htmx)."""
    bin = visible_bin(request, key)
    before = parse_digits(request.GET.get("before"))
    if before is not None:
        return render(request, f"{PAGE}#older", list_context(request, bin, before=before))
    return render(request, PAGE, list_context(request, bin) | opened_context(request, bin))


@require_GET
@login_required
def news(request: HttpRequest, key: str) -> HttpResponse:
    """Shows the captures after number `?after=`; 204 if there are none and the verification is unchanged.

    `?until=` is the end of the verification that the page shows (Unix seconds, empty if none runs); pages that show no
    verification omit it. `?q=` is the filter: captures that do not match are only counted.
    """
    bin = visible_bin(request, key)
    after = parse_digits(request.GET.get("after")) or 0
    endpoint = bin.instance.endpoint if bin.instance else None
    changed = "until" in request.GET and request.GET["until"] != until_mark(endpoint)
    if bin.captured <= after and not changed:
        return HttpResponse(status=204)
    # All captures up to bin.captured are committed (see captures.CAPTURE), so this later query finds them. The next
    # poll returns a capture that arrives between the two queries.
    new = Capture.objects.kept(bin).filter(number__gt=after, number__lte=bin.captured)
    context = count_context(bin) | {
        "captures": list(Filter(request.GET.get("q", "")).apply(new).in_list()),
        "cursor": max(after, bin.captured),
        "instance": bin.instance,
        "endpoint": endpoint,
        "until": until_mark(endpoint),
        "minutes": settings.VERIFICATION_MINUTES,
        "changed": changed,
    }
    return render(request, "testing_tools/verification/bin_news.html", context)


@require_GET
@login_required
def export(request: HttpRequest, key: str) -> HttpResponse | StreamingHttpResponse:
    """Downloads the captures that match the filter `?q=`, as `?as=ndjson`, `csv` or `har`; 404 for other formats."""
    bin = visible_bin(request, key)
    format = verification_exports.FORMATS.get(request.GET.get("as", ""))
    if format is None:
        raise Http404("Unknown format: use ndjson, csv or har.")
    captures = Filter(request.GET.get("q", "")).apply(Capture.objects.kept(bin))
    today: date = timezone.localdate()
    response = StreamingHttpResponse(
        verification_exports.export(bin, captures, format), content_type=format.type
    )
    return as_download(response, f"bin-{bin.key}-{today}.{format.extension}")
