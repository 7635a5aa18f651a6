"""Links that let anyone read a bin, or one of its captures, without signing in: create, revoke, open."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from testing_tools.verification.models import Bin, Capture, CaptureQuerySet, Share

VALID_FOR = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
MAX_SHARES = 50  # valid links of one bin


class TooManyShares(ValueError):
    """The bin has MAX_SHARES valid links; str() is the message for the user."""


def digest(token: str) -> str:
    """Returns SHA-256 of a token. It has 256 random bits: a slow hash would add time, but no security."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def share(
    bin: Bin, *, valid_for: timedelta, capture: Capture | None = None, acting_user: User | None
) -> tuple[Share, str]:
    """Create a link to the bin or to one capture; returns it and its URL, which is not stored.

    Raises:
        TooManyShares: the bin has MAX_SHARES valid links.
    """
    Bin.objects.select_for_update().get(pk=bin.pk)  # two concurrent calls must not both pass the limit
    if bin.shares.valid().count() >= MAX_SHARES:
        raise TooManyShares(f"This bin has {MAX_SHARES} valid links. Revoke one first.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    created = Share.objects.create(
        bin=bin,
        number=capture.number if capture else None,
        digest=digest(token),
        made_by=acting_user,
        created_at=now,
        expires_at=now + valid_for,
    )
    words = next((name for name, time in VALID_FOR.items() if time == valid_for), str(valid_for))
    audit.record(bin, AuditAction.BIN_SHARED, acting_user=acting_user, lasts=words, number=created.number)
    return created, settings.SITE_URL + reverse("shared:bin", kwargs={"token": token})


@transaction.atomic
def revoke(shared: Share, *, acting_user: User | None) -> None:
    """Revoke the link; does nothing if it is already revoked."""
    if shared.revoked_at is None:
        shared.revoked_at = timezone.now()
        shared.save(update_fields=["revoked_at"])
        audit.record(shared.bin, AuditAction.BIN_SHARE_REVOKED, acting_user=acting_user, number=shared.number)


def share_for_token(token: str) -> Share | None:
    """Returns the valid link with this token, or None."""
    return (
        Share.objects.valid().select_related("bin__instance__endpoint").filter(digest=digest(token)).first()
    )


def captures_of(shared: Share) -> CaptureQuerySet:
    """Returns the captures that the link shares: all captures of the bin, or one."""
    kept = Capture.objects.kept(shared.bin)
    return kept if shared.number is None else kept.filter(number=shared.number)
