"""The kinds of messages that can be written on the sandbox's phones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models

from instances.models import MessageType
from testing_tools import sample_files


class MessageKind(models.TextChoices):
    TEXT = "text", "Text"
    PHOTO = "photo", "Photo"
    VIDEO = "video", "Video"
    VOICE = "voice", "Voice"
    FILE = "file", "File"
    LOCATION = "location", "Location"
    CARD = "card", "Contact card"
    CALL = "call", "Missed call"


class SampleFile(NamedTuple):
    """The file that is sent if the user chooses none."""

    name: str
    content_type: str
    create: Callable[[], bytes]

    def as_upload(self) -> SimpleUploadedFile:
        return SimpleUploadedFile(self.name, self.create(), self.content_type)


class FileRule(NamedTuple):
    """The file of a kind. Its content type must start with `family`; "" accepts all types."""

    type: MessageType
    family: str
    sample: SampleFile | None


FILE_RULES = {
    MessageKind.PHOTO: FileRule(
        MessageType.IMAGE,
        "image",
        SampleFile(sample_files.PICTURE_NAME, "image/png", sample_files.draw_picture),
    ),
    MessageKind.VIDEO: FileRule(MessageType.VIDEO, "video", None),
    MessageKind.VOICE: FileRule(
        MessageType.PTT,
        "audio",
        SampleFile(sample_files.VOICE_NAME, "audio/wav", sample_files.synthesize_sound),
    ),
    MessageKind.FILE: FileRule(
        MessageType.DOCUMENT,
        "",
        SampleFile(sample_files.TEXT_NAME, "text/plain", lambda: sample_files.TEXT),
    ),
}
