"""Changes to a bin and its captures: the configured response, notes, delete and undo."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from testing_tools.verification import delays, responses
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import MAX_DELAY, Bin
from testing_tools.verification.responses import ConfiguredResponse, InvalidResponse
from testing_tools.verification.views.captures import capture_url
from testing_tools.verification.views.contexts import (
    changeable_bin,
    count_context,
    from_stamp,
    stamp,
    undo_context,
    visible_capture,
)


def render_dialog(
    request: HtmxRequest, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    """Renders a dialog of the bin: only its content for htmx, otherwise a page."""
    part = "#dialog" if request.htmx else ""
    return render(request, f"testing_tools/verification/{template}{part}", context, status=status)


@require_http_methods(["GET", "POST"])
@login_required
def response(request: HtmxRequest, key: str) -> HttpResponse:
    """Shows the form of the bin's response; a POST saves a preset or the fields, or responds 422 with the errors."""
    bin = changeable_bin(request, key)
    if request.method == "GET":
        return render_dialog(request, "bin_response.html", response_context(bin, ConfiguredResponse.of(bin)))
    preset = responses.PRESETS.get(request.POST.get("preset", ""))
    try:
        configured = None if preset else responses.read(request.POST)
    except InvalidResponse as error:
        typed = {
            name: request.POST.get(name, "")
            for name in ("status", "headers", "body", "delay", "fail_first", "cors")
        }
        context = response_context(bin, ConfiguredResponse.of(bin)) | {
            "typed": typed,
            "errors": {error.field: str(error)},
        }
        return render_dialog(request, "bin_response.html", context, status=422)
    if configured:
        bin_actions.set_response(bin, response=configured, acting_user=current_user(request))
    elif preset:
        bin_actions.apply_preset(bin, preset=preset, acting_user=current_user(request))
    saved = f"Saved. The bin responds {responses.describe_response(bin)}."
    if request.htmx:
        context = response_context(bin, ConfiguredResponse.of(bin)) | {"saved": saved}
        return render_dialog(request, "bin_response.html", context)
    messages.success(request, saved)
    return redirect("testing:bin-page", key=bin.key)


def response_context(bin: Bin, configured: ConfiguredResponse) -> dict[str, object]:
    return {
        "bin": bin,
        "response_text": responses.describe_response(bin),
        "presets": [
            (name, preset, preset.response == configured._replace(cors=preset.response.cors))
            for name, preset in responses.PRESETS.items()
        ],
        "typed": {
            "status": configured.status,
            "headers": "\n".join(f"{name}: {value}" for name, value in configured.headers),
            "body": configured.body,
            "delay": f"{configured.delay:g}",
            "fail_first": configured.fail_first,
            "cors": configured.cors,
        },
        "errors": {},
        "max_delay": MAX_DELAY,
        "max_delayed": delays.MAX_DELAYED_PER_BIN,
    }  # fmt: skip


@require_POST
@login_required
def note(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Set the note of a capture; an empty one removes it."""
    capture = visible_capture(changeable_bin(request, key), public_id)
    capture_actions.write_note(capture, text=request.POST.get("note", ""))
    if request.htmx:
        return render(
            request,
            "testing_tools/verification/bin_capture.html#note",
            {"capture": capture, "bin": capture.bin, "is_saved": True},
        )
    return redirect(capture_url(capture))


@require_POST
@login_required
def delete(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Delete one capture; the response offers to undo it."""
    bin = changeable_bin(request, key)
    capture = visible_capture(bin, public_id)
    at, _ = capture_actions.delete(
        bin, captures=bin.captures.filter(pk=capture.pk), acting_user=current_user(request)
    )
    if request.htmx:
        context = count_context(bin) | {"undo": undo_context(bin, at), "deleted": capture, "news": True}
        return render(request, "testing_tools/verification/bin_undo.html", context)
    return redirect(f"{reverse('testing:bin-page', args=[bin.key])}?deleted={stamp(at)}")


@require_POST
@login_required
def delete_all(request: HttpRequest, key: str) -> HttpResponse:
    """Delete the captures that match the filter `q`, or all; the page then offers to undo it."""
    bin = changeable_bin(request, key)
    at, count = capture_actions.delete_matching(
        bin, which=Filter(request.POST.get("q", "")), acting_user=current_user(request)
    )
    if not count:
        messages.info(request, "No requests to delete.")
        return redirect("testing:bin-page", key=bin.key)
    return redirect(f"{reverse('testing:bin-page', args=[bin.key])}?deleted={stamp(at)}")


@require_POST
@login_required
def undo(request: HttpRequest, key: str) -> HttpResponse:
    """Restore the captures that were deleted at `at` (microseconds, from the page)."""
    bin = changeable_bin(request, key)
    at = from_stamp(request.POST.get("at"))
    count = capture_actions.restore(bin, at=at, acting_user=current_user(request)) if at else 0
    if count:
        messages.success(request, "1 request restored." if count == 1 else f"{count} requests restored.")
    else:
        messages.error(request, "Too late to undo: deleted requests can be restored for 10 minutes.")
    return redirect("testing:bin-page", key=bin.key)
