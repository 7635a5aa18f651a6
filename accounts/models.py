"""Users, their accounts, and an account's members, keys (`uid`) and payments.

Writes go through accounts/actions/; reads that a user sees start from `visible_to(user)`.
"""

import hashlib
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.audit import AuditEntry  # noqa: F401 - it is a table of this app

# `uid_` and 8 characters of the secret: enough to tell keys apart and to search by; 32 more stay unknown.
KEY_PREFIX_LENGTH = 12


def key_digest(plaintext: str) -> str:
    """SHA-256 in hex. A key has 238 bits of entropy, so a slow password hash would add time and no security."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


class UserManager(BaseUserManager["User"]):
    """Creates a user together with their account; neither exists without the other."""

    @transaction.atomic
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user. `email` in any case; without a password the user has to reset it to sign in."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        Account.objects.create(owner=user)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """For `manage.py createsuperuser`."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person, identified by an e-mail address; there are no user names."""

    email = models.EmailField("e-mail address", max_length=254, unique=True)
    is_active = models.BooleanField("may sign in", default=True)
    is_staff = models.BooleanField("may see the staff pages", default=False)
    date_joined = models.DateTimeField("joined", default=timezone.now)
    # when the first-run checklist was dismissed; empty: it is shown until every step is done
    first_steps_hidden_at = models.DateTimeField(null=True, blank=True, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
        ]

    def __str__(self) -> str:
        return self.email


class Role(models.TextChoices):
    """What a member may do in another user's account."""

    MANAGER = "manager", "Manager"
    VIEWER = "viewer", "Viewer"


class AccountQuerySet(models.QuerySet["Account"]):
    """Reads of accounts."""

    def owned_by(self, user: User | AnonymousUser) -> Self:
        """The user's own account: only the owner manages keys, payments, members, export and deletion."""
        return self.filter(owner_id=user.pk) if user.is_authenticated else self.none()

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """The accounts that the user may see: their own, and those they are a member of."""
        return self._with_members(user, Role.values)

    def changeable_by(self, user: User | AnonymousUser) -> Self:
        """The accounts whose instances the user may change: their own, and those they are a manager of.

        None while staff view the account as its owner (accounts/impersonation.py).
        """
        if getattr(user, "is_looked_at", False):
            return self.none()
        return self._with_members(user, [Role.MANAGER])

    def _with_members(self, user: User | AnonymousUser, roles: list[str]) -> Self:
        if not user.is_authenticated:
            return self.none()
        # No join: each row is returned once, and the planner reads the members' index once for the whole query.
        joined = Member.objects.filter(user_id=user.pk, role__in=roles).values("account_id")
        return self.filter(models.Q(owner_id=user.pk) | models.Q(pk__in=joined))


class Account(models.Model):
    """Owns instances; each user has one account."""

    owner = models.OneToOneField(User, on_delete=models.CASCADE, related_name="account")
    name = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    blocked_at = models.DateTimeField(null=True, blank=True)
    blocked_reason = models.CharField("why, for staff", max_length=200, blank=True, default="")

    objects: ClassVar[models.Manager["Account"]] = AccountQuerySet.as_manager()

    class Meta:
        permissions = [
            ("block_account", "Can block and unblock accounts"),
            ("look_at_account", "Can look at an account's pages, read-only"),
        ]

    def __str__(self) -> str:
        return self.name or self.owner.email


class Member(models.Model):
    """Another user with access to an account's instances: read (viewer), or read and change (manager)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # its index also serves "which accounts is this user a member of", which every page needs
            models.UniqueConstraint(fields=["user", "account"], name="member_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="member_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display().lower()}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def open(self) -> Self:
        """Those that can still be accepted."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())

    def matching(self, token: str) -> "Invitation | None":
        """The open invitation with this token, None for any other text."""
        found = self.open().select_related("account__owner").filter(digest=key_digest(token))
        return found.filter(account__blocked_at=None, account__owner__is_active=True).first()


class Invitation(models.Model):
    """An e-mail address invited to become a member. Only the digest of the link's token is stored."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
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


class AccountKeyQuerySet(models.QuerySet["AccountKey"]):
    """Reads of account keys."""

    def live(self) -> Self:
        """Keys that are not revoked, of owners who may sign in; callers must refuse those of blocked accounts."""
        return self.filter(revoked_at=None, account__owner__is_active=True)

    def matching(self, plaintext: str) -> "AccountKey | None":
        """The live key with this text. Looked up by digest, so the time taken reveals nothing about a near miss."""
        return self.live().select_related("account__owner").filter(digest=key_digest(plaintext)).first()

    def verify(self, plaintext: str) -> Account | None:
        """The account of this key, or None; writes nothing (see actions.accounts.authenticate_key)."""
        key = self.matching(plaintext)
        return key.account if key and key.account.blocked_at is None else None


class AccountKey(models.Model):
    """The account key `uid`: its text is shown once; only its digest is stored."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="keys")
    prefix = models.CharField(max_length=KEY_PREFIX_LENGTH, db_index=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["AccountKey"]] = AccountKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.prefix}…"


class PaymentQuerySet(models.QuerySet["Payment"]):
    """Reads of payments."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """The payments that the user may see: those of their own account; members see none."""
        return self.filter(account__owner_id=user.pk) if user.is_authenticated else self.none()


class Payment(models.Model):
    """A payment for a number of days of an instance. It outlives the instance, which stores `paid_until` itself."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="payments")
    instance = models.ForeignKey(
        "instances.Instance", on_delete=models.SET_NULL, null=True, blank=True, related_name="payments"
    )
    days = models.PositiveIntegerField()
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3, default="USD", help_text="ISO 4217, as USD")
    paid_at = models.DateTimeField(default=timezone.now)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="payments_recorded"
    )

    objects: ClassVar[models.Manager["Payment"]] = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(days__gte=1), name="payment_days_at_least_one"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="payment_amount_not_negative"),
            models.CheckConstraint(
                condition=models.Q(currency__regex="^[A-Z]{3}$"), name="payment_currency_code"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.days} days"
