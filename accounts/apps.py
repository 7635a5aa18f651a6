"""The app of users, accounts, keys and payments; it imports no other app except chatapi.ui and chatapi.encryption."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers menu entries and encrypted columns. There are no signals: changes go through accounts/actions/."""

    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from django.conf import settings

        from accounts import quotas
        from accounts.actions.members import INVITATIONS
        from accounts.encrypted_columns import SECOND_FACTORS, SESSIONS
        from chatapi.encryption import columns
        from chatapi.ui.menu import Audience, MenuEntry, register

        for column in (*SECOND_FACTORS, SESSIONS):
            columns.register(column)
        quotas.register(INVITATIONS)
        register(
            MenuEntry(10, "Sign in", "account_login", "login", audience=Audience.SIGNED_OUT),
            MenuEntry(
                500, "Account", "accounts:account", "user-circle", views=("account", "mfa", "usersessions")
            ),
        )
        if settings.SIGNUP == "open":  # the sign-in page says how to get an account otherwise
            register(MenuEntry(20, "Sign up", "account_signup", "user-plus", audience=Audience.SIGNED_OUT))
