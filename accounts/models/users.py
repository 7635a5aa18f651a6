"""Users, who sign in by e-mail address."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.email_addresses import normal_address
from accounts.models.accounts import Account


class UserManager(BaseUserManager["User"]):
    """Creates a user together with their account; neither exists without the other."""

    @transaction.atomic
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a user. `email` is stored in lower case; without a password the user must reset it to sign in."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=normal_address(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        Account.objects.create(owner=user)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a superuser; `manage.py createsuperuser` calls it."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normal_address(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A user, identified by an e-mail address; there are no user names."""

    email = models.EmailField("e-mail address", max_length=254, unique=True)
    is_active = models.BooleanField("can sign in", default=True)
    is_staff = models.BooleanField("can see the support desk", default=False)
    date_joined = models.DateTimeField("joined", default=timezone.now)
    # when the user dismissed the first-run checklist; null: it is shown until every step is done
    first_steps_hidden_at = models.DateTimeField(null=True, blank=True, editable=False)
    # of accounts/time_zones.py; empty: that of the browser on pages, and UTC in mails
    time_zone = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

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

    def audit_subject(self) -> AuditSubject:
        """Returns the subject in the user's own account, so that the user sees the entry too. One query."""
        own = Account.objects.filter(owner=self).values_list("pk", flat=True).first()
        return AuditSubject("user", self.pk, self.email, own)
