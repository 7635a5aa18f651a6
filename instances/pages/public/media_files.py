"""The files that messages carry, by their links: for everybody who has one, and for nothing but saving them."""

from django.http import FileResponse, HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from instances.actions.media import storage
from instances.media.kinds import BINARY, TYPES
from instances.models import Media

GONE = "There is no file with this address. Files are kept for 30 days."


@require_safe
def media(request: HttpRequest, key: str, name: str) -> HttpResponseBase:
    """The file, as an attachment under its own name; a page that a browser found in it could do nothing.

    Only the types of kinds.TYPES are said; what is something else is bytes. Any page may read it, as any caller may.
    """
    found = Media.objects.filter(key=key, expires_at__gt=timezone.now()).first()
    if found is None or found.name_in_link != name:
        return not_there()
    try:
        file = storage().open(found.path)
    except FileNotFoundError:
        return not_there()
    kind = found.content_type if found.content_type in TYPES.values() else BINARY
    response = FileResponse(file, as_attachment=True, filename=found.filename, content_type=kind)
    if request.method == "HEAD":
        response.streaming_content = ()
    response.headers["Content-Length"] = str(found.size)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def not_there() -> JsonResponse:
    response = JsonResponse({"error": GONE}, status=404)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
