"""The forms of the instances' pages. They check what people type; the actions check what is true."""

from django import forms

from hooks import addresses
from instances.models import Channel, Instance


class NewInstanceForm(forms.Form):
    """A name, which may stay empty, and the channel."""

    name = forms.CharField(
        max_length=100,
        required=False,
        help_text="For you alone: what this instance is for. You can change it later.",
        widget=forms.TextInput(
            attrs={"placeholder": "Shop support", "autofocus": True, "autocomplete": "off"}
        ),
    )
    channel = forms.ChoiceField(choices=Channel, initial=Channel.SANDBOX)


class NameForm(forms.Form):
    name = forms.CharField(max_length=100, required=False)


class AddressForm(forms.Form):
    """The webhook address; empty means that no hooks are sent."""

    url = forms.CharField(required=False, strip=True)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            return addresses.check(url) if url else ""
        except addresses.BadAddress as error:
            raise forms.ValidationError(str(error)) from None


class DeleteForm(forms.Form):
    """The number typed once more, so that nobody deletes the wrong one."""

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
