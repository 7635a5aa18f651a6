"""Loads the signed-in user with their account in one query; every page checks whether the account is blocked."""

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.backends import ModelBackend

from accounts.models import User


class WithAccount:
    """Shared by both backends; a session names the backend that opened it."""

    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).select_related("account").first()


class PasswordBackend(WithAccount, ModelBackend):
    """Signs in by e-mail address and password; used by the admin and the tests."""


class EntranceBackend(WithAccount, AuthenticationBackend):
    """Signs in for allauth's pages."""
