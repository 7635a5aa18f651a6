"""Forms of the account pages; allauth has those for sign-up, sign-in and passwords."""

from typing import Any

from django import forms

from accounts.models import Role, User

ABOUT_ROLES = {
    Role.VIEWER: "May look at everything, and changes nothing. Sees neither tokens nor signing secrets.",
    Role.MANAGER: "May do what you do with the instances: make and change them, send, simulate, verify.",
}


class AccountNameForm(forms.Form):
    """The account's name as members see it; if empty, they see the owner's e-mail address."""

    name = forms.CharField(
        max_length=100,
        required=False,
        label="Name of the account",
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "My company"}),
        error_messages={"max_length": "The name was not saved: it can have at most 100 characters."},
    )

    def clean_name(self) -> str:
        """Joins the name into one line: it appears in the subject of mails."""
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


class DeleteAccountForm(forms.Form):
    """Asks for the e-mail address, so that an account is not deleted by accident."""

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
