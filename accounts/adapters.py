"""What django-allauth asks of this project: an account with every sign-up, where people land, and its words.

allauth would build the links of its mails, and the key of its count of failed sign-ins, from the Host header. This
site answers to any host (the wire contract's clients call it by whatever name), so both are taken from SITE_URL here:
otherwise a stranger could have a mail sent whose link leads to a host of their own, and guess without being counted.
"""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts.actions.accounts import open_account
from accounts.models import User


def on_this_site(url: str) -> str:
    """The address with the scheme and host of SITE_URL, whatever host it was asked for by."""
    parts, site = urlsplit(url), urlsplit(settings.SITE_URL)
    return parts._replace(scheme=site.scheme, netloc=site.netloc).geturl()


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up goes through accounts.actions; a new person starts with a new instance."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is disabled. The site's administrator can enable it again.",
        "cannot_remove_primary_email": "The main address stays. Make another one the main address first.",
        "duplicate_email": "This address is yours already.",
        "email_password_mismatch": "Address and password do not belong together. Look at both, or reset the password.",
        "email_taken": "There is an account with this address already. Sign in, or reset its password.",
        "enter_current_password": "This is not your password.",
        "incorrect_password": "This is not your password.",
        "too_many_login_attempts": "Too many wrong tries for this address. Wait five minutes, then try again; "
        "or reset the password.",
        "unverified_primary_email": "Confirm the address first: the main address must be known to be yours.",
        "rate_limited": "Too many tries in a row. Wait a minute, then send it again.",
    }

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        with transaction.atomic():
            user = super().save_user(request, user, form, commit=commit)
            if commit:
                open_account(user)
        return user

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        return reverse("instances:new")

    def format_email_subject(self, subject: str) -> str:
        return f"[Chat API] {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        links = {name: on_this_site(value) for name, value in context.items() if name.endswith("_url")}
        super().send_mail(template_prefix, email, context | links)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        return str(credentials.get("email", "")).lower()


class SecondFactorAdapter(DefaultMFAAdapter):
    """The words of the second factor."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "add_email_blocked": "Not while two-factor authentication is on: switch it off first, and on again after.",
        "cannot_delete_authenticator": "The app stays on.",
        "cannot_generate_recovery_codes": "Set up the authenticator app first: recovery codes replace it.",
        "incorrect_code": "This is not the code that the app shows now, nor a recovery code that is left.",
        "unverified_email": "Confirm your e-mail address first, then set up the app.",
    }
