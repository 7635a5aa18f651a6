"""The pages that the account page links to; the search finds them, too."""

from __future__ import annotations

from typing import NamedTuple


class AccountPage(NamedTuple):
    """One page; `text` says what it is for, without a full stop."""

    title: str
    text: str
    icon: str
    url_name: str


ACCOUNT_PAGES = (
    AccountPage("Members", "Let other users see or manage your instances", "users", "accounts:members"),
    AccountPage("Keys", "Let programs use the API", "key", "accounts:keys"),
    AccountPage("History", "Changes, and pages viewed by staff", "history", "accounts:audit-log"),
    AccountPage("Password", "Change your password", "lock-password", "account_change_password"),
    AccountPage(
        "Two-factor authentication", "Authenticator app and recovery codes", "shield-lock", "mfa_index"
    ),
    AccountPage("Sessions", "Where you are signed in", "devices", "usersessions_list"),
    AccountPage("E-mail addresses", "Add an address, or change the main address", "mail", "account_email"),
)
