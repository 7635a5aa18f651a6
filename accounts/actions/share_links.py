"""Links that let anyone read something without signing in: create, revoke, find. Callers write the audit entry."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.utils import timezone

from accounts.models import ShareLink, ShareLinkQuerySet, User

VALID_FOR = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
MAX_SHARES = 50  # valid links of one bin, or of the hooks of one instance
KEEP_FOR = timedelta(days=7)  # after its end; then a link is deleted

Link = TypeVar("Link", bound=ShareLink)


class TooManyShares(ValueError):
    """There are MAX_SHARES valid links; str() is the message for the user."""


def digest(token: str) -> str:
    """Returns SHA-256 of a token. It has 256 random bits: a slow hash would add time, but no security."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_link(
    link: Link, *, existing: ShareLinkQuerySet, what: str, valid_for: timedelta, acting_user: User | None
) -> tuple[Link, str]:
    """Save the new link, of which the caller has set the target; returns it and its token, which is not stored.

    `existing` are the links that count for the limit; the caller has locked what they belong to, so that two concurrent
    calls do not both pass it. `what` has them: "This bin".

    Raises:
        TooManyShares: MAX_SHARES of them are valid.
    """
    if existing.valid().count() >= MAX_SHARES:
        raise TooManyShares(f"{what} has {MAX_SHARES} valid links. Revoke one first.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    link.digest, link.made_by = digest(token), acting_user
    link.created_at, link.expires_at = now, now + valid_for
    link.save()
    return link, token


def revoke_link(link: ShareLink) -> bool:
    """Revoke the link; returns False if it is already revoked."""
    now = timezone.now()
    if not type(link)._default_manager.filter(pk=link.pk, revoked_at=None).update(revoked_at=now):
        return False
    link.revoked_at = now
    return True


def find_link(links: ShareLinkQuerySet, token: str) -> Any:
    """Returns the valid link with this token, or None."""
    return links.valid().filter(digest=digest(token)).first()


def delete_ended_links(links: ShareLinkQuerySet, *, now: datetime) -> int:
    """Delete the links that expired more than KEEP_FOR ago; returns how many."""
    return links.filter(expires_at__lt=now - KEEP_FOR).delete()[0]


def words_of(valid_for: timedelta) -> str:
    """Returns the name of the duration in VALID_FOR, for audit entries."""
    return next((name for name, time in VALID_FOR.items() if time == valid_for), str(valid_for))
