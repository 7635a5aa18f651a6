"""Sessions of which the database knows neither the cookie nor, without SECRETS_KEY, the content.

`session_key` is a digest of the cookie. It is the primary key of django_session, and what django-allauth stores for the
list of a user's sessions. The cookie itself is only in the user's browser and, during a request, in `cookie_value`:
a session key read in a dump, used as a cookie, is the cookie of no session.
"""

from __future__ import annotations

import logging
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Self

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

from chatapi.encryption.cipher import UnreadableSecret, decrypt, encrypt

log = logging.getLogger(__name__)

COOKIE_LENGTH = 32  # as Django's: 165 random bits
KEY_LENGTH = 40  # all that the columns of Django and allauth take: 240 bits of SHA-256


def key_of_cookie(cookie: str) -> str:
    """Returns the session key that belongs to this cookie."""
    return urlsafe_b64encode(sha256(cookie.encode("utf-8", "replace")).digest())[:KEY_LENGTH].decode()


def session_context(session_key: str) -> str:
    """Returns the context to which the content of this session is bound, see chatapi/encryption/cipher.py."""
    return f"django_session.session_data:{session_key}"


class SessionStore(DatabaseSessionStore):
    """Sessions in Django's table, found by a digest of their cookie, encrypted with SECRETS_KEY."""

    cookie_value: str | None = None

    @classmethod
    def from_cookie(cls, cookie: str | None) -> Self:
        """Returns the session of a request with this cookie; an empty one if there is none."""
        if not cookie:
            return cls()
        store = cls(key_of_cookie(cookie))
        store.cookie_value = cookie
        return store

    def _get_new_session_key(self) -> str:
        self.cookie_value = get_random_string(COOKIE_LENGTH, VALID_KEY_CHARS)
        return key_of_cookie(self.cookie_value)

    def encode(self, session_dict: dict[str, Any]) -> str:
        content = self.serializer().dumps(session_dict).decode("latin-1")
        return encrypt(content, session_context(self.session_key or ""))  # create_model_instance has set it

    def decode(self, session_data: str | bytes) -> dict[str, Any]:
        """Returns the content; empty, which signs the user out, if it cannot be decrypted."""
        try:
            content = decrypt(str(session_data), session_context(self.session_key or ""))
        except UnreadableSecret as error:
            log.warning("A session is ended: %s", error)
            return {}
        loaded: dict[str, Any] = self.serializer().loads(content.encode("latin-1"))
        return loaded


class SessionMiddleware(DjangoSessionMiddleware):
    """Finds the session by the digest of its cookie, and sends the cookie instead of the session key."""

    def process_request(self, request: HttpRequest) -> None:
        request.session = SessionStore.from_cookie(request.COOKIES.get(settings.SESSION_COOKIE_NAME))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        sent = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if sent is not None and sent.value:  # the attributes stay
            assert isinstance(request.session, SessionStore)
            response.cookies[settings.SESSION_COOKIE_NAME] = request.session.cookie_value or ""
        return response
