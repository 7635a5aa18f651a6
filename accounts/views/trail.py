"""The account's audit log: changes by the owner, members, tokens and staff, and pages viewed by staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import AuditEntry
from accounts.views.account import own_account

SHOWN = 50
# The details that the owner sees; the reasons of staff are not among them.
SHOWN_DETAILS = (
    "changed",
    "path",
    "role",
    "days",
    "amount",
    "currency",
    "new",
    "hooks",
    "hook",
    "channel",
    "answer",
    "lasts",
    "requests",
)


@require_safe
@login_required
def trail(request: HttpRequest) -> HttpResponse:
    """The newest SHOWN entries; with `?before=<key of an entry>`, those before it."""
    own = own_account(request)
    found = AuditEntry.objects.filter(account=own).select_related("actor").order_by("-pk")
    given = request.GET.get("before", "")
    before = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
    if before is not None:
        found = found.filter(pk__lt=before)
    entries = list(found[: SHOWN + 1])
    context = {
        "rows": [shown(entry, own.owner_id) for entry in entries[:SHOWN]],
        "older": entries[SHOWN - 1].pk if len(entries) > SHOWN else None,
        "is_first": before is None,
    }
    return render(request, "accounts/trail.html", context)


def shown(entry: AuditEntry, owner_id: int) -> dict[str, Any]:
    """An entry as the owner sees it: staff members are not named."""
    actor = entry.actor
    who = entry.actor_text or "A token or a program"
    if actor is not None and actor.pk == owner_id:
        who = "You"
    elif actor is not None and actor.is_staff:
        who = "Staff of this site"
    detail = [words(entry.detail[name]) for name in SHOWN_DETAILS if entry.detail.get(name)]
    return {"entry": entry, "who": who, "detail": " · ".join(detail)}


def words(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
