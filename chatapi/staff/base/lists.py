"""Lists of the support desk: read-only, newest first, paged by key, without COUNT(*).

A search uses an index: each list says which texts it can search for (an address, a number, an id). A filter without
an index examines WINDOW rows per page and says so; the next page continues below them. So a page of ten million rows
takes the same time as a page of a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.audit import Audited
from chatapi.staff.base.tools import ToolAdmin
from chatapi.staff.base.viewing import record_view
from chatapi.ui.numbers import parse_digits
from instances.models import Instance

BEFORE = "before"  # the query parameter: the key of the previous page's last row
WINDOW = 100_000
MAX_KEY = 2**63 - 1
MAX_KEYS = 1000


class KeysetChangeList(ChangeList):
    """The rows below `?before=`, and the links to the next and the newest page."""

    older: int | None = None  # `before` of the next page
    rows_searched: int | None = None  # this many rows were examined, if the filters have no index

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
        if getattr(self.model_admin, "windowed", False) and self.get_filters_params() and not self.query:
            # the keys of hooks have gaps between days
            newest = self.root_queryset.filter(pk__lt=before or MAX_KEY).order_by("-pk")
            least = newest.values_list("pk", flat=True)[WINDOW - 1 : WINDOW].first()
            if least is not None:
                rows = rows.filter(pk__gte=least)
        found = list(rows[: self.list_per_page + 1])
        self.result_list = found[: self.list_per_page]
        if len(found) > self.list_per_page:
            self.older = found[self.list_per_page - 1].pk
        elif least:
            self.older, self.rows_searched = least, WINDOW
        self.is_first = before is None
        # attributes that the admin's own templates read
        self.result_count = self.full_result_count = len(self.result_list)
        self.can_show_all, self.multi_page, self.show_admin_actions = False, False, bool(found)
        self.paginator = Paginator(self.result_list, self.list_per_page)

    def before(self, request: HttpRequest) -> int | None:
        given = parse_digits(request.GET.get(BEFORE), max_digits=19)
        return None if given is None else min(given, MAX_KEY)

    def filters_shown(self) -> list[tuple[str, list[Any]]]:
        """Each filter's title and choices."""
        return [(str(spec.title).capitalize(), list(spec.choices(self))) for spec in self.filter_specs]

    def older_link(self) -> str:
        return self.get_query_string({BEFORE: self.older}) if self.older else ""

    def newest_link(self) -> str:
        return self.get_query_string(remove=[BEFORE])


class ReadOnly:
    """For a page or an inline whose rows can be viewed only; the permission to view stays as granted."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class OwnFilters:
    """For a list that can be filtered by its `list_filter` only.

    `?token__startswith=a` would reveal a secret letter by letter, and `?started__year=0` is an error 500 of Django's.
    """

    list_filter: ClassVar[Any]  # of the ModelAdmin

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        field = lookup.removesuffix("__exact").removesuffix("__isempty").removesuffix("__isnull")
        return field in {filter_name(one) for one in self.list_filter}


class StaffAdmin(OwnFilters, ReadOnly, ToolAdmin, admin.ModelAdmin):
    """A model on the support desk: a read-only list, read-only pages of rows, and tools.

    Each view of a row's page is in the audit log.
    """

    change_list_template = "chatapi/staff/list.html"
    change_form_template = "chatapi/staff/row.html"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()
    ordering = ("-pk",)
    windowed = False  # True: the filters have no index, and there may be millions of rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\x00", "")
        if not text:
            return queryset, False
        condition = self.search_condition(text)
        return (queryset.none() if condition is None else queryset.filter(condition)), False

    def search_condition(self, text: str) -> Q | None:
        """The condition for the rows that match a search text, using one index; None if no row can match."""
        return None

    def audit_subjects(self, row: Any) -> Sequence[Audited]:
        """What the audit log names when staff view the row: the row itself, or what it belongs to."""
        return [row]

    def audit_detail(self, row: Any) -> dict[str, str]:
        """Which row it is, if the subjects do not say it."""
        return {"row": f"{self.opts.verbose_name} {row.pk}"}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        row = kwargs.get("obj") or context.get("original")
        if row is not None:
            context["tools"] = self.tools_for(request, row)
            page = self.page_of(row)
            context["desk_page"] = page if page != request.path else ""
            subjects = self.audit_subjects(row)
            record_view(request, subjects, detail=self.audit_detail(row))
            if subjects and request.user.has_perm("accounts.view_auditentry"):
                subject = subjects[0].audit_subject()
                text = quote(f"{subject.kind}:{subject.key}")
                context["audit_log"] = f"{reverse('admin:accounts_auditentry_changelist')}?q={text}"
        return super().render_change_form(request, context, *args, **kwargs)


def filter_name(entry: Any) -> str:
    """The field or parameter of an entry of `list_filter`: a field, a field with its filter, or a filter class."""
    if isinstance(entry, str):
        return entry
    return str(entry[0] if isinstance(entry, tuple) else entry.parameter_name)


def row_link(page: str, key: object, text: object) -> str:
    """A link to a row of another list: row_link("instances_instance", 7, "Shop")."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{page}_change", args=[key]), text)


def search_link(page: str, text: str, label: str) -> str:
    """A link to another list, searched for a text."""
    return format_html('<a href="{}?q={}">{}</a>', reverse(f"admin:{page}_changelist"), quote(text), label)


def fetch_keys(rows: QuerySet[Any], field: str = "pk") -> list[Any]:
    """The keys of matching rows, fetched before the list's own query.

    With a subquery, PostgreSQL prefers to scan a million rows, newest first, expecting fifty matches soon.
    """
    return list(rows.order_by().values_list(field, flat=True)[:MAX_KEYS])


def parse_number(text: str) -> int | None:
    """An instance's number; None for any other text. Digits after a zero are a phone number."""
    return None if text.startswith("0") else parse_digits(text)


def instance_numbered(text: str) -> QuerySet[Instance]:
    """The instance with this number, if there is one."""
    return Instance.objects.filter(number=min(parse_number(text) or 0, 2**31 - 1))
