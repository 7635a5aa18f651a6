"""The user of a request behind login_required, typed for actions."""

from typing import cast

from django.http import HttpRequest

from accounts.models import User


def signed_in_user(request: HttpRequest) -> User:
    """Returns the signed-in user; only for views with login_required."""
    return cast("User", request.user)
