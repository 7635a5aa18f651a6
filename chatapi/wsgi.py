"""The WSGI application that the web server (chatapi/runtime/web) runs in its threads.

Any WSGI server can run it. Bodies must have a Content-Length there: Django reads as many bytes as it says.
"""

import codecs
import os
import re
from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import parse_cookie
from django.utils.functional import cached_property

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


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
django_application = get_wsgi_application()
django_application.request_class = Request
application = with_client_address(django_application)
