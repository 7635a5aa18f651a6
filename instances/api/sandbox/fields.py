"""Fields of the sandbox's requests: phone numbers and files."""

import re
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.validators import URLValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from instances import chat_ids

PHONE_ERROR = "Must be a phone number of 9 to 14 digits that starts with the country code."


def parse_phone(phone: Any) -> str:
    """Returns the chat id of a phone number or of a contact's chat id. Raises ValidationError."""
    try:
        found = chat_ids.of_phone(str(phone))
    except chat_ids.BadChatId:
        found = ""
    if not found or chat_ids.is_group(found):
        raise serializers.ValidationError(PHONE_ERROR)
    return found


class PhoneField(serializers.CharField):
    """A phone number in any common format, or a chat id. Its value is the chat id."""

    def to_internal_value(self, data: Any) -> str:
        return parse_phone(super().to_internal_value(data))


class WholeCharacters(ProhibitSurrogateCharactersValidator):
    """DRF's check, which looks at each character in Python, only for a text that has no UTF-8."""

    def __call__(self, value: Any) -> None:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            super().__call__(value)


def check_characters_at_once(field: Any) -> None:
    """Have a field of text use WholeCharacters."""
    field.validators = [
        WholeCharacters() if type(one) is ProhibitSurrogateCharactersValidator else one
        for one in field.validators
    ]


@extend_schema_field({"type": "string"})
class FileField(serializers.Field[Any, Any, Any, Any]):
    """A file of a multipart form, `data:…;base64,…`, or a URL to fetch it from."""

    def to_internal_value(self, data: Any) -> UploadedFile | str:
        if isinstance(data, UploadedFile):
            return data
        if isinstance(data, str) and re.match(r"(data:|https?://)", data.strip(), re.IGNORECASE):
            return data.strip()
        raise serializers.ValidationError(
            "Must be the URL of a file (https://…), data:image/jpeg;base64,…, or a file of a multipart form."
        )


class UrlOrEmpty(serializers.CharField):
    """A URL, or an empty text. A URLField is documented as `oneOf` two formats, and an empty text has both."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        URLValidator()(text)
        return text


@extend_schema_field({"type": "string", "format": "binary"})
class FormFileField(FileField):
    """The same, described as the file of a form."""
