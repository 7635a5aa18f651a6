"""The app of people, their keys and payments; it imports no other app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Nothing is hooked in at start: changes go through accounts/actions/accounts.py, not through signals."""

    name = "accounts"
    verbose_name = "Accounts"
