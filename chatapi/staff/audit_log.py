"""The audit log on the support desk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q

from accounts.audit import Audited
from accounts.models import Account, AuditEntry
from chatapi.staff.base.lists import StaffAdmin, fetch_keys, parse_number
from chatapi.staff.base.search import owned_by, user_keys
from chatapi.ui.numbers import parse_digits

KINDS = ("account", "user", "instance", "key", "payment", "member", "bin")


@admin.register(AuditEntry)
class AuditEntryAdmin(StaffAdmin):
    """Entries are never changed or deleted."""

    list_display = ("at", "actor_name", "action_label", "subject", "details")
    list_filter = ("action",)
    list_select_related = ("account__owner",)
    search_fields = ("actor",)
    search_help_text = (
        "The beginning of the acting user's address, an instance's number, account: and an address, "
        "or a subject as its page links here (payment:7)"
    )
    fields = (
        "at",
        "actor_name",
        "action_label",
        "subject_kind",
        "subject_id",
        "subject_text",
        "account",
        "details",
    )
    readonly_fields = fields

    def search_condition(self, text: str) -> Q | None:
        kind, _, key = text.partition(":")
        if kind == "account" and key and parse_digits(key) is None:
            return Q(account__in=fetch_keys(Account.objects.filter(owned_by(key.strip()))))
        if kind in KINDS and key:
            return Q(subject_kind=kind, subject_id=key.strip())
        if parse_number(text) is not None:
            return Q(subject_kind="instance", subject_id=text)
        return Q(actor__in=user_keys(text))

    def audit_subjects(self, row: AuditEntry) -> Sequence[Audited]:
        return [row.account] if row.account is not None else []

    @admin.display(description="user")
    def actor_name(self, entry: AuditEntry) -> str:
        return entry.actor_text or "a token or a program"

    @admin.display(description="action")
    def action_label(self, entry: AuditEntry) -> str:
        return entry.action_label

    @admin.display(description="subject")
    def subject(self, entry: AuditEntry) -> str:
        return f"{entry.subject_kind} {entry.subject_id} {entry.subject_text}"

    @admin.display(description="details")
    def details(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {detail_text(value)}" for name, value in entry.detail.items()) or "–"


def detail_text(value: Any) -> str:
    if isinstance(value, list):
        return " · ".join(str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
