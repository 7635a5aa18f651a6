"""What staff can do to a row, or to several: a page that says what will happen, asks what it must, and then does it.

A tool is data: its words, the right that it takes, and the action that it calls. It shows as a button on the row's
page and, unless it is for one row at a time, in the list's choice of actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from hooks.actions.hooks import NotPossible

ROWS_MOST = 100


class Nothing(forms.Form):
    """Nothing is asked."""


class Reason(forms.Form):
    """Why; it goes into the audit trail."""

    reason = forms.CharField(
        max_length=200, help_text="For the audit trail: who asked, the ticket's number, what happened."
    )


def anyone(row: Any) -> bool:
    return True


@dataclass(frozen=True)
class Tool:
    """`do` gets the request, the row and the form's answers, and returns what it has done, in words, "" where that
    is plain to see.

    It raises NotPossible, with a sentence, where the row is not fit for it.
    """

    name: str  # in the address
    label: str
    permission: str
    consequence: str
    do: Callable[[HttpRequest, Any, dict[str, Any]], str]
    form: type[forms.Form] = Nothing
    dangerous: bool = False
    one: bool = False  # for one row at a time
    applies: Callable[[Any], bool] = anyone
    to: Callable[[Any], str] | None = None  # where it leads afterwards; None: back to the row or the list

    def allowed(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.permission))


class Tools(admin.ModelAdmin):
    """The tools of a list."""

    tools: tuple[Tool, ...] = ()

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "do/<slug:name>/",
                self.admin_site.admin_view(self.tool_page),
                name=f"{self.opts.app_label}_{self.opts.model_name}_tool",
            ),
            *super().get_urls(),
        ]

    def tool_address(self, tool: Tool, keys: list[Any]) -> str:
        query = QueryDict(mutable=True)
        query.setlist("pk", [str(key) for key in keys])
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_tool", args=[tool.name])
        return f"{page}?{query.urlencode()}"

    def tools_for(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The buttons of a row's page."""
        return [
            {"tool": tool, "address": self.tool_address(tool, [row.pk])}
            for tool in self.tools
            if tool.allowed(request) and tool.applies(row)
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The list's choice. Choosing one leads to its page, which asks before anything is done."""
        return {
            tool.name: (self.chosen, tool.name, tool.label)
            for tool in self.tools
            if not tool.one and tool.allowed(request)
        }

    @staticmethod
    def chosen(model_admin: Any, request: HttpRequest, rows: Any) -> HttpResponse:
        tool = model_admin.tool_named(request.POST["action"])
        keys = list(rows.order_by("-pk").values_list("pk", flat=True)[:ROWS_MOST])
        return HttpResponseRedirect(model_admin.tool_address(tool, keys))

    def tool_named(self, name: str) -> Tool:
        for tool in self.tools:
            if tool.name == name:
                return tool
        raise Http404("No such tool.")

    def tool_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """GET asks, POST does."""
        tool = self.tool_named(name)
        if not tool.allowed(request) or not self.has_view_permission(request):
            raise PermissionDenied("Your group may not do this.")
        keys = [int(key) for key in request.GET.getlist("pk")[:ROWS_MOST] if key.isascii() and key.isdigit()]
        rows = list(self.get_queryset(request).filter(pk__in=[key for key in keys if key < 2**63]))
        if not rows or (tool.one and len(rows) > 1):
            raise Http404("Nothing was chosen.")
        form = tool.form(request.POST if request.method == "POST" else None)
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        if len(rows) == 1:
            back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[rows[0].pk])
        if request.method == "POST" and form.is_valid():
            for row in rows:
                try:
                    if done := tool.do(request, row, form.cleaned_data):
                        messages.success(request, done)
                except NotPossible as refusal:
                    messages.warning(request, str(refusal))
            return HttpResponseRedirect(tool.to(rows[0]) if tool.to else back)
        context = {
            **self.admin_site.each_context(request),
            "title": tool.label,
            "opts": self.opts,
            "tool": tool,
            "rows": rows,
            "form": form,
            "back": back,
        }
        return TemplateResponse(request, "chatapi/staff/tool.html", context)
