"""Whether a test client has entered its password a moment ago, as sensitive changes require."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.test import Client

if TYPE_CHECKING:
    from accounts.models import User

METHODS, USER = "account_authentication_methods", "account_authentication_methods_user"


def remember_password(client: Client, user: User) -> None:
    """Makes the client's session one in which the user has just entered the password again."""
    session = client.session
    session[METHODS] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
    session[USER] = str(user.pk)
    session.save()


def forget_password(client: Client) -> None:
    """Makes the client's session one in which the password was entered long ago."""
    session = client.session
    session.pop(METHODS, None)
    session.save()
