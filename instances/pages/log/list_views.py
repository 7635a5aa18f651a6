"""The delivery log: the hooks of an instance, or of all instances, newest first."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from chatapi.database import replica
from chatapi.ui.numbers import parse_digits
from hooks.log import recent
from hooks.log.counts import MAX_COUNT, Count, counts_by_state, counts_of_newest, total
from hooks.log.newest import newest_key
from hooks.log.recent import MANY
from hooks.models import Hook, HookQuerySet
from instances.pages.log import tokens
from instances.pages.log.drawer import Drawer
from instances.pages.log.export import EXPORT_MAX
from instances.pages.log.filters import CHOICES, STATES, TIMES, Filters, input_value
from instances.pages.log.row_words import describe_rows, live_cursor, with_last_url
from instances.pages.log.scope import require_scope, scope_of
from instances.pages.log.text_search import SEARCHED_MAX
from instances.pages.redelivery.views import open_jobs

PAGE_SIZE = 50
# Above this the page says "more than 500 new", so that the count stays cheap.
NEW_COUNTED_MAX = 500
# A page watches its unfinished rows; it has no more rows than this.
WATCHED_MAX = PAGE_SIZE


class Listed(NamedTuple):
    """What a page of the log reads of the hooks; `newest` is the key of the newest hook.

    `counts` is None if they are loaded after the list: those of many endpoints take longer than the list.
    """

    rows: list[Hook]
    has_older: bool
    newest: int
    counts: dict[str, Count] | None


@require_safe
@login_required
def log_list(request: HttpRequest) -> HttpResponse:
    scope = scope_of(request)
    if scope is None:
        return render(request, "instances/pages/log/list.html", {"instance": None})
    if "q" in request.GET:
        typed = tokens.parse(request.GET["q"])
        return redirect(f"{reverse('log:list')}?{urlencode(scope.query | typed)}")
    filters = Filters.from_query(request.GET)
    endpoint_ids = filters.endpoint_ids(scope.endpoint_ids)
    before = parse_digits(request.GET.get("before"))
    listed, as_of = replica.read(lambda: read_page(filters, endpoint_ids, before), scope.account_ids)
    rows = scope.endpoints.name_rows(listed.rows)
    describe_rows(rows)
    chosen = scope.query
    context = counts_context(filters, chosen, listed.counts) | {
        "scope": scope,
        "instance": scope.instance,
        "choices": {
            name: [(key, words[0]) for key, words in choices.items()] for name, choices in CHOICES.items()
        },
        "endpoints": scope.endpoints,
        "paused": scope.endpoints.paused(endpoint_ids),
        "rows": rows,
        "as_of": as_of,
        "newest": listed.newest,
        "before": before,
        "older": filters.query(**chosen, before=str(listed.rows[-1].pk)) if listed.has_older else "",
        "found": found_words(filters, listed),
        "now": timezone.now(),
        "typed": {name: input_value(filters.values.get(name, "")) for name in TIMES},
        "searched_max": SEARCHED_MAX,
        "builds": "build" in request.GET,
        "export_max": EXPORT_MAX,
        "jobs": open_jobs(request, scope.instances),
        "drawer": Drawer(request),
    }
    return render(request, "instances/pages/log/list.html", context)


@require_safe
@login_required
def log_counts(request: HttpRequest) -> HttpResponse:
    """The number of hooks in each state, of a list that was shown without them."""
    scope = require_scope(request)
    filters = Filters.from_query(request.GET)
    endpoint_ids = filters.endpoint_ids(scope.endpoint_ids)
    counts, _ = replica.read(lambda: count_states(filters, endpoint_ids), scope.account_ids)
    context = counts_context(filters, scope.query, counts)
    return render(request, "instances/pages/log/list.html#states", context)


def counts_context(
    filters: Filters, chosen: dict[str, str], counts: dict[str, Count] | None
) -> dict[str, Any]:
    """The context of the states above the list; None: without their numbers. `chosen` are the scope's parameters."""
    of_state: dict[str, Count] = counts or {}
    return {
        "filters": filters,
        "first": filters.query(**chosen),
        "suffix": f"?{urlencode(chosen)}" if chosen else "",
        "is_counted": counts is not None,
        "total": None if counts is None else total(counts),
        "counted": "All matching" if filters.is_beyond({"state", "endpoint"}) else "All stored",
        "counts": [
            (state, words[0], of_state.get(state), filters.query(**chosen, state=state))
            for state, words in STATES.items()
            if of_state.get(state) or filters.values.get("state") == state
        ],
        "all_states": filters.query(**chosen, state=None),
    }


def hooks_words(count: Count) -> str:
    return f"{count.words} hook{'' if count == 1 and not count.more else 's'}"


