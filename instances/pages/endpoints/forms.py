"""The forms of endpoints beside their filters: a new endpoint, and the settings of one."""

from __future__ import annotations

from typing import Any

from django import forms

from hooks.models import Endpoint
from instances.pages.forms import AddressForm

IN_ORDER, STRICT, PARALLEL = "order", "strict", "parallel"


def require_url(url: str) -> str:
    if not url:
        raise forms.ValidationError("Enter the URL where your server receives hooks.")
    return url


class NewEndpointForm(AddressForm):
    """The URL of a new endpoint, which is required, and its name, which is not."""

    name = forms.CharField(max_length=60, required=False)

    def clean_url(self) -> str:
        return require_url(super().clean_url())


class EndpointForm(AddressForm):
    """The name, the URL and the delivery mode of an endpoint. Only the first endpoint may have no URL."""

    name = forms.CharField(max_length=60, required=False)
    guaranteed = forms.BooleanField(required=False)
    order = forms.ChoiceField(
        choices=[(IN_ORDER, "In order"), (STRICT, "In strict order"), (PARALLEL, "In parallel")],
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, endpoint: Endpoint, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "name": endpoint.name,
            "url": endpoint.url,
            "guaranteed": endpoint.guaranteed,
            "order": PARALLEL if endpoint.parallel else STRICT if endpoint.strict else IN_ORDER,
        }
        super().__init__(*args, **kwargs)
        self.endpoint = endpoint

    def clean_url(self) -> str:
        if self.endpoint.is_listener:  # only `chatapi listen` changes it
            return self.endpoint.url
        url = super().clean_url()
        return url if self.endpoint.is_first else require_url(url)

    def wanted(self) -> dict[str, Any]:
        """Returns the values for change_endpoint(). Requires a valid form."""
        values = self.cleaned_data
        is_unchanged = values["url"] == self.endpoint.url
        return {
            "name": values["name"],
            # an unchanged URL stays as its owner typed it
            "url": self.endpoint.shown_url if is_unchanged else values["url"],
            "guaranteed": values["guaranteed"],
            "parallel": values["order"] == PARALLEL,
            "strict": values["order"] == STRICT,
        }
