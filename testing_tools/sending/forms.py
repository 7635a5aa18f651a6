"""The form of Sending Messages, and the call of the wire contract that it stands for.

Each kind of message is one method with arguments, so the page does what a client does, and can show it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import models

from instances import chat_ids
from instances.contract.sending import contacts_and_locations, files
from instances.media.sources import is_http_url
from instances.models import MessageType
from testing_tools import sample_files

REGISTERED = (contacts_and_locations, files)  # importing them puts their methods into the registry
URL_MOST = 2000
SHOWN_MOST = 60  # characters of an argument, when the call is shown


class What(models.TextChoices):
    """The kinds of messages that can be chosen."""

    TEXT = "text", "Text"
    FILE = "file", "File"
    LINK = "link", "Link"
    LOCATION = "location", "Location"
    CONTACT = "contact", "Contact"
    VOICE = "voice", "Voice"


# Kind: its icon, the method that sends it, and the fields that it uses
KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    What.TEXT: ("message-circle", "sendMessage", ("text",)),
    What.FILE: ("file", "sendFile", ("file", "file_url", "caption")),
    What.LINK: ("link", "sendLink", ("link", "title", "description", "picture")),
    What.LOCATION: ("map-pin", "sendLocation", ("lat", "lng", "address")),
    What.CONTACT: ("address-book", "sendContact", ("contacts",)),
    What.VOICE: ("microphone", "sendPTT", ("voice", "voice_url")),
}
# what a channel must be able to send for a kind to be of use
TYPES = {
    What.LOCATION: MessageType.LOCATION,
    What.CONTACT: MessageType.VCARD,
    What.VOICE: MessageType.PTT,
    What.TEXT: MessageType.CHAT,
    What.LINK: MessageType.CHAT,
    What.FILE: MessageType.DOCUMENT,
}


@dataclass(frozen=True)
class Call:
    """A call of the wire contract: the method's name and its arguments by their names there."""

    method: str
    arguments: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """The arguments as JSON, what is long cut short, an upload by its name."""
        short = {
            name: f"(the file {value.name})"
            if isinstance(value, UploadedFile)
            else value[:SHOWN_MOST] + "…"
            if isinstance(value, str) and value.startswith("data:")
            else value
            for name, value in self.arguments.items()
        }
        return json.dumps(short, ensure_ascii=False, indent=2)


# needed by their kind; of other kinds they do not count
NEEDED = ("text", "link", "title", "lat", "lng", "address", "contacts")


class SendForm(forms.Form):
    """A recipient as a phone number or a chat id, and a message of one kind; of other kinds nothing is looked at."""

    use_required_attribute = False  # a browser would ask for the fields of the other kinds too

    recipient = forms.CharField(
        max_length=60,
        label="To",
        help_text="A phone number with its country code, or a chat id such as 17680561234@c.us.",
        error_messages={"required": "Say who shall get it: a phone number with its country code."},
    )
    kind = forms.ChoiceField(choices=What.choices, required=False, widget=forms.RadioSelect, label="What")
    text = forms.CharField(max_length=10_000, required=False, widget=forms.Textarea(attrs={"rows": 4}))
    file = forms.FileField(required=False, label="File", max_length=200)
    file_url = forms.CharField(
        max_length=URL_MOST, required=False, label="Or its address", help_text="https://… It is fetched now."
    )
    caption = forms.CharField(max_length=1000, required=False)
    link = forms.CharField(max_length=URL_MOST, required=False, label="Address", help_text="https://…")
    title = forms.CharField(max_length=1000, required=False)
    description = forms.CharField(max_length=1000, required=False)
    picture = forms.FileField(
        required=False, label="Picture", help_text="Of the preview. Without one a sample is taken."
    )
    lat = forms.CharField(max_length=30, required=False, label="Latitude")
    lng = forms.CharField(max_length=30, required=False, label="Longitude")
    address = forms.CharField(max_length=1000, required=False, label="Place in words")
    contacts = forms.CharField(
        max_length=2000,
        required=False,
        label="Phone numbers",
        help_text="Of the contacts, with commas between.",
    )
    voice = forms.FileField(
        required=False,
        label="Sound",
        help_text="Ogg with Opus, as messengers have it. Without one a sample is taken.",
    )
    voice_url = forms.CharField(max_length=URL_MOST, required=False, label="Or its address")

    def clean_recipient(self) -> str:
        typed: str = self.cleaned_data["recipient"]
        try:
            return chat_ids.of_phone(plain_number(typed))
        except chat_ids.BadChatId:
            raise forms.ValidationError(
                "A phone number is 9 to 14 digits and starts with the country code; a group's chat id ends in @g.us."
            ) from None

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or What.TEXT

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name, sentence in missing(given).items():
            if name not in self.errors:
                self.add_error(name, sentence)
        return given

    @property
    def chosen(self) -> str:
        """The kind that is chosen, also of a form that is not right."""
        kind = self["kind"].value()
        return kind if kind in KINDS else What.TEXT

    def mark_needed(self) -> None:
        """For the page, when all is validated: says which fields are not optional once their kind is chosen."""
        for name in NEEDED:
            self.fields[name].required = True

    def to_call(self) -> Call:
        """Of a form that is right."""
        return call_of(self.cleaned_data)


