"""Links that let anyone read a bin, or one of its captures, without signing in: create, revoke, open."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from accounts import audit
from accounts.actions import share_links
from accounts.audit import AuditAction
from accounts.models import User
from testing_tools.verification.models import Bin, Capture, CaptureQuerySet, Share


@transaction.atomic
def share(
    bin: Bin, *, valid_for: timedelta, capture: Capture | None = None, acting_user: User | None
) -> tuple[Share, str]:
    """Create a link to the bin or to one capture; returns it and its URL, which is not stored.

    Raises:
        TooManyShares: the bin has share_links.MAX_SHARES valid links.
    """
    Bin.objects.select_for_update().get(pk=bin.pk)
    new = Share(bin=bin, number=capture.number if capture else None)
    created, token = share_links.create_link(
        new,
        existing=Share.objects.filter(bin=bin),
        what="This bin",
        valid_for=valid_for,
        acting_user=acting_user,
    )
    words = share_links.words_of(valid_for)
    audit.record(bin, AuditAction.BIN_SHARED, acting_user=acting_user, lasts=words, number=created.number)
    return created, settings.SITE_URL + reverse("shared:bin", kwargs={"token": token})


@transaction.atomic
def revoke(shared: Share, *, acting_user: User | None) -> None:
    """Revoke the link; does nothing if it is already revoked."""
    if share_links.revoke_link(shared):
        audit.record(shared.bin, AuditAction.BIN_SHARE_REVOKED, acting_user=acting_user, number=shared.number)


def share_for_token(token: str) -> Share | None:
    """Returns the valid link with this token; None also while the account is blocked or its owner cannot sign in."""
    # The bin belongs to an instance or to an account; the other one has no row here, and no time either.
    links = Share.objects.filter(bin__instance__owner__blocked_at=None, bin__account__blocked_at=None)
    links = links.exclude(bin__instance__owner__owner__is_active=False)
    links = links.exclude(bin__account__owner__is_active=False)
    found: Share | None = share_links.find_link(links.select_related("bin__instance__endpoint"), token)
    return found


def captures_of(shared: Share) -> CaptureQuerySet:
    """Returns the captures that the link shares: all captures of the bin, or one."""
    kept = Capture.objects.kept(shared.bin)
    return kept if shared.number is None else kept.filter(number=shared.number)
