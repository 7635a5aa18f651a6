"""Views that send captures to another URL: one as a replay, or many as a forwarding."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_http_methods

from chatapi.ui.numbers import parse_digits
from chatapi.ui.requests import HtmxRequest
from hooks.urls import webhook_urls
from instances.limits import manual_request_limit
from testing_tools.verification import forwarding, replays
from testing_tools.verification.filters import Filter
from testing_tools.verification.forwarding import Progress
from testing_tools.verification.models import Bin, Capture
from testing_tools.verification.replays import InvalidReplay
from testing_tools.verification.views.changes import render_dialog
from testing_tools.verification.views.contexts import changeable_bin, visible_capture


@require_http_methods(["GET", "POST"])
@login_required
def replay(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Replays a capture, unchanged (`as=captured`) or with the form's edits, and shows the result."""
    bin = changeable_bin(request, key)
    capture = visible_capture(bin, public_id)
    body = bytes(capture.body)
    context: dict[str, object] = {
        "bin": bin,
        "capture": capture,
        "methods": replays.METHODS,
        "fields": replays.form_values(capture),
        "max_form_body": replays.MAX_FORM_BODY,
        "url": own_url(bin),
    }
    if request.method == "GET":
        return render_dialog(request, "bin_replay.html", context)
    context["url"] = url = request.POST.get("url", "").strip()
    is_unchanged = request.POST.get("as") == "captured"
    if not is_unchanged:
        context["fields"] = replays.form_values(capture)._replace(
            method=request.POST.get("method", ""),
            headers=request.POST.get("headers", ""),
            body=request.POST.get("body"),
        )
        context["is_edited"] = True
    try:
        outgoing = (
            replays.changed_request(capture, url)
            if is_unchanged
            else replays.edited_request(request.POST, capture)
        )
        with manual_request_limit.place(request.user):
            context["result"] = replays.replay(outgoing)
    except (InvalidReplay, manual_request_limit.TooMany) as error:
        return render_dialog(request, "bin_replay.html", context | {"error": str(error)}, status=422)
    return render_dialog(request, "bin_replay.html", context | {"body_changed": outgoing.body != body})


def own_url(bin: Bin) -> str:
    """Returns the most likely destination of a replay: the instance's own URL."""
    return bin.instance.endpoint.url if bin.instance else ""


@require_http_methods(["GET", "POST"])
@login_required
def forward(request: HtmxRequest, key: str) -> HttpResponse:
    """Sends all captures that match the filter, oldest first; each POST continues for a few seconds.

    The server stores no state: the page posts its progress until all are sent. Closing the page stops the forwarding.
    """
    bin = changeable_bin(request, key)
    given = request.POST if request.method == "POST" else request.GET
    filter = Filter(given.get("q", ""))
    upto = parse_digits(given.get("upto")) or bin.captured
    matching = filter.apply(Capture.objects.kept(bin)).filter(number__lte=upto, too_large=False)
    context: dict[str, object] = {
        "bin": bin,
        "filter": filter,
        "url": own_url(bin),
        "total": matching.count(),
    }
    if request.method == "GET":
        return render_dialog(request, "bin_forward.html", context)
    context |= {"url": given.get("url", "").strip(), "upto": upto}
    try:
        url = webhook_urls.check(given.get("url", ""))
        if forwarding.is_same_bin(url, bin.url):
            raise webhook_urls.InvalidUrl(forwarding.SAME_BIN)
    except webhook_urls.InvalidUrl as error:
        return render_dialog(request, "bin_forward.html", context | {"error": str(error)}, status=422)
    before = Progress(
        last=parse_digits(given.get("last")) or 0,
        accepted=parse_digits(given.get("accepted")) or 0,
        refused=parse_digits(given.get("refused")) or 0,
        unreached=parse_digits(given.get("unreached")) or 0,
    )
    try:
        with manual_request_limit.place(request.user):
            progress, more = forwarding.forward(matching, url, before)
    except manual_request_limit.TooMany as error:
        context |= {"progress": before, "more": False, "is_stopped": True, "stop_reason": str(error)}
        return render_dialog(request, "bin_forward.html", context)
    is_unreachable = progress.is_unreachable
    context |= {
        "progress": progress,
        "more": more and not is_unreachable,
        "is_stopped": is_unreachable and more,
    }
    return render_dialog(request, "bin_forward.html", context)