def found_words(filters: Filters, listed: Listed) -> str:
    """Says to screen readers how many hooks a search has found."""
    if listed.counts is None:
        shown = len(listed.rows)
        return f"more than {shown} hooks" if listed.has_older else hooks_words(Count(shown))
    state = filters.values.get("state")
    return hooks_words(total(listed.counts) if state is None else listed.counts[state])


def read_page(filters: Filters, endpoint_ids: list[int], before: int | None) -> Listed:
    """Reads the hooks with a key below `before` and the numbers above them."""
    rows, has_older = page_of(filters, endpoint_ids, before=before, size=PAGE_SIZE)
    counts = None if len(endpoint_ids) > MANY else count_states(filters, endpoint_ids)
    newest = newest_key(Hook.objects.all(), endpoint_ids) if before else rows[0].pk if rows else 0
    return Listed(rows, has_older, newest, counts)


def count_states(filters: Filters, endpoint_ids: list[int]) -> dict[str, Count]:
    """The number of hooks in each state that match the other filters."""
    if len(endpoint_ids) > MANY and filters.is_beyond({"state", "endpoint"}):
        return counts_of_newest(filters.recent_keys(endpoint_ids, MAX_COUNT + 1, without="state"))
    hooks = Hook.objects.of_endpoints(endpoint_ids)
    return counts_by_state(
        endpoint_ids,
        filters.apply_beyond(hooks, {"state", "endpoint"}),
        in_order=filters.matches_many,
    )


def page_of(
    filters: Filters, endpoint_ids: list[int], *, before: int | None, size: int
) -> tuple[list[Hook], bool]:
    """The newest hooks of these endpoints with a key below `before`, and whether there are older ones.

    Pages start at a key, not at a page number: hooks created meanwhile neither repeat nor hide a row, and the
    thousandth page costs what the first one costs.
    """
    hooks = with_last_url(Hook.objects.show_sending())
    found = filters.newest(endpoint_ids, size + 1, before=before, hooks=hooks)
    return found[:size], len(found) > size


@require_safe
@login_required
def log_live(request: HttpRequest) -> HttpResponse:
    """What has changed since the page was rendered: the number of new hooks, and the rows with a new state.

    `after` is the newest key on the page, `watch` the unfinished rows as `public id:state:attempts`, `said` the number
    of new hooks that the page shows already. 204 without a change.

    Reads from the primary: on a replica, a row could be older than the page shows it.
    """
    scope = scope_of(request)
    if scope is None:
        return HttpResponse(status=204)
    filters = Filters.from_query(request.GET)
    endpoint_ids = filters.endpoint_ids(scope.endpoint_ids)
    after = parse_digits(request.GET.get("after")) or 0
    new_count = count_new(filters, endpoint_ids, after)
    changed = changed_rows(
        Hook.objects.of_endpoints(endpoint_ids), request.GET.getlist("watch")[:WATCHED_MAX]
    )
    if changed:
        changed = scope.endpoints.name_rows(changed)
        describe_rows(changed)
    if str(new_count) == request.GET.get("said", "0") and not changed:
        return HttpResponse(status=204)
    context = {
        "scope": scope,
        "instance": scope.instance,
        "new_count": new_count,
        "new_counted_max": NEW_COUNTED_MAX,
        "changed": changed,
        "first": filters.query(**scope.query),
        "newest": after,
        "filters": filters,
    }
    return render(request, "instances/pages/log/list.html#live", context)


def count_new(filters: Filters, endpoint_ids: list[int], after: int) -> int:
    """The number of matching hooks with a key above `after`, up to one more than NEW_COUNTED_MAX."""
    is_new = Q(pk__gt=after)
    if len(endpoint_ids) <= MANY:
        new_hooks = filters.apply(Hook.objects.of_endpoints(endpoint_ids)).filter(is_new)
        return new_hooks.values("pk")[: NEW_COUNTED_MAX + 1].count()
    if "text" in filters.values:
        return len(filters.recent_keys(endpoint_ids, NEW_COUNTED_MAX + 1, narrowed=is_new))
    return recent.count(endpoint_ids, filters.selection(), NEW_COUNTED_MAX + 1, is_new)


def changed_rows(hooks: HookQuerySet, watched: list[str]) -> list[Hook]:
    """The watched hooks whose state or number of attempts differs from what the page shows."""
    shown: dict[UUID, str] = {}
    for name in watched:
        public_id, _, cursor = name.partition(":")
        try:
            shown[UUID(public_id)] = cursor
        except ValueError:
            continue
    found = with_last_url(hooks.show_sending()).filter(public_id__in=shown)
    return [hook for hook in found if shown[hook.public_id] != live_cursor(hook)]
