"""The form of Sending Messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from instances import chat_ids
from instances.media.sources import is_http_url
from testing_tools.sending.calls import Call, call_of, strip_punctuation
from testing_tools.sending.kinds import KINDS, MessageKind

MAX_URL = 2000
NOT_A_URL = "The URL must start with http:// or https://."
# Required if their kind is chosen; ignored otherwise.
REQUIRED = ("text", "link", "title", "lat", "lng", "address", "contacts")


class SendForm(forms.Form):
    """A recipient, as a phone number or a chat id, and a message of one kind. The fields of other kinds are ignored."""

    use_required_attribute = False  # a browser would also require the fields of the other kinds

    recipient = forms.CharField(
        max_length=60,
        label="Recipient",
        help_text="A phone number with country code, or a chat id such as 17680561234@c.us.",
        error_messages={"required": "Enter a recipient: a phone number with country code."},
    )
    kind = forms.ChoiceField(
        choices=MessageKind.choices, required=False, widget=forms.RadioSelect, label="Type"
    )
    text = forms.CharField(max_length=10_000, required=False, widget=forms.Textarea(attrs={"rows": 4}))
    file = forms.FileField(required=False, label="File", max_length=200)
    file_url = forms.CharField(
        max_length=MAX_URL,
        required=False,
        label="Or file URL",
        help_text="https://… Downloaded when you send the message.",
    )
    caption = forms.CharField(max_length=1000, required=False)
    link = forms.CharField(max_length=MAX_URL, required=False, label="URL", help_text="https://…")
    title = forms.CharField(max_length=1000, required=False)
    description = forms.CharField(max_length=1000, required=False)
    picture = forms.FileField(
        required=False, label="Picture", help_text="For the preview. A sample is used if you choose none."
    )
    lat = forms.CharField(max_length=30, required=False, label="Latitude")
    lng = forms.CharField(max_length=30, required=False, label="Longitude")
    address = forms.CharField(max_length=1000, required=False, label="Name or address")
    contacts = forms.CharField(
        max_length=2000,
        required=False,
        label="Phone numbers",
        help_text="Of the contacts, separated by commas.",
    )
    voice = forms.FileField(
        required=False,
        label="Audio file",
        help_text="Ogg with Opus, as messengers use it. A sample is used if you choose none.",
    )
    voice_url = forms.CharField(max_length=MAX_URL, required=False, label="Or file URL")

    def clean_recipient(self) -> str:
        typed: str = self.cleaned_data["recipient"]
        try:
            return chat_ids.of_phone(strip_punctuation(typed))
        except chat_ids.BadChatId:
            raise forms.ValidationError(
                "A phone number has 9 to 14 digits and starts with the country code; a group's chat id ends in @g.us."
            ) from None

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or MessageKind.TEXT

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name, message in errors_of_kind(cleaned).items():
            if name not in self.errors:
                self.add_error(name, message)
        return cleaned

    @property
    def chosen(self) -> str:
        """The chosen kind, also if the form is invalid."""
        kind = self["kind"].value()
        return kind if kind in KINDS else MessageKind.TEXT

    def mark_required(self) -> None:
        """Mark the fields that are required once their kind is chosen. Only for rendering: call it after validation."""
        for name in REQUIRED:
            self.fields[name].required = True

    def to_call(self) -> Call:
        """Returns the call of the wire contract; only if the form is valid."""
        return call_of(self.cleaned_data)


def errors_of_kind(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the chosen kind requires and the form lacks: {field: message}."""
    kind, errors = cleaned.get("kind"), {}
    if kind == MessageKind.TEXT and not (cleaned.get("text") or "").strip():
        errors["text"] = "Enter a text: the message is empty."
    if kind == MessageKind.FILE and not cleaned.get("file"):
        if not cleaned.get("file_url"):
            errors["file"] = "Choose a file, or enter its URL below."
        elif not is_http_url(cleaned["file_url"]):
            errors["file_url"] = NOT_A_URL
    if kind == MessageKind.LINK:
        if not is_http_url(cleaned.get("link")):
            errors["link"] = NOT_A_URL
        if not cleaned.get("title"):
            errors["title"] = "Enter a title for the link."
    if kind == MessageKind.LOCATION and not cleaned.get("address"):
        errors["address"] = "Enter the name or address of the location."
    if kind == MessageKind.CONTACT and not cleaned.get("contacts"):
        errors["contacts"] = "Enter the contact's phone number with country code."
    voice_url = cleaned.get("voice_url")
    if kind == MessageKind.VOICE and not cleaned.get("voice") and voice_url and not is_http_url(voice_url):
        errors["voice_url"] = NOT_A_URL
    return errors


def example() -> dict[str, str]:
    """Returns the initial values of the form."""
    return {
        "recipient": "+17680561234",
        "kind": MessageKind.TEXT,
        "text": "Hello!",
        "link": "https://example.com/",
        "title": "Example",
        "description": "An example page",
        "lat": "52.5163",
        "lng": "13.3777",
        "address": "Brandenburg Gate, Berlin",
        "contacts": "+4915112345678",
    }
