"""The list of instances: as cards, or as a table if the user has many."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hooks.log.endpoint_numbers import EndpointNumbers, numbers_of, total_of
from instances.models import NOT_PAID, Instance
from instances.pages import status_texts
from instances.pages.frame import InstanceFrame, current_instance
from instances.pages.instance_list import search
from instances.pages.instance_list.last_errors import LastError, last_errors
from instances.pages.overview.delivery_counts import Bar, bars_of
from instances.pages.overview.first_steps import first_steps

OTHER_STATES = (search.STOPPED, NOT_PAID, "starting", "authenticated")  # that no tab has
MOST_CARDS = 8  # a user with more instances sees a table


class Card(NamedTuple):
    """One instance; `begins` is its group's heading if it is the first of the group on the page.

    `url` is the page that its row opens.
    `error` is None if its hooks are delivered.
    """

    instance: Instance
    url: str
    status: status_texts.Words
    counts: EndpointNumbers
    bars: list[Bar]  # of the last hour
    begins: str
    error: LastError | None


@require_safe
@login_required
def instance_list(request: HttpRequest) -> HttpResponse:
    asked = search.Asked.read(request.GET)
    page = search.page_of(Instance.objects.visible_to(request.user), asked, size=search.PAGE_SIZE)
    numbers = numbers_of([key for instance in page.instances for key in instance.endpoint.sibling_ids])
    is_table = len(InstanceFrame.of(request).instances) > MOST_CARDS
    errors = last_errors(page.instances)
    cards, before = [], -1
    for instance in page.instances:
        counts = total_of(numbers[key] for key in instance.endpoint.sibling_ids)
        rank = instance.rank  # type: ignore[attr-defined]
        begins = search.GROUPS[rank].word if asked.grouped and rank != before else ""
        cards.append(
            Card(
                instance,
                instance.get_absolute_url(),
                status_texts.describe(instance),
                counts,
                bars_of(counts),
                begins,
                errors.get(instance.pk),
            )
        )
        before = rank
    in_chooser = current_instance(request)
    chosen = next((instance for instance in page.instances if instance == in_chooser), None)
    context = {
        "asked": asked,
        "cards": cards,
        "is_table": is_table,
        "tabs": page.tabs,
        "counts": [
            (group, count)
            for group, count in page.counts
            if group.key in OTHER_STATES and (count or group.key == asked.state)
        ],
        "total": page.total,
        "sorts": search.SORTS,
        "more": page.more,
        "chosen": chosen,
        "steps": first_steps(chosen) if chosen and asked.is_plain else [],
    }
    return render(request, "instances/pages/instance_list/list.html", context)
