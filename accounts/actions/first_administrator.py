"""The first administrator of a site, created with a one-time link that the start prints.

A site with DATABASE_URL starts without users, and a user cannot sign up without an invitation. Links are created while
there is no user, and work until there is a superuser. A person who can read the log of the start can run
`createsuperuser` too, so a link gives no right that its reader did not have.
"""

import secrets
from datetime import timedelta
from urllib.parse import urlencode

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import SetupLink, User, key_digest

VALID_FOR = timedelta(hours=24)
MAX_LINKS = 20  # the newest: each start of each machine prints one
LOCK = 0x66697273  # "firs": two links, or one twice, create one administrator


class LinkNotValid(ValueError):
    """The link has expired, was used, or is not needed any more."""


def has_no_user() -> bool:
    """Returns whether the site has no user at all. One query."""
    return not User.objects.exists()


def setup_url(token: str) -> str:
    """Returns the URL of the page that creates the first administrator."""
    return f"{settings.SITE_URL}{reverse('accounts:first-administrator')}?{urlencode({'token': token})}"


def is_valid(token: str) -> bool:
    """Returns whether the link with this token works now. At most two queries."""
    links = SetupLink.objects.filter(digest=key_digest(token), expires_at__gt=timezone.now())
    return bool(token) and links.exists() and not User.objects.filter(is_superuser=True).exists()


@transaction.atomic
def create_setup_link() -> str:
    """Create a link, and return its token, which is not stored; "" if the site has a user.

    Links of other machines stay valid: each log has one that works.
    """
    if not has_no_user():
        return ""
    token = secrets.token_urlsafe(24)
    SetupLink.objects.create(digest=key_digest(token), expires_at=timezone.now() + VALID_FOR)
    newest = SetupLink.objects.order_by("-created_at", "-pk").values("pk")[:MAX_LINKS]
    SetupLink.objects.exclude(pk__in=list(newest.values_list("pk", flat=True))).delete()
    return token


@transaction.atomic
def create_first_administrator(token: str, *, email: str, password: str) -> User:
    """Create a superuser with an account, and end all links. Raises LinkNotValid; IntegrityError if `email` is taken.

    The address counts as confirmed, so that the administrator can sign in before mail works.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if not is_valid(token):
        raise LinkNotValid
    user = User.objects.create_superuser(email, password)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    SetupLink.objects.all().delete()
    audit.record(user.account, AuditAction.SIGNED_UP, acting_user=user)
    audit.record(user, AuditAction.RIGHTS, acting_user=user, is_staff=True, is_superuser=True)
    return user
