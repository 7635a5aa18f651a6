"""Sign-up: allauth's view, with a lock per e-mail address."""

import hashlib

from allauth.account.views import signup
from allauth.core import ratelimit
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.actions.first_administrator import has_no_user
from accounts.adapters import invitation_of
from accounts.email_addresses import normal_address

LOCK = 0x7369676E  # "sign": the first key of the advisory lock; the second is a hash of the address


def sign_up(request: HttpRequest) -> HttpResponse:
    """Shows and handles the form. Concurrent sign-ups with one address, such as a double click, are handled in turn.

    So the later sign-ups find that the address is taken, and only the first sends a mail. A sign-up whose mail cannot
    be sent creates no user.

    On a site without users that requires invitations, it leads to the page that says how to create the first user.
    """
    if request.method != "POST":
        if settings.SIGNUP != "open" and not invitation_of(request) and has_no_user():
            return redirect("accounts:first-administrator")
        return signup(request)
    # Outside the transaction, which may be rolled back, and in which equal addresses would wait for each other.
    if refusal := ratelimit.consume_or_429(request, action="sign_up"):
        return refusal
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, lock_key(request)])
        response: HttpResponse = signup(request)
        # allauth's template response: rendered here, because its forms may read the database
        return response.render() if hasattr(response, "render") else response


def lock_key(request: HttpRequest) -> int:
    """Returns a hash of the address as a PostgreSQL integer. Addresses with the same hash only wait for each other."""
    email = normal_address(request.POST.get("email", ""))
    return int.from_bytes(hashlib.sha256(email.encode(errors="replace")).digest()[:4], signed=True)
