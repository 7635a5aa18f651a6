"""The time zone in which a user sees absolute times: on pages, and in mails.

A user without a choice sees the times of a page in the zone of the browser where its script shows them, else in UTC;
mails are in UTC.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, tzinfo
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.models import User

# The zones are named after the places in these areas; other names are old spellings and fixed offsets.
AREAS = (
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
)  # fmt: skip
BROWSER = ""
# Requests without a page of the user's: their responses are the same for everyone.
OPEN_PATHS = ("/static/", "/bin/", "/healthz", "/readyz", "/metrics")


@cache
def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns the zones that the system knows, by area, as choices of a form: `Europe/Madrid` is "Madrid"."""
    by_area: dict[str, list[tuple[str, str]]] = {area: [] for area in AREAS}
    for name in sorted(zoneinfo.available_timezones()):
        area, _, place = name.partition("/")
        if place and area in by_area:
            by_area[area].append((name, place.replace("_", " ").replace("/", ", ")))
    return [("", [("UTC", "UTC")]), *((area, places) for area, places in by_area.items() if places)]


def is_known(name: str) -> bool:
    return name == BROWSER or any(name == known for _, places in choices() for known, _ in places)


def zone_of(user: User) -> tzinfo:
    """Returns the zone that the user has chosen; UTC without a choice, or if this system does not know it any more."""
    if user.time_zone == BROWSER:
        return UTC
    try:
        return zoneinfo.ZoneInfo(user.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        return UTC


def in_zone_of(user: User) -> AbstractContextManager[None]:
    """A block in which templates and timezone.localtime() use the user's zone: for mails to this user."""
    return timezone.override(zone_of(user))


def user_time_zone(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware after accounts.blocking, which has loaded the user: pages show times in the zone of who reads them.

    Sets `request.time_zone` to the chosen zone, for the scripts; unset, they use the browser's. Staff who view an
    account see their own zone.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        user = reader_of(request)
        if user is None or user.time_zone == BROWSER:
            return get_response(request)
        request.time_zone = user.time_zone  # type: ignore[attr-defined]
        with in_zone_of(user):
            return get_response(request)

    return middleware


def reader_of(request: HttpRequest) -> User | None:
    """Returns the signed-in user, or the staff member who views their account. No query without a session cookie."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.path.startswith(OPEN_PATHS):
        return None
    viewing = getattr(request, "impersonation", None)
    user = viewing.staff if viewing is not None else request.user
    return user if isinstance(user, User) else None
