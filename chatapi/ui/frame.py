"""What surrounds every page: menu, and the parts that apps register (chooser, banners, notes).

The context processor `frame` gives templates `frame.…`. The database is read only when a template asks, so
fragments for htmx cost nothing.
"""

from collections.abc import Callable
from enum import Enum
from functools import cached_property, partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.template import Context

from chatapi.ui import menu


class Place(Enum):
    """Where base.html includes registered templates."""

    TOPBAR = "topbar"  # for signed-in users: the instance chooser
    BANNERS = "banners"  # above the page, over its whole width
    READ_ONLY = "read_only"  # on pages that the user may read but not change
    NOTES = "notes"  # at the top of the page
    ACCOUNT = "account"  # sections of the account page


_parts: dict[str, tuple[Place, int]] = {}
_menu_query: Callable[[HttpRequest, str], str] | None = None
_read_only_rule: Callable[[HttpRequest, Context], bool] | None = None


def register_part(place: Place, order: int, template: str) -> None:
    """Include `template` at `place`, sorted by `order`."""
    _parts[template] = (place, order)


def register_menu_query(query: Callable[[HttpRequest, str], str]) -> None:
    """`query` returns what the menu link to a URL name carries along, such as "?instance=1000", or ""."""
    global _menu_query
    _menu_query = query


def register_read_only_rule(rule: Callable[[HttpRequest, Context], bool]) -> None:
    """`rule` tells whether the user may read but not change what a page shows."""
    global _read_only_rule
    _read_only_rule = rule


def is_read_only(request: HttpRequest, context: Context) -> bool:
    return _read_only_rule is not None and _read_only_rule(request, context)


def user_of(request: HttpRequest) -> Any:
    """The user of the session, read at most once per request.

    REST framework has no user on pages that take no key; the session has it.
    """
    user = getattr(request, "user", None) or request.__dict__.get("_frame_user")
    if user is None:
        user = request.__dict__["_frame_user"] = get_user(request)
    return user


class Frame:
    """The frame of one request."""

    def __init__(self, request: HttpRequest) -> None:
        self.request: HttpRequest = getattr(request, "_request", request)  # REST framework wraps it
        self.user = user_of(self.request)

    @property
    def is_signed_in(self) -> bool:
        return self.user.is_authenticated

    @property
    def mail_is_set_up(self) -> bool:
        """False if mail is printed on the server's terminal, or not sent at all; pages that send mail say so."""
        return bool(settings.EMAIL_URL)

    @property
    def sign_up(self) -> str:
        """Who may create an account: open, invited or closed."""
        return settings.SIGNUP

    @property
    def support_contact(self) -> str:
        """Whom to ask for what only the site's staff can do."""
        return settings.SUPPORT_EMAIL or "the administrator of this site"

    @property
    def mail_is_printed(self) -> bool:
        """Whether mail is printed on the server's terminal: on a laptop without EMAIL_URL."""
        return bool(settings.MAIL_IS_PRINTED and not settings.EMAIL_URL)

    @cached_property
    def menu(self) -> list[menu.MenuBlock]:
        query = partial(_menu_query, self.request) if _menu_query else None
        is_staff = self.is_signed_in and self.user.is_staff
        return list(menu.blocks(self.request, is_signed_in=self.is_signed_in, is_staff=is_staff, query=query))

    @property
    def parts(self) -> dict[str, list[str]]:
        """Templates by place: `frame.parts.banners`."""
        ordered = sorted(_parts.items(), key=lambda part: part[1][1])
        return {place.value: [template for template, (at, _) in ordered if at == place] for place in Place}


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `frame` in every template that is rendered with a request."""
    return {"frame": Frame(request)}
