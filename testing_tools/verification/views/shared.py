"""Views of a shared bin, or of one of its captures, for anyone who has the link.

These pages ignore the session, set no cookies, and change nothing. Notes are visible to the bin's users only.
"""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from accounts.views.share_links import with_link
from chatapi.ui.numbers import parse_digits
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Capture, Share
from testing_tools.verification.views.captures import body_file, file_part, part_file, picture_of
from testing_tools.verification.views.contexts import PAGE_SIZE, capture_context

with_share = with_link(shares.share_for_token)


def page(request: HttpRequest, share: Share, token: str, context: dict[str, Any]) -> HttpResponse:
    """Renders the page without the request, so that no context processor reads a session."""
    before = parse_digits(request.GET.get("before"))
    rows = shares.captures_of(share).in_list()
    if before is not None:
        rows = rows.filter(number__lt=before)
    captures = list(rows[: PAGE_SIZE + 1])
    more = {
        "share": share,
        "token": token,
        "bin": share.bin,
        "captures": [without_note(capture) for capture in captures[:PAGE_SIZE]],
        "has_older": len(captures) > PAGE_SIZE,
        "shared": True,
        "csp_nonce": getattr(request, "csp_nonce", ""),
    }
    return HttpResponse(render_to_string("testing_tools/verification/shared.html", more | context))


@with_share
def bin(request: HttpRequest, share: Share, token: str) -> HttpResponse:
    """Shows the list, and beside it the newest capture; a link to one capture shows that capture."""
    newest = None if "before" in request.GET else shares.captures_of(share).first()
    context = shared_capture_context(request, share, newest) if newest else {}
    return page(request, share, token, context | {"is_chosen": newest and share.number is not None})


@with_share
def capture(request: HttpRequest, share: Share, token: str, public_id: str) -> HttpResponse:
    """Shows one capture beside the list."""
    found = shared_capture(share, public_id)
    return page(request, share, token, shared_capture_context(request, share, found) | {"is_chosen": True})


@with_share
def body(request: HttpRequest, share: Share, token: str, public_id: str) -> HttpResponse:
    found = shared_capture(share, public_id)
    return picture_of(bytes(found.body)) if "picture" in request.GET else body_file(found)


@with_share
def part(request: HttpRequest, share: Share, token: str, public_id: str, index: int) -> HttpResponse:
    found = file_part(shared_capture(share, public_id), index)
    return picture_of(found.content) if "picture" in request.GET else part_file(found)


def without_note(capture: Capture) -> Capture:
    capture.note = ""
    return capture


def shared_capture(share: Share, public_id: str) -> Capture:
    found = shares.captures_of(share).filter(public_id=public_id).first()
    if found is None:
        raise Http404("No such capture: it was dropped, deleted, or is not shared.")
    return found


def shared_capture_context(request: HttpRequest, share: Share, capture: Capture) -> dict[str, Any]:
    capture.bin = share.bin
    without_note(capture)
    return capture_context(capture, tab=request.GET.get("tab", ""), shared=True)
