"""The bin, a URL that stores the requests sent to it, with its captures and the links that share it.

A verification has no row here: it is a URL override of hooks.Endpoint with an end time.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.audit import AuditSubject
from accounts.models import Account, ShareLink
from hooks.body_masking import MaskedBinaryField, MaskedCharField, MaskedTextField
from instances.models import Instance

KEEP_NEWEST = 500
KEEP_FOR = timedelta(days=7)
KEEP_BYTES = 64 * 1024 * 1024  # of a bin, with headers; the oldest captures make room
BODY_LIMIT = 1024 * 1024  # bytes
MAX_DELAY = 30  # seconds of a delayed response
DEFAULT_BODY = '{"ok": true}'

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without i, l, o, 0, 1: users read keys aloud


def new_key() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def new_capture_id() -> str:
    return secrets.token_urlsafe(16)  # 22 characters


def default_response_headers() -> list[list[str]]:
    return [["Content-Type", "application/json"]]


class BinQuerySet(models.QuerySet["Bin"]):
    def visible_to(self, user: Any) -> BinQuerySet:
        """Returns the bins of the instances that `user` can see, and their own bin."""
        visible = Instance.objects.visible_to(user).values("pk")
        return self.filter(
            models.Q(instance__in=visible) | models.Q(account__in=Account.objects.owned_by(user))
        )

    def of_account(self, account: Any) -> BinQuerySet:
        """Returns the bins for an account's key: those of its instances, and its own."""
        return self.filter(models.Q(instance__owner=account) | models.Q(account=account))


class Bin(models.Model):
    """`{SITE_URL}/bin/{key}`: stores any request, the newest 500 for 7 days, and sends the configured response.

    It belongs to an instance, or to an account ("My bin").
    """

    key = models.CharField(max_length=8, unique=True, default=new_key, editable=False)
    instance = models.OneToOneField(
        "instances.Instance", models.CASCADE, null=True, blank=True, related_name="bin"
    )
    account = models.OneToOneField(
        "accounts.Account", models.CASCADE, null=True, blank=True, related_name="bin"
    )
    created_at = models.DateTimeField(default=timezone.now)
    # The number of its newest capture; the statement that stores the capture increases it.
    captured = models.PositiveBigIntegerField(default=0)
    # the bytes of its captures (Capture.stored_bytes); every statement that stores or removes captures updates it
    stored_bytes = models.PositiveBigIntegerField(default=0)
    # the number of captures removed by the limits
    dropped = models.PositiveBigIntegerField(default=0)
    # The configured response; headers as [[name, value], …], delay in seconds. The fields keep their names in existing
    # databases and in stored audit entries.
    answer_status = models.PositiveSmallIntegerField(default=200)
    answer_headers = models.JSONField(default=default_response_headers, blank=True)
    answer_body = models.TextField(default=DEFAULT_BODY, blank=True)
    answer_delay = models.FloatField(default=0)
    # Scripts of any site may call the bin. db_default: an older version inserts bins during a rolling upgrade.
    answer_cors = models.BooleanField(default=False, db_default=False)
    # "Fail first N, then …": N, and the number of the last capture that fails. It is a capture's number, not a counter
    # to decrease, so that storing a capture stays one statement with one lock.
    fail_first = models.PositiveSmallIntegerField(default=0)
    fail_through = models.PositiveBigIntegerField(default=0)

    objects = BinQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="testing_bin_is_somebodys",
                condition=models.Q(instance=None, account__isnull=False)
                | models.Q(instance__isnull=False, account=None),
            ),
            models.CheckConstraint(
                name="testing_bin_answers_a_status",
                condition=models.Q(answer_status__gte=200, answer_status__lte=599),
            ),
            models.CheckConstraint(
                name="testing_bin_answers_in_time",
                condition=models.Q(answer_delay__gte=0, answer_delay__lte=MAX_DELAY),
            ),
        ]

    def __str__(self) -> str:
        return f"bin {self.key}"

    def audit_subject(self) -> AuditSubject:
        """Returns the bin's instance as the subject; for a user's own bin, the bin."""
        if self.instance is not None:
            return self.instance.audit_subject()
        return AuditSubject("bin", self.pk, "My bin", self.account_id)

    @property
    def url(self) -> str:
        return f"{settings.SITE_URL}/bin/{self.key}"

    @property
    def fails_left(self) -> int:
        """Returns how many of the next requests fail."""
        return max(0, self.fail_through - self.captured)

    def counts(self) -> tuple[int, int]:
        """Returns how many captures are kept, and how many the limits have dropped so far."""
        kept = Capture.objects.kept(self).count()
        stored = self.captures.filter(deleted_at=None).count()
        return kept, self.dropped + stored - kept  # rows beyond the limits count as dropped


