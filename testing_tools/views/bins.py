"""The bin from both sides: its address, which takes whatever comes, and the pages its owner looks at."""

import ipaddress
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from testing_tools import bins, pretty
from testing_tools.explained import explain
from testing_tools.models import BODY_LIMIT, KEEP_NEWEST, Bin, Capture
from testing_tools.recognise import check_signature, parse, recognise, sentence, size_words

PAGE = 100  # rows at first and with each "older"
# A body over the limit is read on so far and thrown away: who is cut off while writing never reads our 413.
DRAINED = 16 * 1024 * 1024
TABS = ("explained", "body", "headers", "query", "raw")


@csrf_exempt
def capture(request: HttpRequest, key: str, suffix: str | None = None) -> HttpResponse:
    """`{site}/bin/{key}`: any method, 200 `{"ok":true}`; 413 over 1 MB; 404 for an unknown key.

    An address for machines, so nothing here depends on who is signed in, nor shows what was captured.
    """
    body, size = read_body(request)
    number = bins.capture(
        key,
        method=request.method or "",
        path=quote(suffix or "", safe="/:@!$&'()*+,;=~-._"),
        query=request.META.get("QUERY_STRING", ""),
        headers=list(sent_headers(request)),
        body=body,
        size=size,
        remote_address=remote_address(request),
    )
    if number is None:
        response = HttpResponse(
            "No bin has this address.\n", content_type="text/plain; charset=utf-8", status=404
        )
    elif size > BODY_LIMIT:
        words = f"A bin takes bodies of up to {size_words(BODY_LIMIT)}. That it came was noted, the body was not kept."
        response = JsonResponse({"ok": False, "error": words}, status=413)
    else:
        response = JsonResponse({"ok": True})
    response["Cache-Control"] = "no-store"
    return response


def read_body(request: HttpRequest) -> tuple[bytes, int]:
    """The body and its size in bytes; of one over the limit only the size, as far as it can be known."""
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        declared = 0
    if declared <= BODY_LIMIT:
        body = request.read(BODY_LIMIT + 1)
        return body, len(body)
    seen = 0
    while seen < min(declared, DRAINED) and (part := request.read(64 * 1024)):
        seen += len(part)
    return b"", declared


def sent_headers(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """The headers in the order they came, as far as WSGI passes them on: names in lower case, doubled ones joined.

    Two things are left out: what granian mixes in from the process's environment (HTTP_PROXY is no header),
    and the cookies of this site, for a capture may be shown to others and must not carry a session.
    """
    own = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}
    for name, value in request.META.items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            shown = name
        elif name.startswith("HTTP_") and os.environ.get(name) != value:
            shown = name.removeprefix("HTTP_")
        else:
            continue
        if shown == "COOKIE":
            value = "; ".join(
                pair for pair in str(value).split("; ") if pair.partition("=")[0].strip() not in own
            )
        if value != "":
            yield shown.replace("_", "-").lower(), str(value)


def remote_address(request: HttpRequest) -> str | None:
    """Who connected to us; None when the server does not say (a socket file)."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def visible_bin(request: HttpRequest, key: str) -> Bin:
    """The visitor's bin with this key, or 404."""
    return get_object_or_404(
        Bin.objects.visible_to(request.user).select_related("instance__endpoint"), key=key
    )


def count_context(bin: Bin) -> dict[str, Any]:
    kept, dropped = bin.counts()
    return {"bin": bin, "kept": kept, "dropped": dropped, "keep_newest": KEEP_NEWEST}


def list_context(bin: Bin, before: int | None = None) -> dict[str, Any]:
    """What the list needs: PAGE rows, newest first, from the newest or from before a number on."""
    rows = Capture.objects.kept(bin).in_list()
    if before is not None:
        rows = rows.filter(number__lt=before)
    captures = list(rows[: PAGE + 1])
    instance = bin.instance
    return count_context(bin) | {
        "captures": captures[:PAGE],
        "has_older": len(captures) > PAGE,
        "cursor": captures[0].number if captures else bin.captured,
        "instance": instance,
        "until": until_mark(instance.endpoint),
        "curl": f"curl {bin.url} \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"hello\": \"bin\"}}'",
        "verification_url": f"{reverse('testing:verification')}?instance={instance.number}",
    }


