"""Loads the signed-in user with their account in one query; every page checks whether the account is blocked."""

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.backends import ModelBackend

from accounts.models import User


class LoadsAccount:
    """Shared by both backends. A session stores which backend opened it."""

    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).select_related("account").first()


class PasswordBackend(LoadsAccount, ModelBackend):
    """Signs in by e-mail address and password; used by the admin and the tests."""


class EntranceBackend(LoadsAccount, AuthenticationBackend):
    """Signs in for allauth's pages."""
