"""The buttons that fix the cause of a hook's failure: use another URL, or turn on a setting."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from accounts.current_user import current_user
from chatapi.ui.redirects import redirect_back
from chatapi.ui.requests import HtmxRequest
from hooks.actions.hooks import NotPossible
from hooks.models import Endpoint, Hook, State
from hooks.urls.webhook_urls import InvalidUrl
from instances.actions import fixes
from instances.pages import access
from instances.pages.endpoints.url_test import try_url
from instances.pages.forms import AddressForm
from instances.pages.log.hook_views import changed_response, shown_hook
from instances.settings_table import SettingsError


@require_POST
@login_required
def use_url(request: HtmxRequest, public_id: UUID) -> HttpResponse:
    """Sets the URL that the page has shown, and resends what was ticked. After a test of a URL it tests the new one."""
    url, is_test = request.POST.get("url", ""), "test" in request.POST

    def fix(hook: Hook) -> None:
        done = fixes.use_suggested_url(
            hook,
            instance=hook.endpoint.instance,
            url=url,
            resend="resend" in request.POST,
            others="others" in request.POST,
            is_test=is_test,
            acting_user=current_user(request),
        )
        messages.success(request, done)
        if is_test:
            test_again(request, hook.endpoint, url)

    return apply(request, public_id, fix)


def test_again(request: HtmxRequest, endpoint: Endpoint, url: str) -> None:
    """Tests the endpoint's new URL and adds the result to the messages. Waits up to 10 s for a response."""
    context = try_url(endpoint.instance, endpoint, AddressForm({"url": url}), request.user)
    tested = context.get("tested")
    sentence = tested.shown.explanation.sentence if tested else f"Not tested. {context['refusal']}"
    is_delivered = tested is not None and tested.hook.state == State.DELIVERED
    messages.add_message(request, messages.SUCCESS if is_delivered else messages.ERROR, f"Test: {sentence}")


@require_POST
@login_required
def turn_on(request: HtmxRequest, public_id: UUID) -> HttpResponse:
    """Turns on the setting that the page has shown, and resends the hook if that was ticked."""

    def fix(hook: Hook) -> None:
        done = fixes.turn_on(
            hook,
            instance=hook.endpoint.instance,
            name=request.POST.get("name", ""),
            resend="resend" in request.POST,
            acting_user=current_user(request),
        )
        messages.success(request, done)

    return apply(request, public_id, fix)


def apply(request: HtmxRequest, public_id: UUID, fix: Callable[[Hook], None]) -> HttpResponse:
    """Applies the fix, and shows the hook with the result, or the page that `next` names.

    404 for a stranger, 403 for a viewer.
    """
    hook = shown_hook(request, public_id)
    access.require_change(request.user, hook.endpoint.instance)
    try:
        fix(hook)
    except (NotPossible, InvalidUrl, SettingsError) as reason:
        messages.error(request, getattr(reason, "sentence", str(reason)))
    if "next" in request.POST:
        return redirect_back(request, "log:hook", str(public_id))
    return changed_response(request, public_id)
