"""Account keys (`uid`) with their scopes, and the digest that is stored instead of a key or an invitation's token."""

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject

if TYPE_CHECKING:
    from accounts.models.accounts import Account

# `uid_` and 8 characters of the secret: enough to distinguish keys and to search by; the other 32 stay unknown.
KEY_PREFIX_LENGTH = 12
DEFAULT_NAME = "Account key"  # also of the keys from before keys had names


def key_digest(plaintext: str) -> str:
    """Returns SHA-256 in hex. A key has 238 bits of entropy: a slow password hash would add time, but no security."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


class Scope(models.TextChoices):
    """What a key may be used for. Each call needs one of them (chatapi/rest_scopes.py and the contract's methods)."""

    READ = "read", "Read"
    SEND = "send", "Send"
    MANAGE = "manage", "Manage"


ALL_SCOPES = frozenset(Scope)


class KeyState(models.TextChoices):
    """Whether a key is accepted. The first two are."""

    ACTIVE = "active", "Active"
    REPLACED = "replaced", "Replaced"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


class AccountKeyQuerySet(models.QuerySet["AccountKey"]):
    """Reads of account keys."""

    def live(self) -> Self:
        """Returns valid keys of owners who may sign in. Callers must refuse keys of blocked accounts."""
        return self.of_active_owners().filter(revoked_at=None).unexpired(timezone.now())

    def of_active_owners(self) -> Self:
        return self.filter(account__owner__is_active=True)

    def unexpired(self, now: datetime) -> Self:
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now))

    def of_page(self, account: "Account", *, ended_after: datetime) -> Self:
        """Returns the account's keys, newest first, without those that ended before that time."""
        kept = models.Q(revoked_at=None) | models.Q(revoked_at__gt=ended_after)
        return self.filter(kept, account=account).unexpired(ended_after).order_by("-pk")

    def matching(self, plaintext: str) -> "AccountKey | None":
        """Returns the live key with this text. The lookup is by digest, so its time reveals nothing about the key."""
        return self.live().select_related("account__owner").filter(digest=key_digest(plaintext)).first()

    def verify(self, plaintext: str) -> "Account | None":
        """Returns the account of this key, or None. Writes nothing; see authenticate_key in actions/keys.py."""
        key = self.matching(plaintext)
        return key.account if key and key.account.blocked_at is None else None


class AccountKey(models.Model):
    """One key of an account: its text is shown once; only its digest is stored.

    Rotation creates another one with the same name and scopes, and lets this one expire.
    """

    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=100, default=DEFAULT_NAME, db_default=DEFAULT_NAME)
    prefix = models.CharField(max_length=KEY_PREFIX_LENGTH, db_index=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # In the database, the default is that of keys which a process of the last release creates: they may do everything.
    can_read = models.BooleanField(default=False, db_default=True)
    can_send = models.BooleanField(default=False, db_default=True)
    can_manage = models.BooleanField(default=False, db_default=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # the client's IP address at that time, or its IPv6 network
    last_used_from = models.CharField(max_length=50, blank=True, default="", db_default="")
    expires_at = models.DateTimeField(null=True, blank=True)  # null: it does not expire
    replaced_at = models.DateTimeField(
        null=True, blank=True
    )  # when it was rotated; it is valid until expires_at
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["AccountKey"]] = AccountKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(can_read=True) | models.Q(can_send=True) | models.Q(can_manage=True),
                name="account_key_has_a_scope",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @property
    def scopes(self) -> list[Scope]:
        """What it may be used for, in the order of Scope."""
        return [scope for scope in Scope if getattr(self, f"can_{scope}")]

    def state_at(self, now: datetime) -> KeyState:
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.EXPIRED
        return KeyState.ACTIVE if self.replaced_at is None else KeyState.REPLACED

    @property
    def state(self) -> KeyState:
        return self.state_at(timezone.now())

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("key", self.pk, str(self), self.account_id)
