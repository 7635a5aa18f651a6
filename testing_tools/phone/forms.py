"""The forms of the sandbox phone."""

from __future__ import annotations

from typing import Any

from django import forms

from instances import chat_ids
from testing_tools.phone.message_kinds import MessageKind
from testing_tools.sending.calls import strip_punctuation

MAX_TEXT = 10_000
MAX_DELAY = 86_400  # seconds
NOT_A_NUMBER = "Enter 9 to 14 digits, starting with the country code."


class MessageForm(forms.Form):
    """One message. `forward` is the id of a message to forward instead; the other fields are ignored then."""

    kind = forms.ChoiceField(choices=MessageKind.choices, required=False)
    text = forms.CharField(max_length=MAX_TEXT, required=False, strip=False)
    file = forms.FileField(required=False, max_length=200, allow_empty_file=True)
    lat = forms.FloatField(required=False, min_value=-90, max_value=90, label="Latitude")
    lng = forms.FloatField(required=False, min_value=-180, max_value=180, label="Longitude")
    card_name = forms.CharField(max_length=100, required=False, label="Name")
    card_phone = forms.CharField(max_length=30, required=False, label="Phone number")
    quoted = forms.CharField(max_length=200, required=False)
    forward = forms.CharField(max_length=200, required=False)
    forwarded = forms.BooleanField(required=False)

    def clean_card_phone(self) -> str:
        phone = self.cleaned_data["card_phone"]
        return parse_phone_number(phone) if phone else ""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        cleaned["kind"] = kind = MessageKind(cleaned.get("kind") or MessageKind.TEXT)
        if cleaned.get("forward") or self.errors:
            return cleaned
        if kind == MessageKind.TEXT and not cleaned["text"].strip():
            raise forms.ValidationError("The message is empty. Enter a text.")
        if kind == MessageKind.LOCATION and (cleaned["lat"] is None or cleaned["lng"] is None):
            raise forms.ValidationError("A location needs latitude and longitude in degrees.")
        if kind == MessageKind.CARD and not cleaned["card_phone"]:
            raise forms.ValidationError("A contact card needs a phone number.")
        return cleaned


class ContactBehaviourForm(forms.Form):
    """A contact's name, and after how many seconds they receive and read messages; empty means never."""

    name = forms.CharField(max_length=100, required=False, label="Name")
    deliver_after = forms.IntegerField(
        min_value=0, max_value=MAX_DELAY, required=False, label="Receives messages after"
    )
    read_after = forms.IntegerField(
        min_value=0, max_value=MAX_DELAY, required=False, label="Reads messages after"
    )


class ContactForm(forms.Form):
    """A contact to add to the list."""

    phone = forms.CharField(max_length=30, label="Phone number")
    name = forms.CharField(max_length=100, required=False)

    def clean_phone(self) -> str:
        return parse_phone_number(self.cleaned_data["phone"])


class GroupForm(forms.Form):
    """A group that a contact creates, with the account in it."""

    name = forms.CharField(max_length=100, label="Name of the group")
    members = forms.CharField(max_length=1000, label="Phone numbers")

    def clean_members(self) -> list[str]:
        members = [parse_phone_number(one) for one in self.cleaned_data["members"].split(",") if one.strip()]
        if not members:
            raise forms.ValidationError("A group needs at least one contact.")
        return list(dict.fromkeys(members))


class BatteryForm(forms.Form):
    battery = forms.IntegerField(min_value=0, max_value=100)


def parse_phone_number(text: str) -> str:
    """Returns the chat id of a phone number, which may contain spaces and punctuation. Raises ValidationError."""
    try:
        chat_id = chat_ids.of_phone(strip_punctuation(text))
    except chat_ids.BadChatId:
        raise forms.ValidationError(f"“{text.strip()[:40]}” is not a phone number. {NOT_A_NUMBER}") from None
    if chat_ids.is_group(chat_id):
        raise forms.ValidationError(NOT_A_NUMBER)
    return chat_id


def describe_errors(form: forms.Form) -> str:
    """Returns all errors of a form, as sentences."""
    sentences = []
    for name, errors in form.errors.items():
        label = ""
        if name != "__all__":
            label = f"{form.fields[name].label or name.replace('_', ' ').capitalize()}: "
        sentences += [f"{label}{error}" for error in errors]
    return " ".join(sentences)
