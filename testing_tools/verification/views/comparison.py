"""The differences between two requests of a bin."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from chatapi.ui import hex_dump
from chatapi.ui.requests import HtmxRequest
from chatapi.ui.text_diff import Diff, compare
from testing_tools.verification.models import Bin, Capture
from testing_tools.verification.reading import pretty
from testing_tools.verification.views.changes import render_dialog
from testing_tools.verification.views.contexts import request_line, visible_bin, visible_capture

CHOICES = 100  # newest requests to choose from
NOT_STORED = "A body that was not stored cannot be compared."


@require_GET
@login_required
def comparison(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Compares a request with `?with=`; by default with the one before it of the same kind, or the nearest one."""
    bin = visible_bin(request, key)
    capture = visible_capture(bin, public_id)
    others = list(Capture.objects.kept(bin).exclude(pk=capture.pk).in_list()[:CHOICES])
    found = nearest(others, capture)
    with_id = request.GET.get("with") or (found.public_id if found else "")
    other = visible_capture(bin, with_id) if with_id else None
    if other and other not in others:
        others.append(other)
    context: dict[str, object] = {"bin": bin, "capture": capture, "others": others, "other": other}
    if other:
        old, new = sorted((capture, other), key=lambda one: one.number)
        context |= {
            "parts": differences(bin, old, new),
            "old": f"No. {old.number}",
            "new": f"No. {new.number}",
        }
    return render_dialog(request, "bin_compare.html", context)


def nearest(others: list[Capture], capture: Capture) -> Capture | None:
    """Returns the newest older capture of the same kind, else the newest older, else the oldest newer one."""
    older = [one for one in others if one.number < capture.number]
    same = [one for one in older if one.label == capture.label]
    return next(iter(same or older or others[-1:]), None)


def differences(bin: Bin, old: Capture, new: Capture) -> list[Diff]:
    """Returns the differences of the request line, the headers and the body; JSON and XML are indented first."""
    old.bin = new.bin = bin
    return [
        compare("Request line", request_line(old), request_line(new)),
        compare("Headers", header_text(old), header_text(new)),
        compare_bodies(old, new),
    ]


def compare_bodies(old: Capture, new: Capture) -> Diff:
    if old.too_large or new.too_large:
        return Diff("Body", [], NOT_STORED)
    return compare("Body", body_text(old), body_text(new), is_equal=bytes(old.body) == bytes(new.body))


def header_text(capture: Capture) -> str:
    return "\n".join(f"{name}: {value}" for name, value in capture.headers)


def body_text(capture: Capture) -> str:
    """Returns the body as the page shows it: its text, or a hex dump of its start."""
    body = bytes(capture.body)
    shown = pretty.show(body, capture.headers)
    return hex_dump.dump(body) if shown.kind == "bytes" else shown.text