def plain_number(typed: str) -> str:
    """People write +1 (768) 056-1234; a chat id stays as it is."""
    return typed if "@" in typed else "".join(letter for letter in typed if letter not in " ()-./")


def missing(given: Mapping[str, Any]) -> dict[str, str]:
    """What the chosen kind needs and has not: field and sentence."""
    kind, found = given.get("kind"), {}
    if kind == What.TEXT and not (given.get("text") or "").strip():
        found["text"] = "The message is empty. Write something."
    if kind == What.FILE and not given.get("file"):
        if not given.get("file_url"):
            found["file"] = "Choose a file, or give its address below."
        elif not is_http_url(given["file_url"]):
            found["file_url"] = "An address begins with http:// or https://."
    if kind == What.LINK:
        if not is_http_url(given.get("link")):
            found["link"] = "An address begins with http:// or https://."
        if not given.get("title"):
            found["title"] = "A link needs a title."
    if kind == What.LOCATION and not given.get("address"):
        found["address"] = "Say the place in words."
    if kind == What.CONTACT and not given.get("contacts"):
        found["contacts"] = "Say whose contact it is: a phone number with its country code."
    voice_url = given.get("voice_url")
    if kind == What.VOICE and not given.get("voice") and voice_url and not is_http_url(voice_url):
        found["voice_url"] = "An address begins with http:// or https://."
    return found


def call_of(given: Mapping[str, Any]) -> Call:
    """The call that sends what the form says."""
    kind = given["kind"]
    arguments: dict[str, Any] = {"chatId": given["recipient"]}
    match kind:
        case What.TEXT:
            arguments["body"] = given["text"]
        case What.FILE:
            file = given["file"]
            arguments["body"] = file or given["file_url"]
            arguments["filename"] = file.name if file else files.name_of(given["file_url"]) or "file"
            if given["caption"]:
                arguments["caption"] = given["caption"]
        case What.LINK:
            arguments |= {"body": given["link"], "title": given["title"]}
            arguments["previewBase64"] = picture_uri(given["picture"])
            if given["description"]:
                arguments["description"] = given["description"]
        case What.LOCATION:
            arguments |= {name: given[name] for name in ("lat", "lng", "address")}
        case What.CONTACT:
            arguments["contactId"] = [
                plain_number(one) for one in given["contacts"].split(",") if one.strip()
            ]
        case What.VOICE:
            sample = f"data:audio/wav;base64,{base64.b64encode(sample_files.voice()).decode()}"
            arguments["audio"] = given["voice"] or given["voice_url"] or sample
    return Call(KINDS[kind][1], arguments)


def picture_uri(upload: UploadedFile | None) -> str:
    """The picture of a link's preview as a data: URI; one that is too long is left to the method to refuse."""
    content = upload.read(settings.MEDIA_DATA_URI_MAX_BYTES) if upload else sample_files.picture()
    kind = (upload.content_type if upload else "") or "image/png"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def example() -> dict[str, str]:
    """What the form says before anybody has written anything."""
    return {
        "recipient": "+17680561234",
        "kind": What.TEXT,
        "text": "Hello!",
        "link": "https://example.com/",
        "title": "Example",
        "description": "A page that is always there",
        "lat": "52.5163",
        "lng": "13.3777",
        "address": "Brandenburg Gate, Berlin",
        "contacts": "+4915112345678",
    }
