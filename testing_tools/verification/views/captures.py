"""Views of one capture: its page, its files, and a check of another sender's signature."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatapi.ui.downloads import as_download, as_picture
from chatapi.ui.header_fields import combined
from chatapi.ui.requests import HtmxRequest
from testing_tools.verification import copy_as
from testing_tools.verification.models import Capture
from testing_tools.verification.reading import form_parts, other_signatures
from testing_tools.verification.reading.images import read_image
from testing_tools.verification.views.contexts import (
    list_context,
    shown_context,
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
    context = shown_context(request, capture)
    if request.htmx:
        return render(request, "testing_tools/verification/bin_capture.html", context)
    return render(request, "testing_tools/verification/bin.html", context | list_context(request, bin))


@require_GET
@login_required
def body(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """Downloads the exact bytes of the body; a browser never shows them. With `?picture` see picture_of()."""
    capture = visible_capture(visible_bin(request, key), public_id)
    return picture_of(bytes(capture.body)) if "picture" in request.GET else body_file(capture)


@require_GET
@login_required
def part(request: HttpRequest, key: str, public_id: str, index: int) -> HttpResponse:
    """Downloads a file of a captured form. With `?picture` see picture_of()."""
    part = file_part(visible_capture(visible_bin(request, key), public_id), index)
    return picture_of(part.content) if "picture" in request.GET else part_file(part)


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


def picture_of(content: bytes) -> HttpResponse:
    """Shows a picture in an <img> of a page, with the type that its bytes have; 404 if they are no picture."""
    image = read_image(content)
    if image is None:
        raise Http404("Not a picture that a page shows.")
    return as_picture(HttpResponse(content, content_type=image.type))


def file_part(capture: Capture, index: int) -> form_parts.Part:
    """Returns a file of a captured form; 404 if it has no such file."""
    parts = form_parts.read(capture).parts
    if index >= len(parts) or parts[index].file is None:
        raise Http404("The form has no such file.")
    return parts[index]


def part_file(part: form_parts.Part) -> HttpResponse:
    # The name comes from the sender: remove folders and control characters, which some systems would interpret.
    name = "".join(
        letter for letter in str(part.file).replace("\\", "/").split("/")[-1] if letter.isprintable()
    )
    return as_download(HttpResponse(part.content, content_type=OCTETS), name[-100:] or "file")


def capture_url(capture: Capture) -> str:
    return reverse("testing:bin-capture", args=[capture.bin.key, capture.public_id])
