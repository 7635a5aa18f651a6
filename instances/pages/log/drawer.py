"""The drawer of the log: one hook beside the list, named by `?open=` so that a reload and a shared link show it."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest
from django.template.loader import render_to_string

from hooks.models import Hook
from instances.pages.log.hook_views import hook_context, visible_hook


class Drawer:
    """What the list shows of the hook that its URL names. Reads nothing if it names none."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.is_open = "open" in request.GET
        self.hook = self._hook() if self.is_open else None

    def _hook(self) -> Hook | None:
        """The hook; None if it does not exist or the user may not see it."""
        try:
            return visible_hook(self.request, UUID(self.request.GET["open"]))
        except (Http404, ValueError):
            return None

    @property
    def content(self) -> str:
        """The part of the hook's page that the drawer shows. Empty without a hook."""
        if self.hook is None:
            return ""
        context = hook_context(self.hook) | {"in_drawer": True}
        return render_to_string("instances/pages/log/hook.html#drawer", context, self.request)
