"""The contexts of a bin's templates: the bin, its list, and one capture."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from chatapi.ui import hex_dump, request_snippets
from chatapi.ui.header_fields import combined
from chatapi.ui.numbers import parse_digits
from hooks.models import Endpoint
from instances.pages import access
from instances.pages.frame import InstanceFrame
from testing_tools.verification import copy_as, responses
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.exports import FORMATS
from testing_tools.verification.filters import EXAMPLES, Filter
from testing_tools.verification.models import KEEP_NEWEST, Bin, Capture, Family
from testing_tools.verification.reading import form_parts, other_signatures, pretty
from testing_tools.verification.reading.explanations import explain
from testing_tools.verification.reading.images import read_image
from testing_tools.verification.reading.read_capture import read_capture
from testing_tools.verification.reading.recognition import parse
from testing_tools.verification.reading.request_as_sent import NOT_SHOWN

PAGE_SIZE = 100  # rows of the page, and of each "Show older requests"
TABS = ("explained", "body", "headers", "query", "form", "raw", "hex")
CAPTURE_ID = re.compile(r"[A-Za-z0-9_-]{1,22}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def visible_bin(request: HttpRequest, key: str) -> Bin:
    """Returns the bin with this key; 404 if the user cannot see it."""
    visible = Bin.objects.visible_to(request.user)
    bin = get_object_or_404(visible.select_related("instance__endpoint", "instance__owner"), key=key)
    if bin.instance is not None:
        InstanceFrame.of(request).show(bin.instance)
    return bin


def changeable_bin(request: HttpRequest, key: str) -> Bin:
    """Like visible_bin, for views that change or send something: 403 with a message for a viewer."""
    bin = visible_bin(request, key)
    if bin.instance is not None:
        access.require_change(request.user, bin.instance)
    return bin


def may_change(request: HttpRequest, bin: Bin) -> bool:
    if getattr(
        request.user, "is_impersonated", False
    ):  # staff viewing the account: nothing is marked as read
        return False
    try:
        if bin.instance is not None:
            access.require_change(request.user, bin.instance)
    except PermissionDenied:
        return False
    return True


def visible_capture(bin: Bin, public_id: str) -> Capture:
    capture = kept_capture(bin, public_id)
    if capture is None:
        raise Http404("No such capture: it was dropped or deleted.")
    return capture


def kept_capture(bin: Bin, public_id: str) -> Capture | None:
    """Returns the capture with its bin, or None if the bin keeps none with this id; the id may be any text."""
    if not CAPTURE_ID.fullmatch(public_id):
        return None
    capture = Capture.objects.kept(bin).filter(public_id=public_id).first()
    if capture is not None:
        capture.bin = bin
    return capture


def opened_context(request: HttpRequest, bin: Bin) -> dict[str, Any]:
    """Returns the context of the pane of the capture `?open=`: {} without it, `is_missing` if it is not kept."""
    public_id = request.GET.get("open", "")
    if not public_id:
        return {}
    found = kept_capture(bin, public_id)
    return shown_context(request, found) if found else {"is_missing": True}


def shown_context(request: HttpRequest, capture: Capture) -> dict[str, Any]:
    """Returns the context of a capture's pane, and marks it as read unless the user is a viewer."""
    context = capture_context(capture, tab=request.GET.get("tab", ""))
    context["may_change"] = may_change(request, capture.bin)
    if context["may_change"]:
        capture_actions.mark_read(capture)
    return context


def until_mark(endpoint: Endpoint | None) -> str:
    """Returns the end of the running verification in Unix seconds; "" if none is running."""
    if endpoint is None or not endpoint.is_overridden() or endpoint.override_until is None:
        return ""
    return str(int(endpoint.override_until.timestamp()))


