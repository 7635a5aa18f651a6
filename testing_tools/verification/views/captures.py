"""Views of one capture: its page, its files, and a check of another sender's signature."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatapi.ui.downloads import as_download
from chatapi.ui.header_fields import combined
from chatapi.ui.requests import HtmxRequest
from testing_tools.verification import copy_as
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from testing_tools.verification.reading import form_parts, other_signatures
from testing_tools.verification.views.contexts import (
    TABS,
    capture_context,
    list_context,
    may_change,
    signed_request,
    visible_bin,
    visible_capture,
)

OCTETS = "application/octet-stream"


@require_GET
@login_required
def detail(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Shows one capture: for htmx only its pane, otherwise the bin's page with the pane."""
    bin = visible_bin(request, key)
    capture = visible_capture(bin, public_id)
    context = capture_context(capture) | {"may_change": may_change(request, bin), "tab": chosen_tab(request)}
    if context["may_change"]:  # a viewer does not mark captures as read
        capture_actions.mark_read(capture)
    if request.htmx:
        return render(request, "testing_tools/verification/bin_capture.html", context)
    return render(request, "testing_tools/verification/bin.html", context | list_context(request, bin))


def chosen_tab(request: HttpRequest) -> str:
    tab = request.GET.get("tab", "")
    return tab if tab in TABS else TABS[0]


@require_GET
@login_required
def body(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """Downloads the exact bytes of the body; a browser never shows them."""
    return body_file(visible_capture(visible_bin(request, key), public_id))


@require_GET
@login_required
def part(request: HttpRequest, key: str, public_id: str, index: int) -> HttpResponse:
    """Downloads a file of a captured form."""
    return part_file(visible_capture(visible_bin(request, key), public_id), index)


@require_POST
@login_required
def signature(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """Checks another sender's signature with the secret of the form, which is neither stored nor logged."""
    capture = visible_capture(visible_bin(request, key), public_id)
    scheme = other_signatures.scheme_of(combined(capture.headers))
    secret = request.POST.get("secret", "")[:1000]
    context: dict[str, object] = {"capture": capture, "bin": capture.bin, "scheme": scheme}
    if scheme and secret.strip():
        context["check"] = other_signatures.check(scheme, secret, signed_request(capture))
    return render(request, "testing_tools/verification/bin_signature.html", context)


def body_file(capture: Capture) -> HttpResponse:
    return as_download(HttpResponse(bytes(capture.body), content_type=OCTETS), copy_as.file_name(capture))


def part_file(capture: Capture, index: int) -> HttpResponse:
    parts = form_parts.read(capture).parts
    if index >= len(parts) or parts[index].file is None:
        raise Http404("The form has no such file.")
    # The name comes from the sender: remove folders and control characters, which some systems would interpret.
    name = "".join(
        letter for letter in str(parts[index].file).replace("\\", "/").split("/")[-1] if letter.isprintable()
    )
    return as_download(HttpResponse(parts[index].content, content_type=OCTETS), name[-100:] or "file")


def capture_url(capture: Capture) -> str:
    return reverse("testing:bin-capture", args=[capture.bin.key, capture.public_id])
