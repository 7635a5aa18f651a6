"""Serializers that reject unknown fields instead of ignoring them."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that rejects unknown and read-only fields, and lists the fields that exist."""

    default_error_messages = {"invalid": "The body must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = [name for name, field in self.fields.items() if not field.read_only]
            wrong = {
                name: "This cannot be changed."
                if name in self.fields
                else f"Unknown field. The fields are: {', '.join(writable)}."
                for name in data
                if name not in writable
            }
            if wrong:
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


def choice(choices: type[Any], **options: Any) -> serializers.ChoiceField:
    """A choice field whose error lists the possible values. `choices` is a TextChoices."""
    return serializers.ChoiceField(
        choices=choices.choices,
        error_messages={"invalid_choice": f"Must be one of: {', '.join(choices.values)}."},
        **options,
    )
