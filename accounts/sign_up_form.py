"""allauth's sign-up form, with the invitation that settings.SIGNUP may require."""

from typing import Any

from allauth.account.forms import SignupForm
from allauth.core import context
from django import forms
from django.conf import settings

from accounts.actions import registration
from accounts.adapters import invitation_of


class SignUpForm(SignupForm):
    """With SIGNUP=invited, the address must be the one that the invitation is for."""

    invitation = forms.CharField(
        required=False, max_length=registration.MAX_TOKEN_LENGTH, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.token = invitation_of(context.request)
        self.fields["invitation"].initial = self.token
        if not self.is_bound and (email := registration.invited_email(self.token)):
            self.fields["email"].initial = email

    def clean_email(self) -> str:
        email: str = super().clean_email()
        if settings.SIGNUP == "open":
            return email
        invited = registration.invited_email(self.token)
        if invited is None:  # cancelled after the page was opened
            raise forms.ValidationError(
                "This invitation has expired or was cancelled. Ask for a new one, and open its link."
            )
        if email != invited:
            raise forms.ValidationError(
                f"The invitation is for {invited}. Use that address, or ask for an invitation to this one."
            )
        return email