class Family(models.TextChoices):
    """The kind of a captured body: one of the four hooks of contract.md §3, or another."""

    MESSAGE = "message", "Message"
    ACK = "ack", "Ack"
    STATUS = "status", "Status"
    CHAT = "chat", "Chat change"
    OTHER = "other", "Other"


class CaptureQuerySet(models.QuerySet["Capture"]):
    def kept(self, bin: Bin) -> CaptureQuerySet:
        """Returns the captures within the limits, newest first; rows beyond them are removed a few at a time."""
        return self.filter(
            bin=bin, deleted_at=None, number__gt=bin.captured - KEEP_NEWEST, at__gt=timezone.now() - KEEP_FOR
        ).order_by("-number")

    def in_list(self) -> CaptureQuerySet:
        """Defers bodies and headers: the list does not show them, and they can be 1 MB each."""
        return self.defer("body", "headers", "query")


class Capture(models.Model):
    """One request stored by a bin."""

    bin = models.ForeignKey(Bin, models.CASCADE, related_name="captures")
    # Gapless within a bin and in commit order, unlike ids: a page that has shown number n and requests greater numbers
    # misses no capture.
    number = models.PositiveBigIntegerField()
    public_id = models.CharField(max_length=22, unique=True, default=new_capture_id, editable=False)
    at = models.DateTimeField(default=timezone.now)
    method = models.CharField(max_length=20)
    path = models.TextField("path after the key", blank=True, default="")
    query = MaskedTextField(blank=True, default="")
    http_version = models.CharField(
        "version of HTTP", max_length=10, blank=True, default="", db_default=""
    )  # empty: captured before it was stored
    headers = models.JSONField(default=list)  # [[name, value], …]
    body = MaskedBinaryField(blank=True, default=b"")
    size = models.PositiveBigIntegerField("bytes of the body", default=0)
    # The body was not stored: it is over BODY_LIMIT, or `status` is 507 and `answer_note` says why.
    too_large = models.BooleanField(default=False)
    # bytes of body, headers, path and query; null: stored by version 0.1.0, see BYTES in actions/captures.py
    stored_bytes = models.PositiveIntegerField(null=True, blank=True)
    family = models.CharField(max_length=10, choices=Family, default=Family.OTHER)
    label = models.CharField("description in two or three words", max_length=60, blank=True, default="")
    summary = MaskedCharField("content in one line", max_length=200, blank=True, default="")
    attempt = models.CharField("webhook-attempt as sent", max_length=20, blank=True, default="")
    remote_address = models.GenericIPAddressField(null=True, blank=True)
    status = models.PositiveSmallIntegerField("response status", default=200)
    answer_note = models.CharField("reason for the response", max_length=100, blank=True, default="")
    read_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True, default="")
    # Deleted by a user, and kept for a while to be restored. All captures of one deletion have the same time.
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = CaptureQuerySet.as_manager()

    class Meta:
        constraints = [
            # Its index also serves the list: a bin's newest captures, and the captures after number n.
            models.UniqueConstraint(name="testing_capture_number", fields=["bin", "number"]),
        ]
        indexes = [
            models.Index(name="testing_capture_age", fields=["at"]),  # retention
            # The size of each bin, for staff, from this index alone.
            models.Index(
                name="testing_capture_size",
                fields=["bin"],
                include=["size"],
                condition=models.Q(too_large=False),
            ),
            models.Index(
                name="testing_capture_deleted",
                fields=["deleted_at"],
                condition=models.Q(deleted_at__isnull=False),
            ),  # those that can no longer be restored
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Share(ShareLink):
    """A link that lets anyone read a bin, or one of its captures."""

    bin = models.ForeignKey(Bin, models.CASCADE, related_name="shares")
    # the number of the shared capture; null: the whole bin
    number = models.PositiveBigIntegerField(null=True, blank=True)
