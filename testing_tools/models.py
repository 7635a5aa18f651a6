"""The bin: an address that keeps what is sent to it, with its captures.

A verification is not kept here: it is the borrowed address of hooks.Endpoint and its end.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

KEEP_NEWEST = 500
KEEP_FOR = timedelta(days=7)
BODY_LIMIT = 1024 * 1024  # bytes

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no look-alikes: people read these aloud


def new_key() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def new_capture_id() -> str:
    return secrets.token_urlsafe(16)  # 22 characters


class BinQuerySet(models.QuerySet["Bin"]):
    def visible_to(self, user: Any) -> BinQuerySet:
        if not user.is_authenticated:
            return self.none()
        return self.filter(instance__owner__owner=user)


class Bin(models.Model):
    """`{SITE_URL}/bin/{key}`: takes any request and keeps the newest 500 for 7 days."""

    key = models.CharField(max_length=8, unique=True, default=new_key, editable=False)
    instance = models.OneToOneField("instances.Instance", models.CASCADE, related_name="bin")
    created_at = models.DateTimeField(default=timezone.now)
    # the number of its newest capture; raised by the statement that writes the capture
    captured = models.PositiveBigIntegerField(default=0)
    # how many captures the limits have removed, so that the page can say it
    dropped = models.PositiveBigIntegerField(default=0)

    objects = BinQuerySet.as_manager()

    def __str__(self) -> str:
        return f"bin {self.key}"

    @property
    def url(self) -> str:
        return f"{settings.SITE_URL}/bin/{self.key}"

    def counts(self) -> tuple[int, int]:
        """How many captures are kept and how many the limits have dropped so far."""
        kept = Capture.objects.kept(self).count()
        return kept, self.dropped + self.captures.count() - kept  # rows beyond the limits are as good as gone


class Family(models.TextChoices):
    """What a captured body is: one of the four hooks of contract.md section 3, or something else."""

    MESSAGE = "message", "Message"
    ACK = "ack", "Ack"
    STATUS = "status", "Status"
    CHAT = "chat", "Chat change"
    OTHER = "other", "Other"


class CaptureQuerySet(models.QuerySet["Capture"]):
    def kept(self, bin: Bin) -> CaptureQuerySet:
        """What the bin promises to keep, newest first; rows beyond it are removed a few at a time."""
        return self.filter(
            bin=bin, number__gt=bin.captured - KEEP_NEWEST, at__gt=timezone.now() - KEEP_FOR
        ).order_by("-number")

    def in_list(self) -> CaptureQuerySet:
        """Without the bodies and headers, which the list does not show and which may be 1 MB each."""
        return self.defer("body", "headers", "query")


class Capture(models.Model):
    """One request that a bin has kept."""

    bin = models.ForeignKey(Bin, models.CASCADE, related_name="captures")
    # Gapless in its bin and in the order of the commits, which ids are not: so a page that has seen
    # number n misses nothing when it asks for what is greater.
    number = models.PositiveBigIntegerField()
    public_id = models.CharField(max_length=22, unique=True, default=new_capture_id, editable=False)
    at = models.DateTimeField(default=timezone.now)
    method = models.CharField(max_length=20)
    path = models.CharField("path after the key", max_length=2000, blank=True, default="")
    query = models.TextField(blank=True, default="")
    headers = models.JSONField(default=list)  # [[name, value], …]
    body = models.BinaryField(blank=True, default=b"")
    size = models.PositiveBigIntegerField("bytes of the body", default=0)
    too_large = models.BooleanField(default=False)
    family = models.CharField(max_length=10, choices=Family, default=Family.OTHER)
    label = models.CharField("what it is, in two or three words", max_length=60, blank=True, default="")
    summary = models.CharField("what it says, in one line", max_length=200, blank=True, default="")
    attempt = models.CharField("webhook-attempt as sent", max_length=20, blank=True, default="")
    remote_address = models.GenericIPAddressField(null=True, blank=True)
    status = models.PositiveSmallIntegerField("our answer", default=200)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = CaptureQuerySet.as_manager()

    class Meta:
        constraints = [
            # its index also serves the list: the newest of a bin, and what came after number n
            models.UniqueConstraint(name="testing_capture_number", fields=["bin", "number"]),
        ]
        indexes = [models.Index(name="testing_capture_age", fields=["at"])]  # retention

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
