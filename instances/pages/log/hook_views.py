"""One hook of the delivery log, with its attempts, and its buttons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from chatapi.ui.json_text import pretty_bytes
from chatapi.ui.requests import HtmxRequest
from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.explain.sentences import body_dropped_words, explain_hook, waits_for_url
from hooks.log import holds
from hooks.models import Attempt, Hook, Kind, State
from instances.models import Instance
from instances.pages import access
from instances.pages.frame import InstanceFrame
from instances.pages.log.attempts import ShownAttempt, show
from instances.pages.log.endpoint_names import LogEndpoints
from instances.pages.log.fixes import fixes_of
from instances.pages.log.hold_texts import hold_words
from instances.pages.log.row_words import live_cursor
from instances.pages.log.timeline import timeline_of

# This many planned attempts are shown; the others are behind "more", so that they do not bury what has happened.
PLANNED_SHOWN = 2
SLOW_START = timedelta(seconds=30)  # a hook that is queued for longer gets a note


def visible_hook(request: HttpRequest, public_id: UUID) -> Hook:
    """The hook with its instance. Raises Http404 if it does not exist or the user may not see it."""
    visible = Hook.objects.of_instances(Instance.objects.visible_to(request.user))
    found = get_object_or_404(
        visible.show_sending().select_related("endpoint__instance"), public_id=public_id
    )
    access.may_change(request.user, found.endpoint.instance)
    return found


def shown_hook(request: HttpRequest, public_id: UUID) -> Hook:
    """Like visible_hook, for a page about this hook: the chooser names its instance."""
    found = visible_hook(request, public_id)
    InstanceFrame.of(request).show(found.endpoint.instance)
    return found


def hook_context(
    hook: Hook, *, show: Callable[[Attempt, Hook], ShownAttempt] = show, url: Callable[[str], str] = str
) -> dict[str, Any]:
    """What log/hook.html shows of a hook; `show` and `url` mask its attempts and its own URL where they have to."""
    attempts = [show(attempt, hook) for attempt in hook.attempts.order_by("number", "id")]
    timeline = timeline_of(hook, attempts)
    planned = sum(entry.is_planned for entry in timeline)
    shown = len(timeline) - max(planned - PLANNED_SHOWN, 0)
    may_change = hook.endpoint.instance.may_change
    is_waiting = hook.state in (State.QUEUED, State.RETRYING)
    endpoint = hook.endpoint
    is_held = endpoint.paused_at is not None or endpoint.cancel_up_to is not None or waits_for_url(hook)
    return {
        "hook": hook,
        "endpoint_name": endpoint_name(hook),
        "is_received": hook.kind == Kind.MESSAGE and not hook.simulated and hook.message.startswith("false_"),
        "instance": hook.endpoint.instance,
        "sentence": explain_hook(hook),
        "to_url": url(hook.to_url) if hook.to_url else "",
        "held_back": hold_words(holds.hold_of(hook, attempts[0].attempt)) if attempts else "",
        "attempts": attempts[::-1],
        "fixes": fixes_of(hook, hook.endpoint.instance, attempts[-1].attempt if attempts else None),
        "timeline": timeline[:shown],
        "later": timeline[shown:],
        "later_end": timeline[-1].at,
        "body": pretty_bytes(bytes(hook.body)),
        "drawer_url": f"{reverse('log:list')}?instance={endpoint.instance.number}&open={hook.public_id.hex}",
        "cursor": live_cursor(hook),
        "held_by": holds.holder_of(hook),
        "starts_late": hook.state == State.QUEUED
        and not is_held
        and timezone.now() - hook.created_at > SLOW_START,
        "dropped": body_dropped_words() if hook.body_dropped_at else "",
        "can_try_now": may_change and hook.state == State.RETRYING and not is_held,
        "can_skip": may_change and is_waiting,
        "can_cancel": may_change and is_waiting,
        "can_resend": may_change and hook.is_finished and not hook.body_dropped_at,
    }


def endpoint_name(hook: Hook) -> str:
    """Returns the name of the hook's endpoint; empty if its instance has one endpoint. At most two queries."""
    endpoints = LogEndpoints(hook.endpoint.instance)
    return endpoints.names[hook.endpoint_id] if endpoints.are_several else ""


@require_safe
@login_required
def hook(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One hook; with `?drawer` as the list's drawer shows it.

    With `?seen=` only the live part, or 204 if the page shows the hook's current state.
    """
    found = shown_hook(request, public_id)
    in_drawer = "drawer" in request.GET
    if request.GET.get("seen") == live_cursor(found):
        return HttpResponse(status=204)
    part = "#live" if "seen" in request.GET else "#drawer" if in_drawer else ""
    context = hook_context(found) | {"in_drawer": in_drawer}
    return render(request, f"instances/pages/log/hook.html{part}", context)


ACTIONS: dict[str, tuple[Any, str]] = {
    "try-now": (try_now, "The next attempt is due now."),
    "resend": (resend, "The hook is queued again."),
    "skip": (skip, "The hook is skipped; later hooks are sent without it."),
    "cancel": (cancel, "The hook is cancelled and is not retried."),
}


@require_POST
@login_required
def act(request: HtmxRequest, public_id: UUID, action: str) -> HttpResponse:
    """One of ACTIONS, then a redirect to the hook's page, so that reloading it repeats nothing.

    The drawer's buttons get its new content instead.
    """
    found = shown_hook(request, public_id)
    access.require_change(request.user, found.endpoint.instance)
    change, done = ACTIONS[action]
    try:
        change(found, acting_user=request.user)
    except NotPossible as reason:  # its state changed after the page was rendered
        messages.error(request, str(reason))
    else:
        messages.success(request, done)
    return changed_response(request, public_id)


def changed_response(request: HtmxRequest, public_id: UUID) -> HttpResponse:
    """A redirect to the hook's page after a change; for the drawer, its new content."""
    if not request.htmx:
        return redirect("log:hook", public_id)
    context = hook_context(shown_hook(request, public_id)) | {"in_drawer": True}
    return render(request, "instances/pages/log/hook.html#drawer", context)
