"""Impersonation: staff view an account for half an hour, read-only, with a reason, recorded in the audit log.

The state is kept in the staff member's session. chatapi/impersonation.py replaces the user by the account's owner on
each page. This module decides who may view an account and starts and ends the viewing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import Account, User

LOOK_FOR = timedelta(minutes=30)
PERMISSION = "accounts.look_at_account"
SESSION_KEY = "look"


class Look(NamedTuple):
    """An impersonation in progress."""

    account: Account
    staff: User
    until: datetime


@transaction.atomic
def begin(request: HttpRequest, account: Account, *, reason: str) -> None:
    """Start viewing the account from the next page on; replaces the viewing of another account.

    Raises:
        PermissionDenied: the user may not view accounts.
    """
    staff = request.user
    if not isinstance(staff, User) or not may_look(staff):
        raise PermissionDenied("You may not view accounts.")
    until = timezone.now() + LOOK_FOR
    request.session[SESSION_KEY] = {"account": account.pk, "until": until.isoformat()}
    record_look(AuditAction.LOOK_STARTED, account, staff, reason=reason, until=until.isoformat())


@transaction.atomic
def end(request: HttpRequest, look: Look) -> None:
    """End the viewing, by hand or because the time is up."""
    request.session.pop(SESSION_KEY, None)
    record_look(AuditAction.LOOK_ENDED, look.account, look.staff)


@transaction.atomic
def note_page(look: Look, path: str) -> None:
    """Record a viewed page in the audit log."""
    record_look(AuditAction.LOOKED_AT, look.account, look.staff, path=path[:500])


def record_look(action: AuditAction, account: Account, staff: User, **detail: str) -> None:
    audit.record(
        action,
        acting_user=staff,
        kind="account",
        key=account.pk,
        text=str(account),
        account_id=account.pk,
        **detail,
    )


def may_look(staff: User) -> bool:
    return staff.is_active and staff.is_staff and staff.has_perm(PERMISSION)


def current(request: HttpRequest) -> Look | None:
    """The impersonation in this request's session, expired or not; None without one, or without the permission.

    Reads the session only if the request has a session cookie, so that calls by programs need no query.
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    kept = request.session.get(SESSION_KEY)
    if kept is None:
        return None
    staff = request.user
    account = Account.objects.select_related("owner__account").filter(pk=kept["account"]).first()
    if account is None or not isinstance(staff, User) or not may_look(staff):
        del request.session[SESSION_KEY]
        return None
    return Look(account, staff, datetime.fromisoformat(kept["until"]))
