"""A member of staff looks at an account: for half an hour, read-only, with a reason, and in the audit trail.

What is going on is kept in the session of the person who looks. chatapi/impersonation.py puts the account's owner in
their place, page by page; here is who may, how it begins and how it ends.
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
    """One look that is going on."""

    account: Account
    staff: User
    until: datetime


@transaction.atomic
def begin(request: HttpRequest, account: Account, *, reason: str) -> None:
    """From the next page on; takes the place of a look at another account. Raises PermissionDenied."""
    staff = request.user
    if not isinstance(staff, User) or not may_look(staff):
        raise PermissionDenied("You may not look at accounts.")
    until = timezone.now() + LOOK_FOR
    request.session[SESSION_KEY] = {"account": account.pk, "until": until.isoformat()}
    record_look(AuditAction.LOOK_STARTED, account, staff, reason=reason, until=until.isoformat())


@transaction.atomic
def end(request: HttpRequest, look: Look) -> None:
    """By hand, or because its time is over."""
    request.session.pop(SESSION_KEY, None)
    record_look(AuditAction.LOOK_ENDED, look.account, look.staff)


@transaction.atomic
def note_page(look: Look, path: str) -> None:
    """What was looked at."""
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
    """The look of this request's session, over or not; None without one, or for who may not look any more.

    Reads the session only where there is one, so that programs' calls cost nothing.
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
