"""Links by which anybody may read a bin, or one of its captures, without signing in; made, taken back, and opened."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.audit import AuditAction
from testing_tools.verification.actions.audit import record_for_bin
from testing_tools.verification.models import Bin, Capture, CaptureQuerySet, Share

LASTS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
MOST_SHARES = 50  # valid ones of a bin


class TooManyShares(ValueError):
    """str() is a sentence for people."""


def digest(token: str) -> str:
    """The token has 256 bits of chance, so a slow hash would add time and no safety."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def share(
    bin: Bin, *, lasts: timedelta, capture: Capture | None = None, acting_user: Any
) -> tuple[Share, str]:
    """A new link to the bin or one capture; with its address, which is told here and never again.

    Raises TooManyShares.
    """
    Bin.objects.select_for_update().get(pk=bin.pk)  # two at once must not pass the limit together
    if bin.shares.valid().count() >= MOST_SHARES:
        raise TooManyShares(f"This bin has {MOST_SHARES} valid links. Revoke one first.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    made = Share.objects.create(
        bin=bin,
        number=capture.number if capture else None,
        digest=digest(token),
        made_by=acting_user,
        created_at=now,
        expires_at=now + lasts,
    )
    words = next((name for name, time in LASTS.items() if time == lasts), str(lasts))
    record_for_bin(bin, AuditAction.BIN_SHARED, acting_user=acting_user, lasts=words, number=made.number)
    return made, settings.SITE_URL + reverse("shared:bin", kwargs={"token": token})


@transaction.atomic
def revoke(made: Share, *, acting_user: Any) -> None:
    """From now on it opens nothing; again: no change."""
    if made.revoked_at is None:
        made.revoked_at = timezone.now()
        made.save(update_fields=["revoked_at"])
        record_for_bin(made.bin, AuditAction.BIN_SHARE_REVOKED, acting_user=acting_user, number=made.number)


def opened_by(token: str) -> Share | None:
    """The valid share that this token opens."""
    return (
        Share.objects.valid().select_related("bin__instance__endpoint").filter(digest=digest(token)).first()
    )


def captures_of(made: Share) -> CaptureQuerySet:
    """What it shows: the bin as it is now, or its one capture."""
    kept = Capture.objects.kept(made.bin)
    return kept if made.number is None else kept.filter(number=made.number)