def stamp(at: datetime) -> int:
    """Returns a time for a URL: microseconds since 1970, not rounded."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_stamp(text: str | None) -> datetime | None:
    number = parse_digits(text, max_digits=16)
    return None if number is None else EPOCH + timedelta(microseconds=number)


def count_context(bin: Bin) -> dict[str, Any]:
    kept, dropped = bin.counts()
    return {
        "bin": bin,
        "kept": kept,
        "dropped": dropped,
        "keep_newest": KEEP_NEWEST,
        "response_text": responses.describe_response(bin),
    }


def list_context(
    request: HttpRequest, bin: Bin, *, page_url: str = "", before: int | None = None
) -> dict[str, Any]:
    """Returns the context of the list: PAGE_SIZE rows that match the filter `?q=`, newest first.

    `before` is a capture's number: only older rows. `page_url` is the page that filters link to; by default the bin's.
    """
    filter = Filter(request.GET.get("q", ""))
    matching = filter.apply(Capture.objects.kept(bin))
    rows = matching.in_list()
    if before is not None:
        rows = rows.filter(number__lt=before)
    captures = list(rows[: PAGE_SIZE + 1])
    instance = bin.instance
    deleted_at = from_stamp(request.GET.get("deleted"))
    return count_context(bin) | {
        "captures": captures[:PAGE_SIZE],
        "has_older": len(captures) > PAGE_SIZE,
        "matching": matching.count() if filter else None,
        "cursor": bin.captured,
        "filter": filter,
        "filter_examples": EXAMPLES,
        "page_url": page_url or reverse("testing:bin-page", args=[bin.key]),
        "exports": FORMATS.items(),
        "filter_query": urlencode({"q": filter.text}) if filter else "",
        "instance": instance,
        "may_change": may_change(request, bin),
        "until": until_mark(instance.endpoint if instance else None),
        "curl": request_snippets.short_curl(bin.url, json={"hello": "bin"}),
        "verification_url": f"{reverse('testing:verification')}?instance={instance.number}"
        if instance
        else "",
        "undo": undo_context(bin, deleted_at) if deleted_at else None,
    }


def undo_context(bin: Bin, at: datetime) -> dict[str, Any] | None:
    """Returns how many captures were deleted at that time and can be restored; None if there are none."""
    count = bin.captures.filter(deleted_at=at).count()
    return (
        {"count": count, "stamp": stamp(at), "minutes": capture_actions.UNDO_FOR // timedelta(minutes=1)}
        if count
        else None
    )


def signed_request(capture: Capture) -> other_signatures.SignedRequest:
    """Returns the capture as input of the check of other senders' signatures."""
    form = form_parts.read(capture)
    fields = tuple((part.name, part.value) for part in form.parts) if form.kind == "urlencoded" else ()
    return other_signatures.SignedRequest(
        bytes(capture.body), combined(capture.headers), copy_as.full_url(capture), fields
    )


def capture_context(capture: Capture, *, tab: str = "", shared: bool = False) -> dict[str, Any]:
    """Returns the context of the pane of one capture, with the tab `tab` or the one that says most.

    Fetch its `bin` with the instance's endpoint.
    """
    body = bytes(capture.body)
    read = read_capture(capture)
    value = parse(body)
    parameters = parse_qsl(capture.query, keep_blank_values=True)
    form = form_parts.read(capture)
    is_explained = read.recognition.family != Family.OTHER or capture.too_large
    filled = {
        "explained": is_explained,
        "form": form.parts,
        "body": body,
        "query": parameters,
        "headers": True,
    }
    return {
        "capture": capture,
        "bin": capture.bin,
        "tab": tab if tab in TABS else next(name for name, content in filled.items() if content),
        "chosen_tab": tab if tab in TABS else "",
        "tabs": [
            ("explained", "Explained", None),
            ("body", "Body", None),
            ("headers", "Headers", len(capture.headers)),
            ("query", "Query", len(parameters)),
            ("form", "Form and files", len(form.parts)),
            ("raw", "Raw", None),
            ("hex", "Hex", None),
        ],
        "sentence": read.sentence,
        "signature": read.signature,
        "scheme": other_signatures.scheme_of(combined(capture.headers)),
        "objects": explain(read.recognition, value if isinstance(value, dict) else {}),
        "shown": pretty.show(body, capture.headers),
        "image": read_image(body),
        "parameters": parameters,
        "form": form,
        "raw": raw_request(capture),
        "dump": hex_dump.dump(body),
        "dump_cut": len(body) > hex_dump.SHOWN,
        "snippets": copy_as.snippets(capture),
        "file_name": copy_as.file_name(capture),
        "shared": shared,
        "not_shown": NOT_SHOWN,
    }


def request_line(capture: Capture) -> str:
    target = f"/bin/{capture.bin.key}{capture.path}" + (f"?{capture.query}" if capture.query else "")
    return f"{capture.method} {target} HTTP/{capture.http_version or '1.1'}"


def raw_request(capture: Capture) -> str:
    """Returns the request as text."""
    lines = [
        request_line(capture),
        *(f"{name}: {value}" for name, value in capture.headers),
        "",
    ]
    return "\n".join([*lines, bytes(capture.body)[: pretty.SHOWN].decode(errors="replace")])
