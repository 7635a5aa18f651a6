"""Which host names requests may be sent to: those of SITE_URL and of this machine, and ALLOWED_HOSTS.

DNS rebinding makes a browser send requests to this site under the name of another one, whose pages may then read the
responses: with a site on a laptop or in a local network, a page on the internet could read it. So pages, and everything
else that reads a cookie, respond to known names only. URLs for programs respond to every name, and read no cookie.
"""

import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from chatapi.error_pages import host_refused
from chatapi.middleware import is_of_contract

BIN = "/bin/"
FRONT = "/healthz/front"  # says which name the proxy in front sent
# Load balancers probe health by IP address. Files are downloaded by unguessable links, REST needs a key.
FOR_PROGRAMS = re.compile(r"/(?:api/v1/|bin/|channels/|media/|(?:healthz|healthz/front|readyz)\Z)")
METRICS = "/metrics"  # without METRICS_TOKEN, every program on this machine may read them, browsers included


def is_for_programs(path: str) -> bool:
    """Returns whether the path reads no cookie, so that it responds to every host name."""
    if path == METRICS:
        return bool(settings.METRICS_TOKEN)
    return FOR_PROGRAMS.match(path) is not None or is_of_contract(path)


def unknown_host(request: HttpRequest) -> str | None:
    """Returns the host name of the request if it is not one of ALLOWED_HOSTS, else None.

    The web server refuses two Host headers, and takes the host of an absolute target (`GET http://chat.example/`).
    """
    try:
        request.get_host()
    except DisallowedHost:
        return str(request.META.get("HTTP_HOST", request.META.get("SERVER_NAME", "")))
    return None


def known_hosts_only(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuses requests for pages under an unknown host name, with 400; drops the cookies of URLs for programs."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not is_for_programs(request.path_info):
            host = unknown_host(request)
            return get_response(request) if host is None else host_refused(request, host)
        drop_cookies(request)
        return get_response(request)

    return middleware


def without_cookies(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware for URLs of programs alone: drops their cookies."""

    def middleware(request: HttpRequest) -> HttpResponse:
        drop_cookies(request)
        return get_response(request)

    return middleware


def drop_cookies(request: HttpRequest) -> None:
    request.COOKIES = {}
    if not request.path_info.startswith(BIN):  # a bin shows its headers as they were sent
        request.META.pop("HTTP_COOKIE", None)
    if not request.path_info.startswith((BIN, FRONT)):
        # All links start with SITE_URL. Libraries that ask for the host get the site's, the first of the list.
        request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0]
