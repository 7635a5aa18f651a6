"""The WSGI application that the web server (chatapi/runtime/web) runs in its threads.

Any WSGI server can run it. Bodies must have a Content-Length there: Django reads as many bytes as it says.
"""

import codecs
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import django
from django.core.exceptions import TooManyFieldsSent
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_script_name
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponseBase, parse_cookie
from django.urls import set_script_prefix
from django.utils.functional import cached_property
from django.utils.log import log_response

from chatapi.database.pooler import use_pooler
from chatapi.runtime.client_address import with_client_address

Environ = dict[str, Any]

CHARSET = re.compile(r";\s*charset\s*=\s*(\"[^\"]*\"|[^;]*)", re.IGNORECASE)
# Supersets of ASCII, so that a query stays readable; Python's names for them.
READABLE = ("iso8859-", "cp125", "koi8-")

# In a form. Python takes 190 bytes of memory to read one: 2 MB of "%" would take 380 MB.
MAX_ESCAPES = 300_000
MAX_BACKSLASHES = 500  # in the header Cookie


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

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]
        """The cookies; none if the header has more backslashes than any cookie of this site.

        Python's time to read a quoted cookie grows with their square (CVE-2024-7592): 17 s for 60,000.
        """
        if self.environ.get("HTTP_COOKIE", "").count("\\") > MAX_BACKSLASHES:
            return {}
        return parse_cookie(self.environ.get("HTTP_COOKIE", "").encode("latin-1").decode(errors="replace"))

    def _load_post_and_files(self) -> None:
        """Raises TooManyFieldsSent, which gets 400, for a form with too many escapes."""
        if self.content_type == "application/x-www-form-urlencoded" and self.body.count(b"%") > MAX_ESCAPES:
            raise TooManyFieldsSent("The form has too many escapes.")
        super()._load_post_and_files()


def readable(charset: str) -> bool:
    try:
        return codecs.lookup(charset.strip().strip('"')).name.startswith(READABLE)
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return False


def close_if_unusable(connection: BaseDatabaseWrapper) -> None:
    """Closes a database connection that has failed or is too old, as close_old_connections() does."""
    connection.close_if_unusable_or_obsolete()


def end_request(response: HttpResponseBase) -> None:
    """What HttpResponseBase.close() and the receivers of its signal do."""
    response.__dict__.pop(
        "close", None
    )  # it refers to the response: memory is free without the garbage collector
    for closer in response._resource_closers:  # type: ignore[attr-defined]  # not in the stubs
        try:
            closer()
        except Exception:  # noqa: BLE001 - as Django
            pass
    response._resource_closers.clear()  # type: ignore[attr-defined]
    response.closed = True
    close_if_unusable(connections[DEFAULT_DB_ALIAS])


class Handler(WSGIHandler):
    """Django's handler, which does at the begin and end of a request what receivers of Django's signals do there.

    Only Django's own receivers listen to these signals: they forget logged queries, close connections and caches that
    are not usable any more, and forget the request's URLconf. Here are one database, no cache that is closed
    and no other URLconf. With the signals, this was 13 % of the CPU that Python needed for a contact's message.
    """

    request_class = Request

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> HttpResponseBase:
        set_script_prefix(get_script_name(environ))
        here = connections[DEFAULT_DB_ALIAS]
        here.queries_log.clear()
        close_if_unusable(here)
        response = self.get_response(self.request_class(environ))
        if type(response).close is HttpResponseBase.close:
            response.close = partial(end_request, response)
        response._handler_class = type(self)
        cookies = (("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values())
        start_response(
            f"{response.status_code} {response.reason_phrase}", [*response.headers.items(), *cookies]
        )
        found: HttpResponseBase = response
        return found

    def get_response(self, request: HttpRequest) -> Any:
        response = self._middleware_chain(request)  # type: ignore[attr-defined]  # not in the stubs
        response._resource_closers.append(request.close)
        if response.status_code >= 400:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        return response


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
use_pooler()
django.setup(set_prefix=False)
application = with_client_address(Handler())
