"""The WSGI application that granian serves, and what WSGI needs help with: lengths, in and out, and charsets.

Real clients post forms with `Transfer-Encoding: chunked` and no Content-Length (contract.md, section 1). Django reads
as many bytes as Content-Length says, so such a body would look empty. It is read here, bounded, and given its length.
"""

import codecs
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application

from chatapi.runtime import download_slots
from chatapi.runtime.client_disconnect import has_gone

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

IN_MEMORY = 1_000_000  # bytes; a longer chunked body waits in a temporary file
BLOCK = 65_536
TOO_LONG = "413 Content Too Large"

CHARSET = re.compile(r";\s*charset\s*=\s*(\"[^\"]*\"|[^;]*)", re.IGNORECASE)
# In these ASCII is itself, so that a query still reads; Python's names for them.
READABLE = ("iso8859-", "cp125", "koi8-")


class Request(WSGIRequest):
    """Django's request, told of a charset only where a query can be read by it; else it is UTF-8. META stays.

    Django decodes the query by whatever the Content-Type names, before any view: `charset=utf-16`, as C# writes of
    its JSON, makes a token unreadable, and `charset=base64` is an exception outside all error handling.
    """

    def _set_content_type_params(self, meta: Environ) -> None:
        kind = meta.get("CONTENT_TYPE") or ""
        if "charset" in kind.lower():
            known = CHARSET.sub(lambda found: found[0] if readable(found[1]) else "", kind)
            meta = meta | {"CONTENT_TYPE": known}
        super()._set_content_type_params(meta)  # type: ignore[misc]  # the stubs leave it out


def readable(charset: str) -> bool:
    try:
        return codecs.lookup(charset.strip().strip('"')).name.startswith(READABLE)
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return False


def bodies_with_length(application: Application) -> Application:
    """The application behind a door that measures bodies: chunked ones get a Content-Length, too long ones get 413.

    Chunked ones that broke off get 400: a shorter Content-Length would make whole requests of them.
    """

    def measured(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        most = settings.REQUEST_MAX_BYTES
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        length = "" if chunked else environ.get("CONTENT_LENGTH") or ""
        if length.isdigit() and int(length) > most:
            return refused(start_response, TOO_LONG, f"The request is longer than {most} bytes.")
        if not chunked or not environ.get("wsgi.input_terminated"):
            return application(environ, start_response)
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as body:
            source, size = environ["wsgi.input"], 0
            while block := source.read(BLOCK):
                size += len(block)
                if size > most:
                    return refused(start_response, TOO_LONG, f"The request is longer than {most} bytes.")
                body.write(block)
            if has_gone(environ["REMOTE_ADDR"], int(environ["SERVER_PORT"])):
                return refused(start_response, "400 Bad Request", "The body broke off.")
            body.seek(0)
            del environ["HTTP_TRANSFER_ENCODING"]
            return application(environ | {"wsgi.input": body, "CONTENT_LENGTH": str(size)}, start_response)

    return measured


def whole_answers(application: Application) -> Application:
    """Hands an answer that is all there to the server as one list of bytes, so that it goes out with its length.

    granian sends whatever else iterates in chunks, which old clients like less and which costs more. A streamed
    answer that is long (a file, an export) stays as it is, where there is a place for it (runtime/download_slots.py).
    """

    def whole(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun: list[tuple[Any, ...]] = []
        response: Any = application(environ, lambda *given: begun.append(given))
        if response.streaming and not download_slots.is_short(response):
            found = download_slots.seated(response, environ)
            if found is None:
                response.close()
                return refused(
                    start_response, "503 Service Unavailable", download_slots.TOO_MANY, ("Retry-After", "60")
                )
            start_response(*begun[0])
            return found
        start_response(*begun[0])
        try:
            if response.streaming:
                return [b"".join(response)]
            return [response.content]
        finally:
            response.close()

    return whole


def refused(
    start_response: Callable[..., Any], status: str, sentence: str, *more: tuple[str, str]
) -> list[bytes]:
    """An answer of the door itself, in the place of the application's; what is left of a body stays unread."""
    answer = json.dumps({"error": sentence}).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(answer))),
        ("Access-Control-Allow-Origin", "*"),
        ("Connection", "close"),
        *more,
    ]
    start_response(status, headers)
    return [answer]


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
django_application = get_wsgi_application()
django_application.request_class = Request
application = bodies_with_length(whole_answers(django_application))
