"""The account's audit log: changes by the owner, members, tokens and staff, and pages viewed by staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import AuditEntry
from accounts.views.account import own_account
from chatapi.ui.numbers import parse_digits

PAGE_SIZE = 50
# The details that the owner sees, by their names in stored entries. Excluded: staff's reasons, and a payment's days and
# amount, which its text contains.
SHOWN_DETAILS = (
    "changed", "path", "role", "new", "hooks", "hook", "channel", "answer", "lasts", "requests",
    "old", "email", "row", "message",
)  # fmt: skip


@require_safe
@login_required
def audit_log(request: HttpRequest) -> HttpResponse:
    """Shows the newest PAGE_SIZE entries; with `?before=<key of an entry>`, the entries before that one."""
    own = own_account(request)
    found = AuditEntry.objects.filter(account=own).select_related("actor").order_by("-pk")
    before = parse_digits(request.GET.get("before"))
    if before is not None:
        found = found.filter(pk__lt=before)
    entries = list(found[: PAGE_SIZE + 1])
    context = {
        "rows": [entry_for_owner(entry, own.owner_id) for entry in entries[:PAGE_SIZE]],
        "older": entries[PAGE_SIZE - 1].pk if len(entries) > PAGE_SIZE else None,
        "is_first": before is None,
    }
    return render(request, "accounts/audit_log.html", context)


def entry_for_owner(entry: AuditEntry, owner_id: int) -> dict[str, Any]:
    """Returns an entry for the owner's page, which does not name staff members."""
    actor = entry.actor
    name = entry.actor_text or "A token or a program"
    if actor is not None and actor.pk == owner_id:
        name = "You"
    elif actor is not None and actor.is_staff:
        name = "Staff of this site"
    details = [detail_text(entry.detail[key]) for key in SHOWN_DETAILS if entry.detail.get(key)]
    return {"entry": entry, "actor": name, "detail": " · ".join(details)}


def detail_text(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
