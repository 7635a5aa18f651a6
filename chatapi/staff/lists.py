"""A list of the staff desk: read-only, newest first, a page by its last key, and never a COUNT(*).

What is looked for is found by an index: each list says which texts it knows (an address, a number, an id). A filter
that no index serves looks through WINDOW rows a page, and says so; the next page goes on where it ended. So a page
of ten million rows costs what one of a thousand does.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from chatapi.staff.tools import Tools
from instances.models import Instance

BEFORE = "before"  # the query parameter: the key above which the page before ended
WINDOW = 100_000
GREATEST_KEY = 2**63 - 1
KEYS_MOST = 1000


class KeysetList(ChangeList):
    """The rows below `?before=`, and how to get to those below them."""

    older: int | None = None  # `before` of the next page
    rows_searched: int | None = None  # so many keys, when the filters have no index

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        lookups = super().get_filters_params(params)
        lookups.pop(BEFORE, None)
        return lookups

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        before = self.before(request)
        rows = self.queryset if before is None else self.queryset.filter(pk__lt=before)
        least = None
        if getattr(self.model_admin, "window", False) and self.get_filters_params() and not self.query:
            top = before or (self.root_queryset.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
            least = max(top - WINDOW, 0)
            rows = rows.filter(pk__lt=top, pk__gte=least)
        found = list(rows[: self.list_per_page + 1])
        self.result_list = found[: self.list_per_page]
        if len(found) > self.list_per_page:
            self.older = found[self.list_per_page - 1].pk
        elif least:
            self.older, self.rows_searched = least, WINDOW
        self.is_first = before is None
        # what the admin's own templates ask for
        self.result_count = self.full_result_count = len(self.result_list)
        self.can_show_all, self.multi_page, self.show_admin_actions = False, False, bool(found)
        self.paginator = Paginator(self.result_list, self.list_per_page)

    def before(self, request: HttpRequest) -> int | None:
        given = request.GET.get(BEFORE, "")
        return (
            min(int(given), GREATEST_KEY) if given.isascii() and given.isdigit() and len(given) < 20 else None
        )

    def filters_shown(self) -> list[tuple[str, list[Any]]]:
        """Each filter's title and choices."""
        return [(str(spec.title).capitalize(), list(spec.choices(self))) for spec in self.filter_specs]

    def older_link(self) -> str:
        return self.get_query_string({BEFORE: self.older}) if self.older else ""

    def newest_link(self) -> str:
        return self.get_query_string(remove=[BEFORE])


class Desk(Tools, admin.ModelAdmin):
    """A model that staff looks at, with the tools that it may be worked on with."""

    change_list_template = "chatapi/staff/list.html"
    change_form_template = "chatapi/staff/row.html"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()
    ordering = ("-pk",)
    window = False  # True: the filters have no index, and there may be millions of rows
    trail_kind = ""  # the kind of subject in the audit trail, where it has one

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\x00", "")
        if not text:
            return queryset, False
        found = self.find(text)
        return (queryset.none() if found is None else queryset.filter(found)), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters ask: `?token__startswith=a` would tell a secret letter by letter."""
        asked = lookup.removesuffix("__exact").removesuffix("__isempty").removesuffix("__isnull")
        own: Any = self.list_filter
        return asked in {filter_name(one) for one in own}

    def find(self, text: str) -> Q | None:
        """The rows that a text means, by one index; None: it is nothing that can be looked for here."""
        return None

    def trail_key(self, row: Any) -> str:
        """How the audit trail names the row."""
        return str(row.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        row = kwargs.get("obj") or context.get("original")
        if row is not None:
            context["tools"] = self.tools_for(request, row)
            if self.trail_kind and request.user.has_perm("accounts.view_auditentry"):
                text = quote(f"{self.trail_kind}:{self.trail_key(row)}")
                context["audit_log"] = f"{reverse('admin:accounts_auditentry_changelist')}?q={text}"
        return super().render_change_form(request, context, *args, **kwargs)


def filter_name(given: Any) -> str:
    """What an entry of `list_filter` asks for: a field, a field with its filter, or a filter of its own."""
    if isinstance(given, str):
        return given
    return str(given[0] if isinstance(given, tuple) else given.parameter_name)


def link(page: str, key: object, text: object) -> str:
    """A link to a row of another list: link("instances_instance", 7, "Shop")."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{page}_change", args=[key]), text)


def keys(rows: QuerySet[Any], of: str = "pk") -> list[Any]:
    """The keys of what a text has found, looked up before the list asks for its rows.

    As a subquery, PostgreSQL would rather walk a million rows from the newest on, in the hope of fifty soon.
    """
    return list(rows.order_by().values_list(of, flat=True)[:KEYS_MOST])


def numbered(text: str) -> QuerySet[Instance]:
    """The instance with this number, if it is one."""
    return Instance.objects.filter(number=min(number(text) or 0, 2**31 - 1))


def number(text: str) -> int | None:
    """A whole number that a column can hold; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
