"""What all links have that let anyone read something without signing in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


class ShareLinkQuerySet(models.QuerySet[Any]):
    def valid(self) -> ShareLinkQuerySet:
        """Returns the links that work now."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())


class ShareLink(models.Model):
    """A link that lets anyone read something until it expires or is revoked. See accounts/actions/share_links.py.

    Only a digest of its token is stored, so the token cannot be read from the database or a backup.
    """

    digest = models.CharField("SHA-256 of the token, in hex", max_length=64, unique=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"share {self.pk}"
