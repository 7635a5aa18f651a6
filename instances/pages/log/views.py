"""The delivery log: the hooks of an instance, newest first, and one hook with its attempts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from chatapi.ui.json_text import pretty_bytes
from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.explain import body_dropped_words, explain_hook
from hooks.log.counts import counts_by_state, total
from hooks.models import OPEN_JOBS, RETRY_DELAYS, UNFINISHED, Hook, HookQuerySet, State
from instances.models import Instance
from instances.pages import access
from instances.pages.chosen_instance import chosen_instance
from instances.pages.log.attempts import show
from instances.pages.log.export import EXPORT_MOST
from instances.pages.log.filters import (
    CHOICES,
    MOMENTS,
    STATES,
    TEXT_MOST,
    Filters,
    as_key,
    as_typed,
    newer_than,
    page_of,
)
from instances.pages.redelivery import views as redelivery_views

PAGE_SIZE = 50
# "7 new": beyond this the page says "more than 500", and the count stays cheap.
COUNT_NEW_MOST = 500
# A page asks after its unfinished rows; more names than it has rows are somebody's invention.
WATCH_MOST = PAGE_SIZE
# Of the attempts still to come so many stand open; nineteen more would bury what has happened.
PLANNED_SHOWN = 2


def hooks_of(instance: Instance) -> HookQuerySet:
    return Hook.objects.filter(endpoint_id=instance.pk)


@require_safe
@login_required
def log_list(request: HttpRequest) -> HttpResponse:
    instance = chosen_instance(request)
    if instance is None:
        return render(request, "instances/pages/log/list.html", {"instance": None})
    filters = Filters.of(request.GET)
    hooks = hooks_of(instance)
    before = as_key(request.GET.get("before", ""))
    rows, more = page_of(filters.apply(hooks), before=before, size=PAGE_SIZE)
    counts = counts_by_state(instance.pk, filters.restrict(hooks, besides={"state"}))
    chosen = {"instance": str(instance.number)}
    context = {
        "instance": instance,
        "filters": filters,
        "choices": {
            name: [(key, words[0]) for key, words in choices.items()] for name, choices in CHOICES.items()
        },
        "rows": rows,
        "newest": newest_key(hooks) if before else rows[0].pk if rows else 0,
        "before": before,
        "older": filters.query(**chosen, before=str(rows[-1].pk)) if more else "",
        "first": filters.query(**chosen),
        "total": total(counts),
        "counts": [
            (state, words[0], counts[state], filters.query(**chosen, state=state))
            for state, words in STATES.items()
        ],
        "all_states": filters.query(**chosen, state=None),
        "now": timezone.now(),
        "typed": {name: as_typed(filters.values.get(name, "")) for name in MOMENTS},
        "text_most": TEXT_MOST,
        "export_most": EXPORT_MOST,
        "jobs": [
            redelivery_views.shown(job)
            for job in redelivery_views.jobs_of(request)
            .filter(state__in=OPEN_JOBS, parts__endpoint_id=instance.pk)
            .order_by("-pk")[:3]
        ],
    }
    return render(request, "instances/pages/log/list.html", context)


def newest_key(hooks: HookQuerySet) -> int:
    """The key of the newest hook, 0 when there is none: what comes after it is new to a page of older ones."""
    return hooks.order_by("-pk").values_list("pk", flat=True).first() or 0


@require_safe
@login_required
def log_live(request: HttpRequest) -> HttpResponse:
    """What has changed since the page was made: how many hooks are new, and the rows that moved on.

    `after` is the newest key on the page, `watch` the unfinished rows as `public id:state:attempts`,
    `said` the number of new ones that the page says already. 204 when there is nothing to say.
    """
    instance = chosen_instance(request)
    if instance is None:
        return HttpResponse(status=204)
    filters = Filters.of(request.GET)
    hooks = hooks_of(instance)
    after = as_key(request.GET.get("after", "")) or 0
    fresh = newer_than(filters.apply(hooks), after).values("pk")[: COUNT_NEW_MOST + 1].count()
    changed = moved_on(hooks, request.GET.getlist("watch")[:WATCH_MOST])
    if str(fresh) == request.GET.get("said", "0") and not changed:
        return HttpResponse(status=204)
    context = {
        "instance": instance,
        "fresh": fresh,
        "most": COUNT_NEW_MOST,
        "changed": changed,
        "first": filters.query(instance=str(instance.number)),
        "newest": after,
        "filters": filters,
    }
    return render(request, "instances/pages/log/list.html#live", context)


def moved_on(hooks: HookQuerySet, watched: list[str]) -> list[Hook]:
    """Of the rows that a page watches, those that stand otherwise now."""
    known: dict[UUID, str] = {}
    for name in watched:
        public_id, _, seen = name.partition(":")
        try:
            known[UUID(public_id)] = seen
        except ValueError:
            continue
    found = hooks.defer("body").filter(public_id__in=known)
    return [hook for hook in found if known[hook.public_id] != cursor(hook)]


def cursor(hook: Hook) -> str:
    return f"{hook.state}:{hook.attempts_made}"


class Moment(NamedTuple):
    """One line of a hook's timeline."""

    at: datetime | None
    words: str
    color: str
    icon: str
    planned: bool = False


