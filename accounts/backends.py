"""Loads the signed-in user with their account in one query; every page checks whether the account is blocked."""

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.backends import ModelBackend

from accounts.models import User


class LoadsAccount:
    """Shared by both backends. Sessions store the path of the backend, so renaming one signs its users out."""

    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).select_related("account").first()


class PasswordBackend(LoadsAccount, ModelBackend):
    """Authenticates with e-mail address and password; used by the admin and the tests."""


class EntranceBackend(LoadsAccount, AuthenticationBackend):
    """Authenticates users on allauth's sign-in page."""
