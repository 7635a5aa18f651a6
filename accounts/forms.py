"""The forms of the account's own pages; sign-up, sign-in and passwords are allauth's."""

from typing import Any

from django import forms

from accounts.models import Role, User

ABOUT_ROLES = {
    Role.VIEWER: "May look at everything, and changes nothing. Sees neither tokens nor signing secrets.",
    Role.MANAGER: "May do what you do with the instances: make and change them, send, simulate, verify.",
}


class AccountNameForm(forms.Form):
    """What members read; empty, they read the owner's address."""

    name = forms.CharField(
        max_length=100,
        required=False,
        label="Name of the account",
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "My company"}),
        error_messages={"max_length": "The name was not saved: it takes at most 100 characters."},
    )

    def clean_name(self) -> str:
        """On one line: it stands in the subject of mails."""
        return " ".join(self.cleaned_data["name"].split())


class InvitationForm(forms.Form):
    email = forms.EmailField(
        max_length=254,
        label="E-mail address",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "dora@example.org"}),
        error_messages={"required": "Say whom to invite: an e-mail address."},
    )
    role = forms.ChoiceField(
        choices=Role,
        initial=Role.VIEWER,
        error_messages={
            "required": "Choose what they may do.",
            "invalid_choice": "Choose viewer or manager.",
        },
    )


class LeaveForGoodForm(forms.Form):
    """The address typed once more, so that nobody deletes an account by a slip."""

    email = forms.CharField(
        strip=True, error_messages={"required": "Nothing was deleted: type your address."}
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        typed: str = self.cleaned_data["email"]
        if typed.lower() != self.user.email:
            raise forms.ValidationError(f"Nothing was deleted: your address is {self.user.email}.")
        return typed
