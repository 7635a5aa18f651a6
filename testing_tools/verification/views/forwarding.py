"""Captures sent on to another address, links by which others may look, and signatures checked with a given secret."""

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.current_user import current_user
from chatapi.ui.numbers import parse_digits
from chatapi.ui.requests import HtmxRequest
from hooks import webhook_urls
from instances.pages import manual_request_limit
from testing_tools.verification import replays
from testing_tools.verification.actions import shares
from testing_tools.verification.actions.shares import VALID_FOR, TooManyShares
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import Bin, Capture
from testing_tools.verification.reading import signatures
from testing_tools.verification.replays import BadReplay, Progress
from testing_tools.verification.views.changes import tool
from testing_tools.verification.views.contexts import (
    changeable_bin,
    signed,
    visible_bin,
    visible_capture,
)


@require_http_methods(["GET", "POST"])
@login_required
def replay(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """A capture sent again, as it is (`as=captured`) or as the form has it; the answer comes on the spot."""
    bin = changeable_bin(request, key)
    found = visible_capture(bin, public_id)
    body = bytes(found.body)
    context: dict[str, object] = {
        "bin": bin,
        "capture": found,
        "methods": replays.METHODS,
        "fields": replays.form_of(found),
        "url": own_address(bin),
    }
    if request.method == "GET":
        return tool(request, "bin_replay.html", context)
    context["url"] = url = request.POST.get("url", "").strip()
    captured = request.POST.get("as") == "captured"
    if not captured:
        context["fields"] = replays.form_of(found)._replace(
            method=request.POST.get("method", ""),
            headers=request.POST.get("headers", ""),
            body=request.POST.get("body"),
        )
        context["opened"] = True
    try:
        made = replays.as_captured(found, url) if captured else replays.edited(request.POST, found)
        with manual_request_limit.place(request.user):
            context["done"] = replays.replay(made)
    except (BadReplay, manual_request_limit.TooMany) as error:
        return tool(request, "bin_replay.html", context | {"fault": str(error)}, status=422)
    return tool(request, "bin_replay.html", context | {"changed": made.body != body})


def own_address(bin: Bin) -> str:
    """Where a replay most likely is to go: the instance's own address."""
    return bin.instance.endpoint.url if bin.instance else ""


@require_http_methods(["GET", "POST"])
@login_required
def forward(request: HtmxRequest, key: str) -> HttpResponse:
    """All captures that fit the filter, sent on one after the other, oldest first; a POST does some seconds of it.

    Nothing is kept on the server: the page posts again with how far it has come, until all have gone. To close the
    page is to stop.
    """
    bin = changeable_bin(request, key)
    given = request.POST if request.method == "POST" else request.GET
    filter = Filter(given.get("q", ""))
    upto = parse_digits(given.get("upto")) or bin.captured
    fitting = filter.apply(Capture.objects.kept(bin)).filter(number__lte=upto, too_large=False)
    context: dict[str, object] = {
        "bin": bin,
        "filter": filter,
        "url": own_address(bin),
        "total": fitting.count(),
    }
    if request.method == "GET":
        return tool(request, "bin_forward.html", context)
    context |= {"url": given.get("url", "").strip(), "upto": upto}
    try:
        url = webhook_urls.check(given.get("url", ""))
        if replays.leads_to_itself(url, bin.url):
            raise webhook_urls.BadAddress("That is this bin itself: all would come in again.")
    except webhook_urls.BadAddress as error:
        return tool(request, "bin_forward.html", context | {"fault": str(error)}, status=422)
    before = Progress(
        last=parse_digits(given.get("last")) or 0,
        accepted=parse_digits(given.get("accepted")) or 0,
        refused=parse_digits(given.get("refused")) or 0,
        unreached=parse_digits(given.get("unreached")) or 0,
    )
    try:
        with manual_request_limit.place(request.user):
            progress, more = replays.forward(fitting, url, before)
    except manual_request_limit.TooMany as error:
        context |= {"progress": before, "more": False, "stuck": True, "held_up": str(error)}
        return tool(request, "bin_forward.html", context)
    stuck = progress.in_a_row >= replays.GIVE_UP
    context |= {"progress": progress, "more": more and not stuck, "stuck": stuck and more}
    return tool(request, "bin_forward.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def share(request: HtmxRequest, key: str) -> HttpResponse:
    """The bin's links; a POST makes one: of the whole bin, or of the capture `capture`, for `lasts`."""
    bin = changeable_bin(request, key)
    given = request.POST if request.method == "POST" else request.GET
    public_id = given.get("capture", "")
    found = visible_capture(bin, public_id) if public_id else None
    context: dict[str, object] = {"bin": bin, "capture": found, "lasts": VALID_FOR.items()}
    if request.method == "POST":
        lasts: timedelta = VALID_FOR.get(given.get("lasts", ""), VALID_FOR["1h"])
        try:
            made, url = shares.share(bin, valid_for=lasts, capture=found, acting_user=current_user(request))
            context |= {"made": made, "url": url}
        except TooManyShares as error:
            context["fault"] = str(error)
    context["shares"] = bin.shares.valid().order_by("-pk")
    return tool(request, "bin_share.html", context, status=422 if "fault" in context else 200)


@require_POST
@login_required
def revoke(request: HtmxRequest, key: str, share: int) -> HttpResponse:
    """From now on this link opens nothing."""
    bin = changeable_bin(request, key)
    shares.revoke(get_object_or_404(bin.shares, pk=share), acting_user=current_user(request))
    if request.htmx:
        context: dict[str, object] = {
            "bin": bin,
            "capture": None,
            "lasts": VALID_FOR.items(),
            "revoked": True,
        }
        context["shares"] = bin.shares.valid().order_by("-pk")
        return tool(request, "bin_share.html", context)
    return redirect("testing:bin-share", key=bin.key)


@require_POST
@login_required
def signature(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Another sender's signature, checked with the secret of the form, which is neither kept nor logged."""
    found = visible_capture(visible_bin(request, key), public_id)
    scheme = signatures.scheme_of(dict(found.headers))
    secret = request.POST.get("secret", "")[:1000]
    context: dict[str, object] = {"capture": found, "bin": found.bin, "scheme": scheme}
    if scheme and secret.strip():
        context["checked"] = signatures.check(scheme, secret, signed(found))
    return render(request, "testing_tools/verification/bin_signature.html", context)
