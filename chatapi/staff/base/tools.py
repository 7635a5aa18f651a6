"""What staff can do to one or several rows: a page says what will happen, asks for input, and then does it.

A tool is data: its texts, the permission it requires, and the action it calls. It is a button on the row's page and,
unless it is for single rows only, an entry in the list's action menu.
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

from chatapi.ui.numbers import parse_digits
from hooks.actions.hooks import NotPossible

MAX_ROWS = 100


class EmptyForm(forms.Form):
    """For tools without input."""


class ReasonForm(forms.Form):
    """Asks for a reason, which the audit log stores."""

    reason = forms.CharField(
        max_length=200,
        help_text="For the audit log: who requested it, the ticket's number, what happened.",
    )


def applies_to_all(row: Any) -> bool:
    return True


@dataclass(frozen=True)
class Tool:
    """A change that staff can make.

    `run` gets the request, the row and the form's data. It returns a sentence about what it did, or "" if that is
    visible, and raises NotPossible with a sentence if the row is not in the right state.
    """

    name: str  # in the URL
    label: str
    permission: str
    consequence: str
    run: Callable[[HttpRequest, Any, dict[str, Any]], str]
    form: type[forms.Form] = EmptyForm
    dangerous: bool = False
    single_row: bool = False
    applies: Callable[[Any], bool] = applies_to_all
    next_url: Callable[[Any], str] | None = None  # the page afterwards; None: the row or the list

    def is_allowed(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(self.permission))


class ToolAdmin(admin.ModelAdmin):
    """An admin class with tools."""

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

    def tool_url(self, tool: Tool, keys: list[Any]) -> str:
        query = QueryDict(mutable=True)
        query.setlist("pk", [str(key) for key in keys])
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_tool", args=[tool.name])
        return f"{page}?{query.urlencode()}"

    def page_of(self, row: Any) -> str:
        """The URL of the page to which a tool of one row returns."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def tools_for(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The buttons of a row's page."""
        return [
            {"tool": tool, "url": self.tool_url(tool, [row.pk])}
            for tool in self.tools
            if tool.is_allowed(request) and tool.applies(row)
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The list's action menu. An action redirects to its tool's page, which asks before it changes anything."""
        return {
            tool.name: (self.redirect_to_tool, tool.name, tool.label)
            for tool in self.tools
            if not tool.single_row and tool.is_allowed(request)
        }

    @staticmethod
    def redirect_to_tool(model_admin: Any, request: HttpRequest, rows: Any) -> HttpResponse:
        tool = model_admin.get_tool(request.POST["action"])
        keys = list(rows.order_by("-pk").values_list("pk", flat=True)[:MAX_ROWS])
        return HttpResponseRedirect(model_admin.tool_url(tool, keys))

    def get_tool(self, name: str) -> Tool:
        for tool in self.tools:
            if tool.name == name:
                return tool
        raise Http404("There is no tool with this name.")

    def tool_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """GET shows the form, POST runs the tool on each row."""
        tool = self.get_tool(name)
        if not tool.is_allowed(request) or not self.has_view_permission(request):
            raise PermissionDenied("Your group does not have access to this tool.")
        keys = [parse_digits(key) for key in request.GET.getlist("pk")[:MAX_ROWS]]
        rows = list(self.get_queryset(request).filter(pk__in=[key for key in keys if key is not None]))
        if not rows or (tool.single_row and len(rows) > 1):
            raise Http404("No row was selected.")
        form = tool.form(request.POST if request.method == "POST" else None)
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        if len(rows) == 1:
            back = self.page_of(rows[0])
        if request.method == "POST" and form.is_valid():
            for row in rows:
                try:
                    if done := tool.run(request, row, form.cleaned_data):
                        messages.success(request, done)
                except NotPossible as refusal:
                    messages.warning(request, str(refusal))
            return HttpResponseRedirect(tool.next_url(rows[0]) if tool.next_url else back)
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
