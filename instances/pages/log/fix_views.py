"""The buttons that fix the cause of a hook's failure: use another URL, or turn on a setting."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from hooks.actions.hooks import NotPossible
from hooks.models import Hook
from hooks.urls.webhook_urls import InvalidUrl
from instances.actions import fixes
from instances.pages import access
from instances.pages.log.hook_views import changed_response, shown_hook
from instances.settings_table import SettingsError


@require_POST
@login_required
def use_url(request: HtmxRequest, public_id: UUID) -> HttpResponse:
    """Sets the URL that the page has shown, and resends what was ticked."""

    def fix(hook: Hook) -> str:
        return fixes.use_suggested_url(
            hook,
            instance=hook.endpoint.instance,
            url=request.POST.get("url", ""),
            resend="resend" in request.POST,
            others="others" in request.POST,
            acting_user=current_user(request),
        )

    return apply(request, public_id, fix)


@require_POST
@login_required
def turn_on(request: HtmxRequest, public_id: UUID) -> HttpResponse:
    """Turns on the setting that the page has shown, and resends the hook if that was ticked."""

    def fix(hook: Hook) -> str:
        return fixes.turn_on(
            hook,
            instance=hook.endpoint.instance,
            name=request.POST.get("name", ""),
            resend="resend" in request.POST,
            acting_user=current_user(request),
        )

    return apply(request, public_id, fix)


def apply(request: HtmxRequest, public_id: UUID, fix: Callable[[Hook], str]) -> HttpResponse:
    """Applies the fix, and shows the hook with the result. 404 for a stranger, 403 for a viewer."""
    hook = shown_hook(request, public_id)
    access.require_change(request.user, hook.endpoint.instance)
    try:
        messages.success(request, fix(hook))
    except (NotPossible, InvalidUrl, SettingsError) as reason:
        messages.error(request, getattr(reason, "sentence", str(reason)))
    return changed_response(request, public_id)