def visible_hook(request: HttpRequest, public_id: UUID) -> Hook:
    visible = Hook.objects.of_instances(Instance.objects.visible_to(request.user))
    found = get_object_or_404(visible.select_related("endpoint__instance"), public_id=public_id)
    access.may_change(request.user, found.endpoint.instance)
    return found


def timeline(hook: Hook, attempts: list[Any]) -> list[Moment]:
    """What happened, and for a hook that is tried again what will: the plan, without its ±20 % of chance."""
    moments = [
        Moment(
            hook.created_at, "Simulated by hand" if hook.simulated else "The event happened", "azure", "bolt"
        )
    ]
    for shown in attempts:
        words = f"Attempt {shown.attempt.number}: {shown.verdict.words}"
        if shown.attempt.status:
            words += f" ({shown.attempt.status})"
        moments.append(Moment(shown.attempt.started_at, words, shown.verdict.color, shown.verdict.icon))
    if hook.state == State.SKIPPED:
        moments.append(Moment(hook.finished_at, "Skipped", "secondary", "player-skip-forward"))
    elif hook.state == State.CANCELLED:
        moments.append(Moment(hook.finished_at, "Cancelled", "secondary", "ban"))
    elif hook.state == State.RETRYING and hook.next_attempt_at:
        at, number = hook.next_attempt_at, hook.attempts_made + 1
        moments.append(Moment(at, f"Attempt {number}, if nothing changes", "orange", "clock", planned=True))
        for later in range(number + 1, hook.attempts_allowed + 1):
            at += RETRY_DELAYS[min(later, len(RETRY_DELAYS)) - 1]
            moments.append(
                Moment(at, f"Attempt {later}, if that one fails", "secondary", "clock", planned=True)
            )
    elif hook.state in UNFINISHED:
        moments.append(
            Moment(None, f"Attempt {hook.attempts_made + 1} is next", "azure", "clock", planned=True)
        )
    return moments


def hook_context(hook: Hook) -> dict[str, Any]:
    attempts = [show(attempt, hook) for attempt in hook.attempts.order_by("number", "id")]
    moments = timeline(hook, attempts)
    planned = sum(moment.planned for moment in moments)
    may = hook.endpoint.instance.may_change
    folded = len(moments) - max(planned - PLANNED_SHOWN, 0)
    return {
        "hook": hook,
        "instance": hook.endpoint.instance,
        "sentence": explain_hook(hook),
        "attempts": attempts[::-1],
        "timeline": moments[:folded],
        "later": moments[folded:],
        "later_end": moments[-1].at,
        "body": pretty_bytes(bytes(hook.body)),
        "cursor": cursor(hook),
        "late": hook.state == State.QUEUED and timezone.now() - hook.created_at > timedelta(seconds=30),
        "dropped": body_dropped_words() if hook.body_dropped_at else "",
        "can_try_now": may and hook.state == State.RETRYING and not hook.endpoint.paused_at,
        "can_skip": may and hook.state in (State.QUEUED, State.RETRYING),
        "can_cancel": may and hook.state in (State.QUEUED, State.RETRYING),
        "can_resend": may and hook.is_finished and not hook.body_dropped_at,
    }


@require_safe
@login_required
def hook(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One hook; with `?seen=` only its live part, and 204 while that is what the page shows."""
    found = visible_hook(request, public_id)
    if "seen" in request.GET:
        if request.GET["seen"] == cursor(found):
            return HttpResponse(status=204)
        return render(request, "instances/pages/log/hook.html#live", hook_context(found))
    return render(request, "instances/pages/log/hook.html", hook_context(found))


ACTIONS: dict[str, tuple[Any, str]] = {
    "try-now": (try_now, "The next attempt is due now."),
    "resend": (resend, "The hook is on its way again."),
    "skip": (skip, "The hook is skipped: those after it go on without it."),
    "cancel": (cancel, "The hook is cancelled: it is not tried again."),
}


@require_POST
@login_required
def act(request: HttpRequest, public_id: UUID, action: str) -> HttpResponse:
    """Try now, resend or cancel; the page is shown again, so a reload repeats nothing."""
    found = visible_hook(request, public_id)
    access.require_change(request.user, found.endpoint.instance)
    change, done = ACTIONS[action]
    try:
        change(found, acting_user=request.user)
    except NotPossible as reason:  # it went on since the page was drawn
        messages.error(request, str(reason))
    else:
        messages.success(request, done)
    return redirect("log:hook", public_id)
