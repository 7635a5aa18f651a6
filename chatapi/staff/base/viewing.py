"""Audit entries about what staff view: pages of customers on the support desk, and rows of Django's admin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from accounts.audit import AuditAction, Audited
from accounts.current_user import current_user


def record_view(
    request: HttpRequest,
    subjects: Iterable[Audited],
    *,
    action: AuditAction = AuditAction.RECORD_VIEWED,
    detail: Mapping[str, str] | None = None,
) -> None:
    """Record in the audit log that the staff user views these subjects, or what belongs to them.

    The owner of a subject's account reads the entry on Account → History. `detail` says which record it is; it has no
    secrets.
    """
    with transaction.atomic():
        for subject in subjects:
            audit.record(subject, action, acting_user=current_user(request), **(detail or {}))
