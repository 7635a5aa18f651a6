"""The signed-in user of a request, with its type."""

from django.http import HttpRequest

from accounts.models import User


def current_user(request: HttpRequest) -> User:
    """Returns the signed-in user, for the `acting_user` of an action.

    Raises:
        TypeError: the request has no signed-in user; the view must require one.
    """
    if not isinstance(request.user, User):
        raise TypeError("The view must require a signed-in user.")
    return request.user
