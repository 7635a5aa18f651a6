"""django-allauth's adapters: an account for every sign-up, the redirect after it, and the error messages.

allauth uses the Host header for the links in its mails and for the key of its failed sign-in counter. This site
accepts any host (clients of the wire contract use any name), so links use SITE_URL and the counter uses the e-mail
address alone. Otherwise an attacker could make the site send a mail that links to the attacker's host, and could guess
passwords without being counted.
"""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import lockouts
from accounts.actions import registration
from accounts.actions.users import open_account, record_own_change
from accounts.audit import AuditAction
from accounts.email_addresses import normal_address
from accounts.encrypted_columns import SEED_CONTEXT
from accounts.guessing import count_password_attempt, report_wrong_password
from accounts.known_browsers import password_subject, remember
from accounts.models import User
from chatapi.encryption import cipher
from chatapi.ui.redirects import MAX_URL


def with_site_host(url: str) -> str:
    """Returns the URL with the scheme and host of SITE_URL instead of the request's."""
    parts, site = urlsplit(url), urlsplit(settings.SITE_URL)
    return parts._replace(scheme=site.scheme, netloc=site.netloc).geturl()


def invitation_of(request: HttpRequest) -> str:
    """Returns the token of the invitation that a request for the sign-up page carries; "" without one."""
    return request.POST.get("invitation") or request.GET.get("invitation") or ""


RECORDED_CHANGES = {
    "account/email/password_changed": AuditAction.PASSWORD_CHANGED,
    "account/email/password_set": AuditAction.PASSWORD_CHANGED,
    "account/email/password_reset": AuditAction.PASSWORD_RESET,
    "account/email/email_changed": AuditAction.EMAIL_CHANGED,
    "account/email/email_deleted": AuditAction.EMAIL_REMOVED,
    "mfa/email/totp_activated": AuditAction.SECOND_FACTOR_ON,
    "mfa/email/totp_deactivated": AuditAction.SECOND_FACTOR_OFF,
    "mfa/email/recovery_codes_generated": AuditAction.RECOVERY_CODES,
}


def record_change(user: User, action: AuditAction, context: dict[str, Any]) -> None:
    """Record a change that allauth made. A changed or removed address is mailed too."""
    old = context.get("from_email", "")
    email = context.get("to_email") or context.get("deleted_email", "")
    record_own_change(user, action=action, email=email, old_email=old)


class AccountAdapter(DefaultAccountAdapter):
    """Signs users up through accounts.actions and sends them to the form for a first instance."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is disabled. The site's administrator can enable it again.",
        "cannot_remove_primary_email": "The main address cannot be removed. Make another one the main address first.",
        "duplicate_email": "This address is already on your account.",
        "email_password_mismatch": "E-mail address or password is wrong. Check both, or reset the password.",
        "email_taken": "An account with this address already exists. Sign in, or reset its password.",
        "enter_current_password": "The password is wrong.",
        "incorrect_password": "The password is wrong.",
        "too_many_login_attempts": "Too many failed sign-ins from your IP address. Wait a minute, then try again.",
        "unverified_primary_email": "Confirm this address before you make it the main address.",
        "rate_limited": "Too many attempts. Wait a minute, then try again.",
    }

    def clean_email(self, email: str) -> str:
        """For every form that takes an address: sign-up, reset, and those of the account."""
        return normal_address(super().clean_email(email))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt, before the password is examined. Raises ValidationError during a pause."""
        super().pre_authenticate(request, **credentials)
        count_password_attempt(password_subject(request, str(credentials.get("email", ""))))

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        email = str(credentials.get("email", ""))
        report_wrong_password(password_subject(request, email), email, self.get_client_ip(request))

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        if "email" in credentials:
            credentials["email"] = normal_address(str(credentials["email"]))
        user = super().authenticate(request, **credentials)
        if user is not None:
            lockouts.clear(lockouts.PASSWORD, password_subject(request, str(credentials.get("email", ""))))
        return user

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **options: Any) -> HttpResponse:
        """Called when the user is signed in, after the second factor: the browser is known from now on."""
        response: HttpResponse = super().post_login(request, user, **options)
        if isinstance(user, User):
            remember(request, response, user.email)
        return response

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """For every view of allauth that creates a user; the form then requires the invited address."""
        return registration.can_sign_up(invitation_of(request))

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        with transaction.atomic():
            user = super().save_user(request, user, form, commit=commit)
            if commit:
                open_account(user)
        return user

    def is_safe_url(self, url: str) -> bool:
        """Whether `next` may be redirected to; also False for what is no URL, such as `http://[::1/x`."""
        try:
            return len(url) <= MAX_URL and super().is_safe_url(url)
        except ValueError:
            return False

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        return reverse("instances:new")

    def format_email_subject(self, subject: str) -> str:
        return f"[Chat API] {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        links = {name: with_site_host(value) for name, value in context.items() if name.endswith("_url")}
        super().send_mail(
            template_prefix, normal_address(email), context | links
        )  # also one typed into a form

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Records the change in the audit log, which mails it (accounts/notices.py), instead of allauth's own mails.

        allauth calls it after each change of password, address, second factor and recovery codes.
        """
        if isinstance(user, User) and template_prefix in RECORDED_CHANGES:
            record_change(user, RECORDED_CHANGES[template_prefix], context or {})

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Called after a password reset: the user may sign in at once."""
        lockouts.clear(lockouts.PASSWORD, normal_address(str(credentials.get("email", ""))))
        super()._delete_login_attempts_cached_email(request, **credentials)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        return normal_address(str(credentials.get("email", "")))


class SecondFactorAdapter(DefaultMFAAdapter):
    """Encrypts the seeds of authenticator apps and of recovery codes; error messages of the second factor."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "add_email_blocked": "Addresses cannot be added while two-factor authentication is on. Turn it off, "
        "add the address, then turn it on again.",
        "cannot_delete_authenticator": "The authenticator app cannot be removed.",
        "cannot_generate_recovery_codes": "Set up the authenticator app first; recovery codes replace it.",
        "incorrect_code": "The code is wrong. Enter the code that the app shows now, or an unused recovery code.",
        "unverified_email": "Confirm your e-mail address first, then set up the app.",
    }

    def encrypt(self, text: str) -> str:
        return cipher.encrypt(text, SEED_CONTEXT)

    def decrypt(self, encrypted_text: str) -> str:
        return cipher.decrypt(encrypted_text, SEED_CONTEXT)
