"""Who is signed in comes with their account, in one query: every page asks whether it is blocked."""

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.backends import ModelBackend

from accounts.models import User


class WithAccount:
    """For both backends; a session names the one that it was opened by."""

    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).select_related("account").first()


class PasswordBackend(WithAccount, ModelBackend):
    """E-mail address and password, as the admin and the tests use it."""


class EntranceBackend(WithAccount, AuthenticationBackend):
    """What allauth's pages sign in with."""
