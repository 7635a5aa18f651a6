"""The list of received messages, and the turn of one; the page of a turn polls its live part."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.ui.numbers import parse_digits
from chatapi.ui.states import RESPONSE_STATES
from instances.actions.message_lookup import UnknownMessage
from instances.pages.access import visible_instance
from instances.pages.messages import conversations
from instances.pages.received import turn_page
from instances.turns.reading import find_received
from instances.turns.responses import (
    PAGE_SIZE,
    RESPONSE_TIME,
    ReceivedRow,
    ResponseState,
    list_received,
)
from instances.turns.sentences import short_delay

LIST = "instances/pages/received/list.html"
TURN = "instances/pages/received/turn.html"
NONE_FOUND = {
    ResponseState.RESPONDED: "No message with a response was found.",
    ResponseState.WAITING: "No message waits for a response.",
    ResponseState.NONE: "No message without a response was found.",
    ResponseState.NOT_DELIVERED: "No undelivered message was found.",
}


@require_safe
@login_required
def received(request: HttpRequest, number: int) -> HttpResponse:
    """The received messages, newest first; `?response=` those in a state, `?before=` those before a messageNumber."""
    instance = visible_instance(request, number)
    asked = request.GET.get("response", "")
    state = ResponseState(asked) if asked in ResponseState.values else None
    before = parse_digits(request.GET.get("before", ""))
    page = list_received(instance, response=state, before=before)
    context = {
        "instance": instance,
        "tab": "messages",
        "page": page,
        "state": state.value if state else "",
        "before": before,
        "rows": [
            {
                "message": row.message,
                "name": conversations.chat_name(row.message.chat),
                "text": conversations.line_of(row.message),
                "look": RESPONSE_STATES[row.response.state],
                "delay": response_delay(row),
            }
            for row in page.rows
        ],
        "none_found": NONE_FOUND[state] if state else "No message was received.",
        "is_partial": len(page.rows) < PAGE_SIZE,
        "minutes": int(RESPONSE_TIME.total_seconds() // 60),
        "keep_days": settings.HOOKS_KEEP_DAYS,
    }
    return render(request, LIST, context)


def response_delay(row: ReceivedRow) -> str:
    """Returns "0.25 s"; empty without a response. A messenger's clock may be ahead."""
    return short_delay(max(row.response.at - row.message.time, timedelta())) if row.response.at else ""


@require_safe
@login_required
def turn(request: HttpRequest, number: int, message_id: str) -> HttpResponse:
    """One received message; with `?seen=` only its live part, or 204 if the page shows the current one."""
    instance = visible_instance(request, number)
    try:
        message = find_received(instance, message_id)
    except UnknownMessage as reason:
        raise Http404(str(reason)) from None
    shown = turn_page.read_view(instance, message)
    context = {
        "instance": instance,
        "tab": "messages",
        "shown": shown,
        "keep_days": settings.HOOKS_KEEP_DAYS,
    }
    if "seen" in request.GET:
        if request.GET["seen"] == shown.cursor:
            return HttpResponse(status=204)
        return render(request, f"{TURN}#live", context)
    return render(request, TURN, context)
