"""Account keys (`uid`), and the digest that is stored instead of a key or an invitation's token."""

import hashlib
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject

if TYPE_CHECKING:
    from accounts.models.accounts import Account

# `uid_` and 8 characters of the secret: enough to distinguish keys and to search by; the other 32 stay unknown.
KEY_PREFIX_LENGTH = 12


def key_digest(plaintext: str) -> str:
    """Returns SHA-256 in hex. A key has 238 bits of entropy: a slow password hash would add time, but no security."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


class AccountKeyQuerySet(models.QuerySet["AccountKey"]):
    """Reads of account keys."""

    def live(self) -> Self:
        """Returns unrevoked keys of owners who may sign in. Callers must refuse keys of blocked accounts."""
        return self.filter(revoked_at=None, account__owner__is_active=True)

    def matching(self, plaintext: str) -> "AccountKey | None":
        """Returns the live key with this text. The lookup is by digest, so its time reveals nothing about the key."""
        return self.live().select_related("account__owner").filter(digest=key_digest(plaintext)).first()

    def verify(self, plaintext: str) -> "Account | None":
        """Returns the account of this key, or None. Writes nothing; see authenticate_key in actions/keys.py."""
        key = self.matching(plaintext)
        return key.account if key and key.account.blocked_at is None else None


class AccountKey(models.Model):
    """The account key `uid`: its text is shown once; only its digest is stored."""

    account = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="keys")
    prefix = models.CharField(max_length=KEY_PREFIX_LENGTH, db_index=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["AccountKey"]] = AccountKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def audit_subject(self) -> AuditSubject:
        return AuditSubject("key", self.pk, str(self), self.account_id)
