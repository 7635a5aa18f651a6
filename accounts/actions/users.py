"""Changes to users: sign-up, password, rights, groups, time zone, and the first-run checklist."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import audit, time_zones
from accounts.actions.accounts import rename_account
from accounts.audit import AuditAction
from accounts.models import Account, User


@transaction.atomic
def sign_up(email: str, *, password: str | None, name: str = "") -> Account:
    """Create a user and their account; returns the account. Raises IntegrityError if the address is taken."""
    account = User.objects.create_user(email, password).account
    audit.record(account, AuditAction.SIGNED_UP, acting_user=account.owner)
    return rename_account(account, name=name, acting_user=account.owner) if name else account


@transaction.atomic
def open_account(owner: User) -> Account:
    """Get or create the account of a user that allauth's sign-up form saved; at most one per user."""
    account, _ = Account.objects.get_or_create(owner=owner)
    audit.record(account, AuditAction.SIGNED_UP, acting_user=owner)
    return account


@transaction.atomic
def set_password(user: User, *, password: str, acting_user: User | None) -> User:
    """Set another user's password; users change their own on allauth's pages."""
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record(user, AuditAction.PASSWORD_SET, acting_user=acting_user)
    return user


@transaction.atomic
def record_own_change(user: User, *, action: AuditAction, email: str = "", old_email: str = "") -> None:
    """Record what the user changed on allauth's pages: password, addresses, second factor or recovery codes.

    `email` is the address that was added or removed, or is the main one now instead of `old_email`. The mail about it
    also goes to an address that the user no longer has, because a thief of the session would replace it.
    """
    detail = {name: value for name, value in (("email", email), ("old", old_email)) if value}
    lost = [address for address in (old_email, email) if action != AuditAction.EMAIL_ADDED and address]
    audit.record(user, action, acting_user=user, also_to=lost, **detail)


@transaction.atomic
def set_rights(user: User, *, is_active: bool, is_staff: bool, is_superuser: bool, acting_user: User) -> User:
    """Set whether the user may sign in, see the staff pages, and do everything there.

    Only superusers may change superusers or grant and remove that right. Raises PermissionError with the message.
    """
    before = User.objects.select_for_update().get(pk=user.pk)
    if (is_superuser or before.is_superuser) and not acting_user.is_superuser:
        raise PermissionError("Only a superuser may change or create a superuser.")
    rights = {"is_active": is_active, "is_staff": is_staff, "is_superuser": is_superuser}
    changed: dict[str, Any] = {
        name: value for name, value in rights.items() if getattr(before, name) != value
    }
    user.is_active, user.is_staff, user.is_superuser = is_active, is_staff, is_superuser
    user.save(update_fields=list(rights))
    if changed:
        audit.record(user, AuditAction.RIGHTS, acting_user=acting_user, **changed)
    return user


@transaction.atomic
def set_groups(user: User, *, groups: Iterable[Group], acting_user: User) -> User:
    """Set the user's groups on the support desk: support, billing, administrator. Raises PermissionError."""
    if user.is_superuser and not acting_user.is_superuser:
        raise PermissionError("Only a superuser may change a superuser.")
    before = set(user.groups.values_list("name", flat=True))
    user.groups.set(groups)
    after = set(user.groups.values_list("name", flat=True))
    if before != after:
        audit.record(user, AuditAction.RIGHTS, acting_user=acting_user, groups=sorted(after))
    return user


@transaction.atomic
def show_first_steps(user: User, *, shown: bool) -> User:
    """Show or dismiss the user's own first-run checklist, a display preference: it has no audit row."""
    user.first_steps_hidden_at = None if shown else timezone.now()
    user.save(update_fields=["first_steps_hidden_at"])
    return user


@transaction.atomic
def set_time_zone(user: User, *, time_zone: str) -> User:
    """Set the zone of the user's own pages and mails; "" is that of the browser. As a display preference, it has no
    audit row.

    Raises:
        ValueError: this system does not know the zone.
    """
    if not time_zones.is_known(time_zone):
        raise ValueError(f"There is no time zone {time_zone!r}.")
    user.time_zone = time_zone
    user.save(update_fields=["time_zone"])
    return user
