"""The page of the search, and the results in the dialog that Ctrl+K opens."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.ui.requests import HtmxRequest
from instances.chat_ids import MESSAGE_ID_LENGTH
from instances.pages.query_parameters import SEARCH_MAX_LENGTH, search_text
from instances.pages.search.results import docs_group, find_groups

PAGE = "instances/pages/search/search.html"
DIALOG_RESULTS = "palette-results"  # where the dialog loads the results; see static/js/palette.js


@require_safe
@login_required
def search(request: HtmxRequest) -> HttpResponse:
    """What `?q=` matches; the dialog gets only the results."""
    query = search_text(request, max_length=MESSAGE_ID_LENGTH)
    groups = find_groups(request, query)
    total = sum(len(group.rows) for group in groups)
    if query:
        groups.append(docs_group(query[:SEARCH_MAX_LENGTH]))
    context = {"query": query, "groups": groups, "total": total}
    template = f"{PAGE}#options" if request.htmx.target == DIALOG_RESULTS else PAGE
    return render(request, template, context)
