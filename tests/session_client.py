"""Django's test client for sessions whose cookie differs from their key (accounts/sessions.py).

The client takes the two for the same. Importing this module changes the three places where it does.
"""

from typing import Any

from django.conf import settings
from django.test import client

from accounts.sessions import SessionStore


def session_of_client(self: Any) -> SessionStore:
    """The client's session; if it has none, a new one."""
    cookie = self.cookies.get(settings.SESSION_COOKIE_NAME)
    if cookie:
        return SessionStore.from_cookie(cookie.value)
    session = SessionStore()
    session.save()
    self.cookies[settings.SESSION_COOKIE_NAME] = session.cookie_value
    return session


def set_login_cookies(self: Any, request: Any) -> None:
    self.cookies[settings.SESSION_COOKIE_NAME] = request.session.cookie_value


mixin: Any = client.ClientMixin
mixin.session = property(session_of_client)
mixin._set_login_cookies = set_login_cookies
