"""Fields of the sandbox's requests: phone numbers and files."""

import re
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from instances import chat_ids

A_PHONE = "It takes a phone number of 9 to 14 digits that starts with the country code."


def person(phone: Any) -> str:
    """The chat id of somebody whose phone number or chat id this is. Raises ValidationError."""
    try:
        found = chat_ids.of_phone(str(phone))
    except chat_ids.BadChatId:
        found = ""
    if not found or chat_ids.is_group(found):
        raise serializers.ValidationError(A_PHONE)
    return found


class PhoneField(serializers.CharField):
    """A phone number in any usual way, or its chat id; becomes the chat id."""

    def to_internal_value(self, data: Any) -> str:
        return person(super().to_internal_value(data))


@extend_schema_field({"type": "string"})
class FileField(serializers.Field[Any, Any, Any, Any]):
    """A file: of a multipart form, `data:…;base64,…`, or an address from which it is fetched."""

    def to_internal_value(self, data: Any) -> UploadedFile | str:
        if isinstance(data, UploadedFile):
            return data
        if isinstance(data, str) and re.match(r"(data:|https?://)", data.strip(), re.IGNORECASE):
            return data.strip()
        raise serializers.ValidationError(
            "It takes the address of a file (https://…), data:image/jpeg;base64,…, or a file of a multipart form."
        )
