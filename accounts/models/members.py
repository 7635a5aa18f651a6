"""Members of an account, their roles, and invitations."""

from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.models.keys import key_digest


class Role(models.TextChoices):
    """What a member may do in another user's account."""

    MANAGER = "manager", "Manager"
    VIEWER = "viewer", "Viewer"


class Member(models.Model):
    """Another user with access to an account's instances: read (viewer), or read and change (manager)."""

    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # its index also serves the list of the accounts that a user is a member of, which every page reads
            models.UniqueConstraint(fields=["user", "account"], name="member_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="member_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display().lower()}"

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("member", self.user.email, self.user.email, self.account_id)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def open(self) -> Self:
        """Returns the invitations that can still be accepted."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())

    def matching(self, token: str) -> "Invitation | None":
        """Returns the open invitation with this token, or None."""
        found = self.open().select_related("account__owner").filter(digest=key_digest(token))
        return found.filter(account__blocked_at=None, account__owner__is_active=True).first()


class Invitation(models.Model):
    """An e-mail address invited to become a member. Only the digest of the link's token is stored."""

    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address", max_length=254)
    role = models.CharField(max_length=10, choices=Role)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Invitation"]] = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_one_open",
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="invitation_role"),
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="invitation_email_is_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email}, {self.get_role_display().lower()}"

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("member", self.email, self.email, self.account_id)
