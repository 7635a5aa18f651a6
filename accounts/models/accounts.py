"""Accounts, and the users who may see or change their instances."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.models.members import Member, Role

if TYPE_CHECKING:
    from accounts.models.users import User


class AccountQuerySet(models.QuerySet["Account"]):
    """Reads of accounts."""

    def owned_by(self, user: "User | AnonymousUser") -> Self:
        """Returns the user's own account: only the owner manages keys, payments, members, export and deletion."""
        return self.filter(owner_id=user.pk) if user.is_authenticated else self.none()

    def visible_to(self, user: "User | AnonymousUser") -> Self:
        """Returns the accounts that the user may see: their own, and accounts they are a member of."""
        return self._with_members(user, Role.values)

    def changeable_by(self, user: "User | AnonymousUser") -> Self:
        """Returns the accounts whose instances the user may change: their own, and accounts they are a manager of.

        Empty while staff view the account as its owner (accounts/impersonation.py).
        """
        if getattr(user, "is_impersonated", False):
            return self.none()
        return self._with_members(user, [Role.MANAGER])

    def _with_members(self, user: "User | AnonymousUser", roles: list[str]) -> Self:
        if not user.is_authenticated:
            return self.none()
        # No join: each row is returned once, and the planner reads the members' index once for the whole query.
        joined = Member.objects.filter(user_id=user.pk, role__in=roles).values("account_id")
        return self.filter(models.Q(owner_id=user.pk) | models.Q(pk__in=joined))


class Account(models.Model):
    """Owns instances; each user has one account."""

    owner = models.OneToOneField("accounts.User", on_delete=models.CASCADE, related_name="account")
    name = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    blocked_at = models.DateTimeField(null=True, blank=True)
    blocked_reason = models.CharField("reason, shown to staff", max_length=200, blank=True, default="")
    # the limits that staff have set, by the quota's name; the settings have the others (accounts/quotas.py)
    own_quotas = models.JSONField(default=dict, blank=True)

    objects: ClassVar[models.Manager["Account"]] = AccountQuerySet.as_manager()

    class Meta:
        permissions = [
            ("block_account", "Can block and unblock accounts"),
            ("look_at_account", "Can look at an account's pages, read-only"),
            ("set_quota", "Can set an account's quotas"),
        ]

    def __str__(self) -> str:
        return self.name or self.owner.email

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("account", self.pk, str(self), self.pk)
