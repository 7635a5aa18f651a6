"""The pages of a bin for those who may look at it: the list, what a poll brings, one capture, and files."""

from datetime import date

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from chatapi.ui.downloads import as_download
from chatapi.ui.numbers import parse_digits
from chatapi.ui.requests import HtmxRequest
from testing_tools.verification import copy_as
from testing_tools.verification import exports as verification_exports
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import Capture
from testing_tools.verification.reading import form_parts
from testing_tools.verification.views.contexts import (
    TABS,
    capture_context,
    count_context,
    list_context,
    may_change,
    until_mark,
    visible_bin,
    visible_capture,
)


@require_GET
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """To the bin that is the person's own and no instance's."""
    bin = bin_actions.open_own_bin(request.user.account)  # type: ignore[union-attr]
    return redirect("testing:bin-page", key=bin.key)


@require_GET
@login_required
def bin_page(request: HttpRequest, key: str) -> HttpResponse:
    """The bin's page; with `?before=` the next rows of its list (for htmx)."""
    bin = visible_bin(request, key)
    before = parse_digits(request.GET.get("before"))
    if before is not None:
        return render(
            request, "testing_tools/verification/bin.html#older", list_context(request, bin, before=before)
        )
    return render(request, "testing_tools/verification/bin.html", list_context(request, bin))


@require_GET
@login_required
def news(request: HttpRequest, key: str) -> HttpResponse:
    """What came after the capture number `?after=`, 204 when nothing did and the verification is as it was.

    `?until=` is the end of the verification as the page knows it (unix seconds, empty for none); without
    it the page shows none. `?q=` is the filter: rows that do not fit are passed over, but counted.
    """
    bin = visible_bin(request, key)
    after = parse_digits(request.GET.get("after")) or 0
    endpoint = bin.instance.endpoint if bin.instance else None
    changed = "until" in request.GET and request.GET["until"] != until_mark(endpoint)
    if bin.captured <= after and not changed:
        return HttpResponse(status=204)
    # All up to bin.captured are committed (see bins.CAPTURE) and so are seen by this later query; one that came
    # between the two is for the next poll.
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
def detail(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """One capture: the pane for htmx, the whole page with the pane in it for everyone else."""
    bin = visible_bin(request, key)
    found = visible_capture(bin, public_id)
    context = capture_context(found) | {"may_change": may_change(request, bin), "tab": asked_tab(request)}
    if context["may_change"]:  # a viewer's look leaves it unread for those whose bin it is
        capture_actions.mark_read(found)
    if request.htmx:
        return render(request, "testing_tools/verification/bin_capture.html", context)
    return render(request, "testing_tools/verification/bin.html", context | list_context(request, bin))


def asked_tab(request: HttpRequest) -> str:
    tab = request.GET.get("tab", "")
    return tab if tab in TABS else TABS[0]


@require_GET
@login_required
def body(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """The body's exact bytes as a download, never as something that a browser would show."""
    return body_file(visible_capture(visible_bin(request, key), public_id))


@require_GET
@login_required
def part(request: HttpRequest, key: str, public_id: str, index: int) -> HttpResponse:
    """A file of a captured form, as a download."""
    return part_file(visible_capture(visible_bin(request, key), public_id), index)


@require_GET
@login_required
def export(request: HttpRequest, key: str) -> HttpResponse | StreamingHttpResponse:
    """`?as=ndjson`, `csv` or `har`: the captures that fit the filter `?q=`, as a download; 404 for another."""
    bin = visible_bin(request, key)
    format = verification_exports.FORMATS.get(request.GET.get("as", ""))
    if format is None:
        raise Http404("It can be exported as ndjson, csv or har.")
    captures = Filter(request.GET.get("q", "")).apply(Capture.objects.kept(bin))
    today: date = timezone.localdate()
    response = StreamingHttpResponse(
        verification_exports.export(bin, captures, format), content_type=format.type
    )
    return as_download(response, f"bin-{bin.key}-{today}.{format.extension}")


def body_file(found: Capture) -> HttpResponse:
    return as_download(HttpResponse(bytes(found.body), content_type=OCTETS), copy_as.file_name(found))


def part_file(found: Capture, index: int) -> HttpResponse:
    parts = form_parts.read(found).parts
    if index >= len(parts) or parts[index].file is None:
        raise Http404("The form has no such file.")
    # the name is the sender's: without folders and control characters, which some systems would obey
    name = "".join(
        letter for letter in str(parts[index].file).replace("\\", "/").split("/")[-1] if letter.isprintable()
    )
    return as_download(HttpResponse(parts[index].content, content_type=OCTETS), name[-100:] or "file")


OCTETS = "application/octet-stream"


def address_of(found: Capture) -> str:
    return reverse("testing:bin-capture", args=[found.bin.key, found.public_id])
