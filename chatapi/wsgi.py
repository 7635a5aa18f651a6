"""The WSGI application that granian serves: content lengths of requests and responses, and charsets.

Real clients post forms with `Transfer-Encoding: chunked` and no Content-Length (contract.md, section 1). Django reads
as many bytes as Content-Length says, so such a body would look empty. It is read here, up to a limit, with its length.
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
from chatapi.runtime.client_address import with_client_address
from chatapi.runtime.client_disconnect import has_disconnected

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

IN_MEMORY = 1_000_000  # bytes; a longer chunked body is kept in a temporary file
BLOCK = 65_536
TOO_LONG = "413 Content Too Large"

CHARSET = re.compile(r";\s*charset\s*=\s*(\"[^\"]*\"|[^;]*)", re.IGNORECASE)
# Supersets of ASCII, so that a query stays readable; Python's names for them.
READABLE = ("iso8859-", "cp125", "koi8-")


class Request(WSGIRequest):
    """Django's request, with the given charset only if a query can be read with it; else UTF-8. META is unchanged.

    Django decodes the query with the Content-Type's charset, before any view: `charset=utf-16`, which C# sends with
    its JSON, makes a token unreadable, and `charset=base64` raises outside all error handling.
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
    """Wrap the application: chunked bodies get a Content-Length, too long ones get 413.

    Chunked bodies that were cut off get 400: with a shorter Content-Length they would pass as whole requests.
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
            if has_disconnected(environ["REMOTE_ADDR"], int(environ["SERVER_PORT"])):
                return refused(start_response, "400 Bad Request", "The body is incomplete.")
            body.seek(0)
            known = {
                "wsgi.input": body,
                "CONTENT_LENGTH": str(size),
                "chatapi.transfer_encoding": environ.pop("HTTP_TRANSFER_ENCODING"),  # for bins
            }
            return application(environ | known, start_response)

    return measured


def responses_with_length(application: Application) -> Application:
    """Wrap the application: a complete response is passed to the server as one list, so it is sent with its length.

    granian sends any other iterable in chunks, which old clients handle worse and which costs more. A long streamed
    response (a file, an export) is unchanged, if a download slot is free (runtime/download_slots.py).
    """

    def whole(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun: list[tuple[Any, ...]] = []
        response: Any = application(environ, lambda *given: begun.append(given))
        if response.streaming and not download_slots.is_short(response):
            found = download_slots.with_slot(response, environ)
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
    """A response in place of the application's; the rest of the body is not read."""
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
application = bodies_with_length(with_client_address(responses_with_length(django_application)))
