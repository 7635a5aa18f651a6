"""Account keys (`uid`), and the digest stored in place of every secret of this app."""

import hashlib
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject

if TYPE_CHECKING:
    from accounts.models.accounts import Account

# `uid_` and 8 characters of the secret: enough to tell keys apart and to search by; 32 more stay unknown.
KEY_PREFIX_LENGTH = 12


def key_digest(plaintext: str) -> str:
    """SHA-256 in hex. A key has 238 bits of entropy, so a slow password hash would add time and no security."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


class AccountKeyQuerySet(models.QuerySet["AccountKey"]):
    """Reads of account keys."""

    def live(self) -> Self:
        """Keys that are not revoked, of owners who may sign in; callers must refuse those of blocked accounts."""
        return self.filter(revoked_at=None, account__owner__is_active=True)

    def matching(self, plaintext: str) -> "AccountKey | None":
        """The live key with this text. Looked up by digest, so the time taken reveals nothing about a near miss."""
        return self.live().select_related("account__owner").filter(digest=key_digest(plaintext)).first()

    def verify(self, plaintext: str) -> "Account | None":
        """The account of this key, or None; writes nothing (see actions/keys.py, authenticate_key)."""
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
