"""The audit trail on the staff desk: who changed what, and who looked."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q

from accounts.models import Account, AuditEntry
from chatapi.staff.lists import Desk, keys, number
from chatapi.staff.people import owned_by, people

KINDS = ("account", "user", "instance", "key", "payment", "member")


@admin.register(AuditEntry)
class AuditDesk(Desk):
    """Nothing here is ever changed or deleted."""

    list_display = ("at", "who", "what", "subject", "shown_detail")
    list_filter = ("action",)
    list_select_related = ("account__owner",)
    search_fields = ("actor",)
    search_help_text = (
        "Who did it (the beginning of an address), an instance's number, account: and an address, "
        "or a subject as its page links here (payment:7)"
    )
    fields = ("at", "who", "what", "subject_kind", "subject_id", "subject_text", "account", "shown_detail")
    readonly_fields = fields

    def find(self, text: str) -> Q | None:
        kind, _, key = text.partition(":")
        if kind == "account" and key and number(key) is None:
            return Q(account__in=keys(Account.objects.filter(owned_by(key.strip()))))
        if kind in KINDS and key:
            return Q(subject_kind=kind, subject_id=key.strip())
        if number(text) is not None:
            return Q(subject_kind="instance", subject_id=text)
        return Q(actor__in=people(text))

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor_text or "a token or a program"

    @admin.display(description="what was done")
    def what(self, entry: AuditEntry) -> str:
        return entry.get_action_display()

    @admin.display(description="to what")
    def subject(self, entry: AuditEntry) -> str:
        return f"{entry.subject_kind} {entry.subject_id} {entry.subject_text}"

    @admin.display(description="detail")
    def shown_detail(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {words(value)}" for name, value in entry.detail.items()) or "–"


def words(value: Any) -> str:
    if isinstance(value, list):
        return " · ".join(str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
