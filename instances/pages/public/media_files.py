"""Downloads of the files of messages, by link. Anyone who has a link can download its file."""

import hashlib
from typing import IO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from instances.actions.media import storage
from instances.media.kinds import BINARY, SERVED_TYPES
from instances.models import Media
from instances.pages.public.byte_ranges import NotSatisfiable, PartOfFile, requested_range

NOT_FOUND = "There is no file with this URL. Files are kept for 30 days."


class MediaResponse(FileResponse):
    """Read from the storage in larger blocks than Django's 4 KB."""

    block_size = 65_536


@require_safe
def media(request: HttpRequest, key: str, name: str) -> HttpResponseBase:
    """The file or a part of it, as an attachment with its own name; a sandbox stops any script in it.

    The content type is one of kinds.SERVED_TYPES, else binary. Web pages of any origin may read it (CORS). `Range`,
    `If-Range`, `If-None-Match` and `If-Modified-Since` are supported: a file never changes, so its ETag is its key's.
    """
    if "\0" in key:  # which PostgreSQL cannot compare
        return file_not_found()
    found = Media.objects.served(timezone.now()).filter(key=key).first()
    if found is None or found.name_in_link != name:
        return file_not_found()
    try:
        file = storage().open(found.path)
    except FileNotFoundError:
        return file_not_found()
    etag, modified = etag_of(found), int(found.created_at.timestamp())
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag, last_modified=modified)
    if response is None:
        response = send_file(request, found, file, etag=etag, modified=modified)
    if not response.streaming:  # 304, 412, 416: nothing of the file is sent
        file.close()
    response.headers["ETag"] = etag
    response.headers["Last-Modified"] = http_date(modified)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Accept-Ranges, Content-Length, Content-Range, ETag"
    return response


def etag_of(media: Media) -> str:
    """A strong ETag. It does not contain the key, which is the only secret of the link."""
    return f'"{hashlib.sha256(media.key.encode()).hexdigest()[:32]}"'


def send_file(
    request: HttpRequest, media: Media, file: IO[bytes], *, etag: str, modified: int
) -> HttpResponseBase:
    """The whole file (200), the requested part (206), or 416 if the file does not have that part."""
    try:
        part = requested_range(request, size=media.size, etag=etag, last_modified=modified)
    except NotSatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{media.size}"})
    response = MediaResponse(
        PartOfFile(file, part) if part else file,
        status=206 if part else 200,
        as_attachment=True,
        filename=media.filename,
        content_type=media.content_type if media.content_type in SERVED_TYPES else BINARY,
    )
    response.headers["Content-Length"] = str(part.length if part else media.size)
    if part:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.end}/{media.size}"
    if request.method == "HEAD":
        response.streaming_content = ()
    return response


def file_not_found() -> JsonResponse:
    response = JsonResponse({"error": NOT_FOUND}, status=404)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
