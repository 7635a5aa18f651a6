"""What the templates of a bin need: whose it is, its list, and everything that is said about one capture."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from chatapi.ui import request_snippets
from chatapi.ui.numbers import parse_digits
from hooks.models import Endpoint
from instances.pages import access
from testing_tools.verification import copy_as, responses
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.exports import FORMATS
from testing_tools.verification.filters import EXAMPLES, Filter
from testing_tools.verification.models import KEEP_NEWEST, Bin, Capture
from testing_tools.verification.reading import form_parts, hex_dump, pretty, signatures
from testing_tools.verification.reading.explanations import explain
from testing_tools.verification.reading.recognition import check_signature, parse, recognise, sentence

PAGE = 100  # rows at first and with each "older"
TABS = ("explained", "body", "headers", "query", "form", "raw", "hex")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def visible_bin(request: HttpRequest, key: str) -> Bin:
    """The bin with this key, if the visitor may look at it, or 404."""
    visible = Bin.objects.visible_to(request.user)
    return get_object_or_404(visible.select_related("instance__endpoint", "instance__owner"), key=key)


def changeable_bin(request: HttpRequest, key: str) -> Bin:
    """As visible_bin, for what changes something or sends: raises PermissionDenied, in words, for a viewer."""
    bin = visible_bin(request, key)
    if bin.instance is not None:
        access.require_change(request.user, bin.instance)
    return bin


def may_change(request: HttpRequest, bin: Bin) -> bool:
    if getattr(
        request.user, "is_impersonated", False
    ):  # staff looks at the account: nothing of it becomes read
        return False
    try:
        if bin.instance is not None:
            access.require_change(request.user, bin.instance)
    except PermissionDenied:
        return False
    return True


def visible_capture(bin: Bin, public_id: str) -> Capture:
    found = Capture.objects.kept(bin).filter(public_id=public_id).first()
    if found is None:
        raise Http404("No such capture: it was dropped or deleted, or never was.")
    found.bin = bin
    return found


def until_mark(endpoint: Endpoint | None) -> str:
    """When the running verification ends, in unix seconds; empty when none runs."""
    if endpoint is None or not endpoint.is_borrowed() or endpoint.borrowed_until is None:
        return ""
    return str(int(endpoint.borrowed_until.timestamp()))


def stamp(at: datetime) -> int:
    """A moment for the address: microseconds since 1970, without any rounding."""
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
    request: HttpRequest, bin: Bin, *, address: str = "", before: int | None = None
) -> dict[str, Any]:
    """What the list needs: PAGE rows that fit the filter `?q=`, newest first, from the newest or from before a number.

    `address`: the page that the list stands on, to which filters lead; the bin's own without it.
    """
    filter = Filter(request.GET.get("q", ""))
    fitting = filter.apply(Capture.objects.kept(bin))
    rows = fitting.in_list()
    if before is not None:
        rows = rows.filter(number__lt=before)
    captures = list(rows[: PAGE + 1])
    instance = bin.instance
    deleted_at = from_stamp(request.GET.get("deleted"))
    return count_context(bin) | {
        "captures": captures[:PAGE],
        "has_older": len(captures) > PAGE,
        "fitting": fitting.count() if filter else None,
        "cursor": bin.captured,
        "filter": filter,
        "filter_examples": EXAMPLES,
        "address": address or reverse("testing:bin-page", args=[bin.key]),
        "exports": FORMATS.items(),
        "filter_query": urlencode({"q": filter.text}) if filter else "",
        "instance": instance,
        "may_change": may_change(request, bin),
        "until": until_mark(instance.endpoint if instance else None),
        "curl": request_snippets.curl_json(bin.url, {"hello": "bin"}),
        "verification_url": f"{reverse('testing:verification')}?instance={instance.number}"
        if instance
        else "",
        "undo": undo_context(bin, deleted_at) if deleted_at else None,
    }


def undo_context(bin: Bin, at: datetime) -> dict[str, Any] | None:
    """How many were deleted at that time and can still be had back; None for none."""
    count = bin.captures.filter(deleted_at=at).count()
    return (
        {"count": count, "stamp": stamp(at), "minutes": capture_actions.UNDO_FOR // timedelta(minutes=1)}
        if count
        else None
    )


def signed(found: Capture) -> signatures.Signed:
    """The request as the rules of other senders' signatures need it."""
    form = form_parts.read(found)
    fields = tuple((part.name, part.value) for part in form.parts) if form.kind == "urlencoded" else ()
    return signatures.Signed(bytes(found.body), dict(found.headers), copy_as.full_url(found), fields)


def capture_context(found: Capture, *, shared: bool = False) -> dict[str, Any]:
    """Everything that the pane says about one capture; its `bin` must have been fetched with its endpoint."""
    body = bytes(found.body)
    instance = found.bin.instance
    headers = dict(found.headers)
    recognition = recognise(body)
    secret = " ".join(instance.endpoint.valid_secrets(found.at)) if instance else ""
    signature = check_signature(body, headers, secret, found.at)
    value = parse(body)
    parameters = parse_qsl(found.query, keep_blank_values=True)
    form = form_parts.read(found)
    return {
        "capture": found,
        "bin": found.bin,
        "tabs": [
            ("explained", "Explained", None),
            ("body", "Body", None),
            ("headers", "Headers", len(found.headers)),
            ("query", "Query", len(parameters)),
            ("form", "Form and files", len(form.parts)),
            ("raw", "Raw", None),
            ("hex", "Hex", None),
        ],
        "sentence": sentence(found, recognition, signature),
        "signature": signature,
        "scheme": signatures.scheme_of(headers),
        "groups": explain(recognition, value if isinstance(value, dict) else {}),
        "shown": pretty.show(body),
        "parameters": parameters,
        "form": form,
        "raw": raw_request(found),
        "dump": hex_dump.dump(body),
        "dump_cut": len(body) > hex_dump.SHOWN,
        "snippets": copy_as.snippets(found),
        "file_name": copy_as.file_name(found),
        "shared": shared,
    }


def raw_request(found: Capture) -> str:
    """The request as text, as near to the wire as WSGI lets us come."""
    target = f"/bin/{found.bin.key}{found.path}" + (f"?{found.query}" if found.query else "")
    lines = [f"{found.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in found.headers), ""]
    return "\n".join([*lines, bytes(found.body)[: pretty.SHOWN].decode(errors="replace")])
