"""What can be written on the sandbox's phones, and what can be said of its people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.db import models

from instances import chat_ids
from instances.actions.media import extend_expiry, store_given_media
from instances.actions.message_lookup import UnknownMessage, quote
from instances.contract.sending.contacts_and_locations import vcard_of
from instances.media.kinds import WrongFile
from instances.models import Instance, Media, Message, MessageType
from testing_tools import sample_files
from testing_tools.sending.calls import strip_punctuation

TEXT_MOST = 10_000
NO_NUMBER = "A phone number is 9 to 14 digits and starts with the country code."


class Kind(models.TextChoices):
    """What can be written, by the words of the phone."""

    TEXT = "text", "Text"
    PHOTO = "photo", "Photo"
    VIDEO = "video", "Video"
    VOICE = "voice", "Voice"
    FILE = "file", "File"
    LOCATION = "location", "Location"
    CARD = "card", "Contact card"
    CALL = "call", "Missed call"


ICONS = {
    Kind.TEXT: "message-circle",
    Kind.PHOTO: "photo",
    Kind.VIDEO: "video",
    Kind.VOICE: "microphone",
    Kind.FILE: "file",
    Kind.LOCATION: "map-pin",
    Kind.CARD: "address-book",
    Kind.CALL: "phone-x",
}


class FileKind(NamedTuple):
    """A kind that carries a file: its type, the family it must be of, and what is taken where none is chosen."""

    type: MessageType
    family: str
    sample: tuple[str, str]  # name and content type; empty: one must be chosen


FILES = {
    Kind.PHOTO: FileKind(MessageType.IMAGE, "image", (sample_files.PICTURE_NAME, "image/png")),
    Kind.VIDEO: FileKind(MessageType.VIDEO, "video", ("", "")),
    Kind.VOICE: FileKind(MessageType.PTT, "audio", (sample_files.VOICE_NAME, "audio/wav")),
    Kind.FILE: FileKind(MessageType.DOCUMENT, "", (sample_files.FILE_NAME, "text/plain")),
}
MAKE: dict[Kind, Callable[[], bytes]] = {
    Kind.PHOTO: sample_files.picture,
    Kind.VOICE: sample_files.voice,
    Kind.FILE: lambda: sample_files.TEXT,
}


class WriteForm(forms.Form):
    """One message on a phone. `forward` is the id of a message to be passed on instead; nothing else counts then."""

    kind = forms.ChoiceField(choices=Kind.choices, required=False)
    text = forms.CharField(max_length=TEXT_MOST, required=False, strip=False)
    file = forms.FileField(required=False, max_length=200, allow_empty_file=True)
    lat = forms.FloatField(required=False, min_value=-90, max_value=90, label="Latitude")
    lng = forms.FloatField(required=False, min_value=-180, max_value=180, label="Longitude")
    card_name = forms.CharField(max_length=100, required=False, label="Name")
    card_phone = forms.CharField(max_length=30, required=False, label="Phone number")
    quoted = forms.CharField(max_length=200, required=False)
    forward = forms.CharField(max_length=200, required=False)
    forwarded = forms.BooleanField(required=False)

    def clean_card_phone(self) -> str:
        return person(self.cleaned_data["card_phone"]) if self.cleaned_data["card_phone"] else ""

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        given["kind"] = kind = given.get("kind") or Kind.TEXT
        if given.get("forward") or self.errors:
            return given
        if kind == Kind.TEXT and not given["text"].strip():
            raise forms.ValidationError("The message is empty. Write something.")
        if kind == Kind.LOCATION and (given["lat"] is None or given["lng"] is None):
            raise forms.ValidationError("A location needs latitude and longitude in degrees.")
        if kind == Kind.CARD and not given["card_phone"]:
            raise forms.ValidationError("A contact card needs a phone number.")
        return given

    def message(self, instance: Instance) -> dict[str, Any]:
        """The keywords of the action, of a form that is right; its file is stored. No transaction is open.

        Raises actions.UnknownMessage and WrongFile, whose texts are sentences.
        """
        given = self.cleaned_data
        if given["forward"]:
            return passed_on(instance, given["forward"])
        quoted = quote(instance, given["quoted"]) if given["quoted"] else None
        return content_of(instance, given) | {"quoted": quoted, "forwarded": int(given["forwarded"])}


def passed_on(instance: Instance, message_id: str) -> dict[str, Any]:
    """A message as it is forwarded. Raises actions.UnknownMessage and WrongFile."""
    found = Message.objects.select_related("media").filter(
        instance=instance, message_id=message_id, deleted_at=None
    ).first()  # fmt: skip
    if found is None:
        raise UnknownMessage("The message to be forwarded was not found.")
    if found.type == MessageType.CALL_LOG:
        raise UnknownMessage("A missed call can't be forwarded.")
    return {
        "type": found.type,
        "body": found.body,
        "caption": found.caption,
        "media": extend_expiry(found.media) if found.media else None,
        "forwarded": found.forwarded + 1,
    }


def content_of(instance: Instance, given: dict[str, Any]) -> dict[str, Any]:
    kind, text = given["kind"], given["text"].strip()
    match kind:
        case Kind.TEXT:
            return {"type": MessageType.CHAT, "body": given["text"]}
        case Kind.CALL:
            return {"type": MessageType.CALL_LOG}
        case Kind.LOCATION:
            return {
                "type": MessageType.LOCATION,
                "body": f"{given['lat']};{given['lng']}",
                "caption": text or None,
            }
        case Kind.CARD:
            return {"type": MessageType.VCARD, "body": vcard_of(given["card_phone"], given["card_name"])}
    media = file_of(instance, kind, given["file"])
    caption = text or (media.filename if media and kind == Kind.FILE else None)
    return {"type": FILES[kind].type, "media": media, "caption": caption}


def file_of(instance: Instance, kind: str, upload: UploadedFile | None) -> Media | None:
    """The file of a message, kept; None for a video that the instance does not take anyway. Raises WrongFile."""
    wanted = FILES[Kind(kind)]
    if upload is None:
        if kind == Kind.VIDEO:
            if not instance.video_upload_on:
                return None
            raise WrongFile("Choose a video: videoUploadOn is on, so the instance gets the file itself.")
        name, content_type = wanted.sample
        upload = SimpleUploadedFile(name, MAKE[Kind(kind)](), content_type)
    if kind == Kind.VIDEO and not (upload.content_type or "").startswith("video/"):
        raise WrongFile(f"A video is wanted, and this is {upload.content_type or 'of no known kind'}.")
    only = wanted.family if wanted.family in ("image", "audio") else ""
    try:
        return store_given_media(instance, upload, filename=upload.name or "file", only=only)
    except WrongFile as error:
        raise WrongFile(f"The file was not taken: {error}") from None


def person(typed: str) -> str:
    """The chat id of a phone number as people write it. Raises ValidationError."""
    try:
        found = chat_ids.of_phone(strip_punctuation(typed))
    except chat_ids.BadChatId:
        raise forms.ValidationError(f"“{typed.strip()[:40]}”: {NO_NUMBER}") from None
    if chat_ids.is_group(found):
        raise forms.ValidationError(NO_NUMBER)
    return found


class MindForm(forms.Form):
    """What a contact does with a message; seconds, empty for never."""

    name = forms.CharField(max_length=100, required=False, label="Name")
    deliver_after = forms.IntegerField(
        min_value=0, max_value=86_400, required=False, label="Gets messages after"
    )
    read_after = forms.IntegerField(min_value=0, max_value=86_400, required=False, label="Reads them after")


class PersonForm(forms.Form):
    """Somebody else."""

    phone = forms.CharField(max_length=30, label="Phone number")
    name = forms.CharField(max_length=100, required=False)

    def clean_phone(self) -> str:
        return person(self.cleaned_data["phone"])


class GroupForm(forms.Form):
    """A group that a contact makes, with the account in it."""

    name = forms.CharField(max_length=100, label="Name of the group")
    members = forms.CharField(max_length=1000, label="Phone numbers")

    def clean_members(self) -> list[str]:
        found = [person(one) for one in self.cleaned_data["members"].split(",") if one.strip()]
        if not found:
            raise forms.ValidationError("A group needs at least one other person.")
        return list(dict.fromkeys(found))


class BatteryForm(forms.Form):
    battery = forms.IntegerField(min_value=0, max_value=100)


def in_words(form: forms.Form) -> str:
    """All that is wrong with a form, as sentences."""
    found = []
    for name, errors in form.errors.items():
        label = (
            "" if name == "__all__" else f"{form.fields[name].label or name.replace('_', ' ').capitalize()}: "
        )
        found += [f"{label}{error}" for error in errors]
    return " ".join(found)
