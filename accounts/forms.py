"""Forms of the account pages. Those for sign-up, sign-in and passwords are allauth's."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django import forms
from django.contrib.auth.password_validation import validate_password

from accounts import lockouts, time_zones
from accounts.email_addresses import normal_address
from accounts.guessing import count_code_attempt, report_wrong_code
from accounts.models import Role, Scope, User

BROWSER_ZONE = "Time zone of the browser"
ABOUT_ROLES = {
    Role.VIEWER: "Can see everything except tokens and signing secrets. Cannot change anything.",
    Role.MANAGER: "Can use the instances as you can: create and change them, send, simulate, verify.",
}


class CountsCodes:
    """Counts wrong codes per user, whatever browser or IP address they come from."""

    user: User

    def clean_code(self) -> str:
        count_code_attempt(self.user)
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except forms.ValidationError:
            report_wrong_code(self.user, get_adapter().get_client_ip(context.request))
            raise
        lockouts.clear(lockouts.SECOND_FACTOR, str(self.user.pk))
        return code


class SecondFactorForm(CountsCodes, AuthenticateForm):
    """Asks for a code after the password."""


class SecondFactorAgainForm(CountsCodes, ReauthenticateForm):
    """Asks a signed-in user for a code again."""


class TimeZoneForm(forms.Form):
    """The zone of the user's pages and mails."""

    time_zone = forms.ChoiceField(
        required=False,
        label="Time zone",
        choices=lambda: [(time_zones.BROWSER, BROWSER_ZONE), *time_zones.choices()],
        error_messages={"invalid_choice": "There is no time zone “%(value)s”. Choose one of the list."},
    )


class AccountNameForm(forms.Form):
    """The account's name as members see it; if empty, they see the owner's e-mail address."""

    name = forms.CharField(
        max_length=100,
        required=False,
        label="Account name",
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "My company"}),
        error_messages={"max_length": "The name can have at most 100 characters."},
    )

    def clean_name(self) -> str:
        """Returns the name as one line, because mails have it in their subject."""
        return " ".join(self.cleaned_data["name"].split())


class NewKeyForm(forms.Form):
    """A new account key. Each scope is a field of its own, so that the form can be sent again after the password."""

    LIFETIMES = (
        ("", "Never"),
        ("7", "In 7 days"),
        ("30", "In 30 days"),
        ("90", "In 90 days"),
        ("365", "In a year"),
    )

    name = forms.CharField(
        max_length=100,
        label="Name",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "CI"}),
        error_messages={
            "required": "Enter a name, such as the program that will use the key.",
            "max_length": "The name can have at most 100 characters.",
        },
    )
    can_read = forms.BooleanField(
        required=False, initial=True, label="read", help_text="Read instances, messages, hooks and bins."
    )
    can_send = forms.BooleanField(
        required=False, label="send", help_text="Send messages; simulate, test and resend hooks."
    )
    can_manage = forms.BooleanField(
        required=False,
        label="manage",
        help_text="Create, change and delete what the account has, keys and members too; fetch hooks.",
    )
    # the same when the page with the new key is loaded again, which sends the form again
    form_id = forms.CharField(
        max_length=40, required=False, initial=lambda: secrets.token_urlsafe(16), widget=forms.HiddenInput
    )
    lifetime = forms.ChoiceField(
        choices=LIFETIMES,
        required=False,
        label="Expires",
        error_messages={"invalid_choice": "Choose when the key expires."},
    )

    @property
    def scopes(self) -> list[Scope]:
        return [scope for scope in Scope if self.cleaned_data.get(f"can_{scope}")]

    def expires_at(self, now: datetime) -> datetime | None:
        days = self.cleaned_data["lifetime"]
        return now + timedelta(days=int(days)) if days else None


class RotateKeyForm(forms.Form):
    """For how long the old value of a rotated key stays valid."""

    OVERLAPS = (
        ("0", "Not at all"),
        ("1", "1 hour"),
        ("24", "24 hours"),
        ("168", "7 days"),
        ("720", "30 days"),
    )

    hours = forms.ChoiceField(choices=OVERLAPS, initial="24")

    @property
    def overlap(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["hours"]))


class InvitationForm(forms.Form):
    """Invites an e-mail address with a role."""

    email = forms.EmailField(
        max_length=254,
        label="E-mail address",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "dora@example.org"}),
        error_messages={"required": "Enter the e-mail address of the user to invite."},
    )
    role = forms.ChoiceField(
        choices=Role,
        initial=Role.VIEWER,
        error_messages={
            "required": "Choose a role.",
            "invalid_choice": "Choose viewer or manager.",
        },
    )


class DeleteAccountForm(forms.Form):
    """Requires the owner's e-mail address, so that an account is not deleted by accident."""

    email = forms.CharField(
        strip=True, error_messages={"required": "Enter your e-mail address to delete the account."}
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        typed: str = self.cleaned_data["email"]
        if normal_address(typed) != self.user.email:
            raise forms.ValidationError(
                f"This is not your address. Enter {self.user.email} to delete the account."
            )
        return typed


class FirstAdministratorForm(forms.Form):
    """The address and the password of a site's first administrator."""

    email = forms.EmailField(
        label="Email",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )
    password1 = forms.CharField(
        label="Password",
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    password2 = forms.CharField(
        label="Password (again)",
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_email(self) -> str:
        email = normal_address(self.cleaned_data["email"])
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError("A user with this address exists. Use another one.")
        return email

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        password, again = found.get("password1"), found.get("password2")
        if password and again and password != again:
            self.add_error("password2", "The two passwords differ.")
        elif password:
            try:
                validate_password(password, User(email=found.get("email", "")))
            except forms.ValidationError as error:
                self.add_error("password1", error)
        return found
