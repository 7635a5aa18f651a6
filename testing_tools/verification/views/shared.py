"""A bin, or one of its captures, as whoever has a link may read it: without signing in, and without any session.

Nothing here looks at who is signed in, sets a cookie, or lets anything be changed.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from chatapi.ui.numbers import parse_digits
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Capture, Share
from testing_tools.verification.views.bins import asked_tab, body_file, part_file
from testing_tools.verification.views.contexts import PAGE, capture_context


def opened(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Gives the view the share that the token opens; 404 for one that is expired, revoked or never was."""

    @require_GET
    @wraps(view)
    def with_share(request: HttpRequest, token: str, **arguments: Any) -> HttpResponse:
        share = shares.share_for_token(token)
        if share is None:
            response = HttpResponse(
                render_to_string("testing_tools/verification/shared_over.html"), status=404
            )
        else:
            response = view(request, share, token, **arguments)
        response["Cache-Control"] = "no-store"
        response["Referrer-Policy"] = "no-referrer"  # the token stands in the address
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return with_share


def page(request: HttpRequest, share: Share, token: str, context: dict[str, Any]) -> HttpResponse:
    """Rendered without the request: no context processor asks for a session."""
    before = parse_digits(request.GET.get("before"))
    rows = shares.captures_of(share).in_list()
    if before is not None:
        rows = rows.filter(number__lt=before)
    captures = list(rows[: PAGE + 1])
    more = {
        "share": share,
        "token": token,
        "bin": share.bin,
        "captures": captures[:PAGE],
        "has_older": len(captures) > PAGE,
        "shared": True,
        "csp_nonce": getattr(request, "csp_nonce", ""),
    }
    return HttpResponse(render_to_string("testing_tools/verification/shared.html", more | context))


@opened
def bin(request: HttpRequest, share: Share, token: str) -> HttpResponse:
    """The list; a link to one capture shows that at once."""
    if share.number is not None:
        only = shares.captures_of(share).first()
        return page(request, share, token, shown(request, share, only) if only else {})
    return page(request, share, token, {})


@opened
def capture(request: HttpRequest, share: Share, token: str, public_id: str) -> HttpResponse:
    """One capture beside the list."""
    return page(request, share, token, shown(request, share, find(share, public_id)))


@opened
def body(request: HttpRequest, share: Share, token: str, public_id: str) -> HttpResponse:
    return body_file(find(share, public_id))


@opened
def part(request: HttpRequest, share: Share, token: str, public_id: str, index: int) -> HttpResponse:
    return part_file(find(share, public_id), index)


def find(share: Share, public_id: str) -> Capture:
    found = shares.captures_of(share).filter(public_id=public_id).first()
    if found is None:
        raise Http404("No such capture: it was dropped or deleted, or is not shared.")
    return found


def shown(request: HttpRequest, share: Share, found: Capture) -> dict[str, Any]:
    found.bin = share.bin
    return capture_context(found, shared=True) | {"tab": asked_tab(request)}
