"""Links that let anyone read a hook: list, create, revoke; and the page behind them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actions.share_links import VALID_FOR, TooManyShares
from accounts.current_user import current_user
from accounts.views.share_links import with_link
from chatapi.ui.json_text import pretty_bytes
from chatapi.ui.requests import HtmxRequest
from chatapi.ui.share_links import ShownLink
from hooks.explain.sentences import body_dropped_words, explain_hook
from hooks.models import Hook
from instances.actions import hook_shares
from instances.models import HookShare
from instances.pages import access
from instances.pages.log.hook_views import shown_hook
from instances.pages.log.shared_hooks import masked_url, show_without_credentials

DIALOG = "instances/pages/log/share.html"


@require_http_methods(["GET", "POST"])
@login_required
def share(request: HtmxRequest, public_id: UUID) -> HttpResponse:
    """Shows the hook's links. A POST creates one, valid for `valid_for`."""
    hook = changeable_hook(request, public_id)
    more: dict[str, object] = {}
    if request.method == "POST":
        valid_for = VALID_FOR.get(request.POST.get("valid_for", ""), VALID_FOR["1h"])
        try:
            created, url = hook_shares.share_hook(
                hook,
                instance=hook.endpoint.instance,
                valid_for=valid_for,
                acting_user=current_user(request),
            )
            more = {"created": created, "url": url}
        except TooManyShares as error:
            more = {"error": str(error)}
    return render_dialog(request, hook, more, status=422 if "error" in more else 200)


@require_POST
@login_required
def revoke(request: HtmxRequest, public_id: UUID, share: int) -> HttpResponse:
    """Makes the link invalid."""
    hook = changeable_hook(request, public_id)
    found = get_object_or_404(hook_shares.shares_of(hook), pk=share)
    hook_shares.revoke_share(found, acting_user=current_user(request))
    if request.htmx:
        return render_dialog(request, hook, {"is_revoked": True})
    return redirect("log:share", public_id)


def changeable_hook(request: HttpRequest, public_id: UUID) -> Hook:
    """The hook, for a change. Raises Http404 for a stranger, and PermissionDenied for a viewer."""
    hook = shown_hook(request, public_id)
    access.require_change(request.user, hook.endpoint.instance)
    return hook


def render_dialog(
    request: HtmxRequest, hook: Hook, more: dict[str, object], *, status: int = 200
) -> HttpResponse:
    """Renders the links: only the content of the dialog for htmx, otherwise a page."""
    context = {
        "hook": hook,
        "valid_for": VALID_FOR,
        "links": [
            ShownLink(share, "This hook", reverse("log:share-revoke", args=[hook.public_id, share.pk]))
            for share in hook_shares.shares_of(hook).valid().order_by("-pk")
        ],
    } | more
    return render(request, f"{DIALOG}#dialog" if request.htmx else DIALOG, context, status=status)


@with_link(hook_shares.share_for_token)
def shared_hook(request: HttpRequest, link: HookShare, token: str) -> HttpResponse:
    """The hook of a link with its attempts, for anyone. 404 if the hook was deleted since."""
    hook = hook_shares.hook_of(link)
    if hook is None:
        return HttpResponse(render_to_string("accounts/invalid_link.html"), status=404)
    context = shared_context(hook) | {"share": link, "csp_nonce": getattr(request, "csp_nonce", "")}
    return HttpResponse(render_to_string("instances/pages/log/shared_hook.html", context))


def shared_context(hook: Hook) -> dict[str, Any]:
    """What the page of a link shows of a hook. One query."""
    attempts = [show_without_credentials(one, hook) for one in hook.attempts.order_by("number", "id")]
    return {
        "hook": hook,
        "sentence": explain_hook(hook),
        "attempts": attempts[::-1],
        "to_url": masked_url(hook.to_url) if hook.to_url else "",
        "body": pretty_bytes(bytes(hook.body)),
        "dropped": body_dropped_words() if hook.body_dropped_at else "",
    }
