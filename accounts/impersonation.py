"""Impersonation: staff view an account for half an hour, read-only, with a reason, recorded in the audit log.

The state is kept in the staff member's session. The middleware chatapi/staff/impersonation.py replaces the user by the
account's owner on each page. This module decides who may view an account, and starts and ends the viewing.
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

DURATION = timedelta(minutes=30)
PERMISSION = "accounts.look_at_account"
VIEW_BODY = "hooks.view_body"
SESSION_KEY = "look"


class Impersonation(NamedTuple):
    """An account that a staff member is viewing."""

    account: Account
    staff: User
    until: datetime

    @property
    def bodies_are_masked(self) -> bool:
        """Whether the content of messages and hooks is masked for this staff member."""
        return not self.staff.has_perm(VIEW_BODY)


@transaction.atomic
def start(request: HttpRequest, account: Account, *, reason: str) -> None:
    """Start viewing the account with the next request. It replaces the viewing of another account.

    Raises:
        PermissionDenied: the user may not view accounts.
    """
    staff = request.user
    if not isinstance(staff, User) or not may_impersonate(staff):
        raise PermissionDenied("You may not view accounts.")
    until = timezone.now() + DURATION
    request.session[SESSION_KEY] = {"account": account.pk, "until": until.isoformat()}
    audit.record(
        account, AuditAction.IMPERSONATION_STARTED, acting_user=staff, reason=reason, until=until.isoformat()
    )


@transaction.atomic
def end(request: HttpRequest, impersonation: Impersonation) -> None:
    """End the viewing: the staff member left, or the time is up."""
    request.session.pop(SESSION_KEY, None)
    audit.record(impersonation.account, AuditAction.IMPERSONATION_ENDED, acting_user=impersonation.staff)


@transaction.atomic
def record_page(impersonation: Impersonation, path: str) -> None:
    """Record a viewed page in the audit log."""
    audit.record(
        impersonation.account, AuditAction.PAGE_VIEWED, acting_user=impersonation.staff, path=path[:500]
    )


def may_impersonate(staff: User) -> bool:
    return staff.is_active and staff.is_staff and staff.has_perm(PERMISSION)


def current_impersonation(request: HttpRequest) -> Impersonation | None:
    """Returns the impersonation in the session, also if it has expired; None without one or without the permission.

    Reads the session only if the request has a session cookie, so API calls need no query.
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    state = request.session.get(SESSION_KEY)
    if state is None:
        return None
    staff = request.user
    account = Account.objects.select_related("owner__account").filter(pk=state["account"]).first()
    if account is None or not isinstance(staff, User) or not may_impersonate(staff):
        del request.session[SESSION_KEY]
        return None
    return Impersonation(account, staff, datetime.fromisoformat(state["until"]))
