"""Counts that all processes and machines of a site share: failed attempts, and the values of the cache.

Both tables are unlogged: a count needs no disk write of its own. A crash of PostgreSQL empties them.
"""

from django.db import models

# No index besides the keys': an update changes one row in place, and the hourly deletion may read the whole table.


class Lockout(models.Model):
    """Failed attempts on one subject, such as a user's password, and until when the next one is refused.

    The key is a hash: the subject may be an e-mail address that has no account (accounts/lockouts.py).
    """

    key = models.UUIDField(primary_key=True)
    total = models.PositiveIntegerField(default=0)  # failures of this series
    failures = models.PositiveIntegerField(default=0)  # failures since `since`, or since the last pause
    since = models.DateTimeField()
    pauses = models.PositiveSmallIntegerField(
        default=0
    )  # pauses of this series; each is twice the one before
    blocked_until = models.DateTimeField()
    last_failure_at = models.DateTimeField()
    notified_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.total} failures, blocked until {self.blocked_until:%Y-%m-%d %H:%M:%S}"


class SharedValue(models.Model):
    """A value of the cache `default` (accounts/shared_cache.py); the key is a hash."""

    key = models.UUIDField(primary_key=True)
    value = models.JSONField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.key)
