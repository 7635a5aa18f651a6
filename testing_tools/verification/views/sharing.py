"""Links that let anyone read a bin, or one of its captures: list, create, revoke."""

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actions.share_links import VALID_FOR, TooManyShares
from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from chatapi.ui.share_links import ShownLink
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Bin, Capture
from testing_tools.verification.views.changes import render_dialog
from testing_tools.verification.views.contexts import changeable_bin, visible_capture


@require_http_methods(["GET", "POST"])
@login_required
def share(request: HtmxRequest, key: str) -> HttpResponse:
    """Shows the bin's links. A POST creates a link, valid for `valid_for`, to the bin or to the capture `capture`."""
    bin = changeable_bin(request, key)
    given = request.POST if request.method == "POST" else request.GET
    public_id = given.get("capture", "")
    capture = visible_capture(bin, public_id) if public_id else None
    more: dict[str, object] = {}
    if request.method == "POST":
        valid_for: timedelta = VALID_FOR.get(given.get("valid_for", ""), VALID_FOR["1h"])
        try:
            created, url = shares.share(
                bin, valid_for=valid_for, capture=capture, acting_user=current_user(request)
            )
            more = {"created": created, "url": url}
        except TooManyShares as error:
            more = {"error": str(error)}
    context = share_context(bin, capture) | more
    return render_dialog(request, "bin_share.html", context, status=422 if "error" in context else 200)


@require_POST
@login_required
def revoke(request: HtmxRequest, key: str, share: int) -> HttpResponse:
    """Makes the link invalid."""
    bin = changeable_bin(request, key)
    shares.revoke(get_object_or_404(bin.shares, pk=share), acting_user=current_user(request))
    if request.htmx:
        return render_dialog(request, "bin_share.html", share_context(bin, None) | {"is_revoked": True})
    return redirect("testing:bin-share", key=bin.key)


def share_context(bin: Bin, capture: Capture | None) -> dict[str, object]:
    return {
        "bin": bin,
        "capture": capture,
        "valid_for": VALID_FOR,
        "links": [
            ShownLink(
                share,
                f"Request no. {share.number}" if share.number else "Whole bin",
                reverse("testing:bin-revoke", args=[bin.key, share.pk]),
            )
            for share in bin.shares.valid().order_by("-pk")
        ],
    }
