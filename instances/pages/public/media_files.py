"""Downloads of the files of messages, by link. Anyone who has a link can download its file."""

from django.http import FileResponse, HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from instances.actions.media import storage
from instances.media.kinds import BINARY, TYPES
from instances.models import Media

NOT_FOUND = "There is no file with this URL. Files are kept for 30 days."


@require_safe
def media(request: HttpRequest, key: str, name: str) -> HttpResponseBase:
    """The file, as an attachment with its own name; a sandbox stops any script in it.

    The content type is one of kinds.TYPES, else binary. Web pages of any origin may read it (CORS).
    """
    found = Media.objects.filter(key=key, expires_at__gt=timezone.now()).first()
    if found is None or found.name_in_link != name:
        return file_not_found()
    try:
        file = storage().open(found.path)
    except FileNotFoundError:
        return file_not_found()
    content_type = found.content_type if found.content_type in TYPES.values() else BINARY
    response = FileResponse(file, as_attachment=True, filename=found.filename, content_type=content_type)
    if request.method == "HEAD":
        response.streaming_content = ()
    response.headers["Content-Length"] = str(found.size)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def file_not_found() -> JsonResponse:
    response = JsonResponse({"error": NOT_FOUND}, status=404)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
