"""The menu of the support desk, beside its pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest
from django.urls import reverse

from chatapi.staff.desk.issues import PERMISSION as VIEW_ISSUES
from chatapi.staff.desk.issues import count_open
from chatapi.staff.health import PERMISSION as VIEW_HEALTH
from chatapi.ui.menu import MenuBlock, MenuLink, shown_count


@dataclass(frozen=True)
class Entry:
    """One link. `views` are prefixes of the view names on whose pages it is marked; `permission`: "" for all staff."""

    title: str
    url_name: str
    icon: str
    views: tuple[str, ...]
    permission: str = ""
    count: Callable[[], int] | None = None
    count_word: str = ""


ENTRIES = (
    Entry("Support desk", "admin:index", "home", ("admin:index", "admin:search", "admin:customer")),
    Entry("Issues", "admin:issues", "alert-triangle", ("admin:issues",), VIEW_ISSUES, count_open, "open"),
    Entry("Queues and dispatchers", "admin:health", "server", ("admin:health",), VIEW_HEALTH),
    Entry(
        "Audit log", "admin:accounts_auditentry_changelist", "history", ("admin:accounts_auditentry",),
        "accounts.view_auditentry",
    ),
    Entry("All tables", "admin:tables", "list-details", ("admin:",)),
)  # fmt: skip


def desk_menu(request: HttpRequest) -> Callable[[], list[MenuBlock]]:
    """Returns what builds the menu: only pages in the product's frame show it, and its count costs a query."""
    return partial(blocks, request)


def blocks(request: HttpRequest) -> list[MenuBlock]:
    """The menu for this user. One query."""
    view = request.resolver_match.view_name if request.resolver_match else ""
    shown = [entry for entry in ENTRIES if not entry.permission or request.user.has_perm(entry.permission)]
    current = next((entry for entry in ENTRIES if view.startswith(entry.views)), None)
    links = [
        MenuLink(
            entry.title,
            reverse(entry.url_name),
            entry.icon,
            entry == current,
            shown_count(entry.count() if entry.count else 0),
            entry.count_word,
        )
        for entry in shown
    ]
    return [MenuBlock("", links), MenuBlock("", [MenuLink("My account", "/", "user-circle", False)])]
