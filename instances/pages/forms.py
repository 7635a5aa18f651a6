"""The forms of the instances' pages. They validate the input; the actions check the state of the instance."""

from typing import Any

from django import forms

from accounts.models import Account
from hooks.urls import webhook_urls
from instances.channels import offered_channels
from instances.models import Channel, Instance


class AddressForm(forms.Form):
    """The webhook URL; if it is empty, no hooks are sent."""

    url = forms.CharField(required=False, strip=True)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            return webhook_urls.check(url) if url else ""
        except webhook_urls.InvalidUrl as error:
            raise forms.ValidationError(str(error)) from None


class NewInstanceForm(AddressForm):
    """An optional name and URL, the channel, and for managers of other accounts the account that will own it."""

    url = forms.CharField(
        label="Webhook URL",
        required=False,
        strip=True,
        help_text="Where your server receives hooks. The next step tests it.",
        widget=forms.TextInput(
            attrs={
                "placeholder": "https://example.com/hook",
                "class": "mono",
                "inputmode": "url",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
    )
    name = forms.CharField(
        max_length=100,
        required=False,
        help_text="What this instance is for. You can change it later.",
        widget=forms.TextInput(
            attrs={"placeholder": "Shop support", "autofocus": True, "autocomplete": "off"}
        ),
    )
    channel = forms.ChoiceField(choices=offered_channels, initial=Channel.SANDBOX)
    account = forms.ModelChoiceField(
        Account.objects.none(),
        empty_label=None,
        help_text="The account that will own it. Its owner pays for it, and its members see it.",
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = Account.objects.owned_by(user).first()
        changeable = Account.objects.changeable_by(user).filter(blocked_at=None)
        changeable = changeable.select_related("owner").order_by("pk")
        if (changeable.exclude(pk=own.pk) if own else changeable).exists():
            field = self.fields["account"]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset, field.initial = changeable, own
        else:  # there is only one account to choose
            del self.fields["account"]
        self.own = own

    def chosen_account(self) -> Account:
        """Returns the account of the new instance. Requires a valid form."""
        account = self.cleaned_data.get("account") or self.own
        assert isinstance(account, Account)  # without an account of their own, the field is required
        return account


class NameForm(forms.Form):
    name = forms.CharField(max_length=100, required=False)


class ChannelForm(forms.Form):
    """Another channel of an instance."""

    channel = forms.ChoiceField(choices=offered_channels)


class DeleteForm(forms.Form):
    """The number of the instance, typed to confirm the deletion."""

    number = forms.CharField(strip=True)

    def __init__(self, *args: object, instance: Instance, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.instance = instance

    def clean_number(self) -> str:
        typed: str = self.cleaned_data["number"]
        if typed != str(self.instance.number):
            raise forms.ValidationError(
                f"Nothing was deleted: the number of this instance is {self.instance.number}."
            )
        return typed