@require_GET
@login_required
def bin_page(request: HttpRequest, key: str) -> HttpResponse:
    """The bin's page; with `?before=` the next rows of its list (for htmx)."""
    bin = visible_bin(request, key)
    before = whole_number(request.GET.get("before"))
    if before is not None:
        return render(request, "testing/bin.html#older", list_context(bin, before))
    return render(request, "testing/bin.html", list_context(bin))


def whole_number(text: str | None) -> int | None:
    """A number of a capture from the address; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


@require_GET
@login_required
def news(request: HttpRequest, key: str) -> HttpResponse:
    """What came after the capture number `?after=`, 204 when nothing did and the verification is as it was.

    `?until=` is the end of the verification as the page knows it (unix seconds, empty for none); without
    it the page shows none.
    """
    bin = visible_bin(request, key)
    after = whole_number(request.GET.get("after")) or 0
    endpoint = bin.instance.endpoint
    changed = "until" in request.GET and request.GET["until"] != until_mark(endpoint)
    if bin.captured <= after and not changed:
        return HttpResponse(status=204)
    captures = list(Capture.objects.kept(bin).in_list().filter(number__gt=after))
    context = count_context(bin) | {
        "captures": captures,
        # what the rows show, not bin.captured: one that came between the two questions is for the next poll
        "cursor": max([after, *(row.number for row in captures)]),
        "instance": bin.instance,
        "endpoint": endpoint,
        "until": until_mark(endpoint),
        "minutes": settings.VERIFICATION_MINUTES,
        "changed": changed,
    }
    return render(request, "testing/bin_news.html", context)


def until_mark(endpoint: Any) -> str:
    """When the running verification ends, in unix seconds; empty when none runs."""
    return str(int(endpoint.borrowed_until.timestamp())) if endpoint.is_borrowed() else ""


def visible_capture(bin: Bin, public_id: str) -> Capture:
    found = Capture.objects.kept(bin).filter(public_id=public_id).first()
    if found is None:
        raise Http404("No such capture: it was dropped, or never was.")
    found.bin = bin
    return found


@require_GET
@login_required
def detail(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """One capture: the pane for htmx, the whole page with the pane in it for everyone else."""
    bin = visible_bin(request, key)
    found = visible_capture(bin, public_id)
    bins.mark_read(found)
    context = capture_context(found) | {"bin": bin}
    tab = request.GET.get("tab", "")
    context["tab"] = tab if tab in TABS else TABS[0]
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "testing/bin_capture.html", context)
    return render(request, "testing/bin.html", context | list_context(bin))


def capture_context(found: Capture) -> dict[str, Any]:
    """Everything that the pane says about one capture."""
    body = bytes(found.body)
    recognition = recognise(body)
    signature = check_signature(
        body,
        dict(found.headers),
        " ".join(found.bin.instance.endpoint.valid_secrets(found.at)),
        found.at,
    )
    value = parse(body)
    parameters = parse_qsl(found.query, keep_blank_values=True)
    return {
        "capture": found,
        "tabs": [
            ("explained", "Explained", None),
            ("body", "Body", None),
            ("headers", "Headers", len(found.headers)),
            ("query", "Query", len(parameters)),
            ("raw", "Raw", None),
        ],
        "sentence": sentence(found, recognition, signature),
        "signature": signature,
        "groups": explain(recognition, value if isinstance(value, dict) else {}),
        "shown": pretty.show(body),
        "parameters": parameters,
        "raw": raw_request(found),
    }


def raw_request(found: Capture) -> str:
    """The request as text, as near to the wire as WSGI lets us come."""
    target = f"/bin/{found.bin.key}{found.path}" + (f"?{found.query}" if found.query else "")
    lines = [f"{found.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in found.headers), ""]
    return "\n".join([*lines, bytes(found.body)[: pretty.SHOWN].decode(errors="replace")])


@require_GET
@login_required
def body(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """The body's exact bytes as a download, never as something that a browser would show."""
    found = visible_capture(visible_bin(request, key), public_id)
    response = HttpResponse(bytes(found.body), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="capture-{found.number}.bin"'
    return response
