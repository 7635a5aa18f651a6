"""Browsers in which a user has signed in before: their wrong passwords are counted apart from those of other clients.

Otherwise anyone who knows an e-mail address could keep its owner out with one guess per pause (accounts/lockouts.py).
The cookie is signed and gives no access: it has the hashes of the addresses and a random number, under which the
attempts of this browser are counted, with the same pauses.
"""

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from accounts.lockouts import PASSWORD, lockout_key

COOKIE = "known_browser"
MAX_AGE = 365 * 24 * 3600  # seconds
MAX_ADDRESSES = 5  # users of one browser that it remembers


def password_subject(request: HttpRequest, email: str) -> str:
    """Returns the subject under which an attempt with this address is counted: the address, or it in this browser."""
    browser, addresses = read_cookie(request)
    return f"{email} {browser}" if address_hash(email) in addresses else email


def remember(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """Set the cookie, because a user with this address has signed in."""
    browser, addresses = read_cookie(request)
    known = [*(one for one in addresses if one != address_hash(email)), address_hash(email)][-MAX_ADDRESSES:]
    response.set_cookie(
        COOKIE,
        signing.dumps([browser or secrets.token_urlsafe(12), known], salt=COOKIE),
        max_age=MAX_AGE,
        path="/accounts/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def read_cookie(request: HttpRequest) -> tuple[str, list[str]]:
    """Returns the number of the browser and the hashes of its users' addresses; empty without a valid cookie."""
    try:
        found: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=MAX_AGE)
    except signing.BadSignature:
        return "", []
    browser, addresses = found
    return str(browser), list(addresses)


def address_hash(email: str) -> str:
    return lockout_key(PASSWORD, email).hex
