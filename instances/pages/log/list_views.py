"""The delivery log: the hooks of an instance, newest first."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatapi.ui.numbers import parse_digits
from hooks.log.counts import counts_by_state, total
from hooks.log.newest import newest_key
from hooks.models import Hook, HookQuerySet
from instances.pages.chosen_instance import chosen_instance
from instances.pages.log.endpoint_names import LogEndpoints
from instances.pages.log.export import EXPORT_MAX
from instances.pages.log.filters import CHOICES, STATES, TIMES, Filters, input_value
from instances.pages.log.text_search import SEARCHED_MAX
from instances.pages.redelivery.views import open_jobs

PAGE_SIZE = 50
# Above this the page says "more than 500 new", so that the count stays cheap.
NEW_COUNTED_MAX = 500
# A page watches its unfinished rows; it has no more rows than this.
WATCHED_MAX = PAGE_SIZE


@require_safe
@login_required
def log_list(request: HttpRequest) -> HttpResponse:
    instance = chosen_instance(request)
    if instance is None:
        return render(request, "instances/pages/log/list.html", {"instance": None})
    filters = Filters.from_query(request.GET)
    endpoint_ids = filters.endpoint_ids(instance)
    hooks = Hook.objects.of_endpoints(endpoint_ids)
    before = parse_digits(request.GET.get("before"))
    rows, has_older = page_of(filters, endpoint_ids, before=before, size=PAGE_SIZE)
    endpoints = LogEndpoints(instance)
    endpoints.name_rows(rows)
    counts = counts_by_state(
        endpoint_ids,
        filters.apply_beyond(hooks, {"state", "endpoint"}),
        in_order=filters.matches_many,
    )
    chosen = {"instance": str(instance.number)}
    context = {
        "instance": instance,
        "filters": filters,
        "choices": {
            name: [(key, words[0]) for key, words in choices.items()] for name, choices in CHOICES.items()
        },
        "endpoints": endpoints,
        "paused": endpoints.paused(endpoint_ids),
        "rows": rows,
        "newest": newest_key(Hook.objects.all(), endpoint_ids) if before else rows[0].pk if rows else 0,
        "before": before,
        "older": filters.query(**chosen, before=str(rows[-1].pk)) if has_older else "",
        "first": filters.query(**chosen),
        "total": total(counts),
        "counted": "All matching" if filters.values.keys() - {"state", "endpoint"} else "All stored",
        "counts": [
            (state, words[0], counts[state], filters.query(**chosen, state=state))
            for state, words in STATES.items()
        ],
        "all_states": filters.query(**chosen, state=None),
        "now": timezone.now(),
        "typed": {name: input_value(filters.values.get(name, "")) for name in TIMES},
        "searched_max": SEARCHED_MAX,
        "export_max": EXPORT_MAX,
        "jobs": open_jobs(request, instance),
    }
    return render(request, "instances/pages/log/list.html", context)


def page_of(
    filters: Filters, endpoint_ids: list[int], *, before: int | None, size: int
) -> tuple[list[Hook], bool]:
    """The newest hooks of these endpoints with a key below `before`, and whether there are older ones.

    Pages start at a key, not at a page number: hooks created meanwhile neither repeat nor hide a row, and the
    thousandth page costs what the first one costs.
    """
    found = filters.newest(endpoint_ids, size + 1, before=before)
    return found[:size], len(found) > size


@require_safe
@login_required
def log_live(request: HttpRequest) -> HttpResponse:
    """What has changed since the page was rendered: the number of new hooks, and the rows with a new state.

    `after` is the newest key on the page, `watch` the unfinished rows as `public id:state:attempts`, `said` the number
    of new hooks that the page shows already. 204 without a change.
    """
    instance = chosen_instance(request)
    if instance is None:
        return HttpResponse(status=204)
    filters = Filters.from_query(request.GET)
    hooks = Hook.objects.of_endpoints(filters.endpoint_ids(instance))
    after = parse_digits(request.GET.get("after")) or 0
    new_hooks = filters.apply(hooks).filter(pk__gt=after)
    new_count = new_hooks.values("pk")[: NEW_COUNTED_MAX + 1].count()
    changed = changed_rows(hooks, request.GET.getlist("watch")[:WATCHED_MAX])
    if changed:
        LogEndpoints(instance).name_rows(changed)
    if str(new_count) == request.GET.get("said", "0") and not changed:
        return HttpResponse(status=204)
    context = {
        "instance": instance,
        "new_count": new_count,
        "new_counted_max": NEW_COUNTED_MAX,
        "changed": changed,
        "first": filters.query(instance=str(instance.number)),
        "newest": after,
        "filters": filters,
    }
    return render(request, "instances/pages/log/list.html#live", context)


def changed_rows(hooks: HookQuerySet, watched: list[str]) -> list[Hook]:
    """The watched hooks whose state or number of attempts differs from what the page shows."""
    shown: dict[UUID, str] = {}
    for name in watched:
        public_id, _, cursor = name.partition(":")
        try:
            shown[UUID(public_id)] = cursor
        except ValueError:
            continue
    found = hooks.show_sending().defer("body").filter(public_id__in=shown)
    return [hook for hook in found if shown[hook.public_id] != live_cursor(hook)]


def live_cursor(hook: Hook) -> str:
    """Changes whenever what a page shows of the hook does."""
    return f"{hook.state}:{hook.attempts_made}"
