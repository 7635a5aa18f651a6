"""One-time links that create the first administrator of a site."""

from django.db import models
from django.utils import timezone


class SetupLink(models.Model):
    """A link that the start has printed. Only the digest of its token is stored; see actions/first_administrator.py."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"valid until {self.expires_at:%Y-%m-%d %H:%M}"
