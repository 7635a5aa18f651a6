"""Input that is taken at its word: a field that does not exist is refused, not overlooked."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that names unknown fields, and those that only an answer has, with what it takes instead."""

    default_error_messages = {"invalid": "The body must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = [name for name, field in self.fields.items() if not field.read_only]
            wrong = {
                name: "This cannot be changed."
                if name in self.fields
                else f"There is no such field; the fields are {', '.join(writable)}."
                for name in data
                if name not in writable
            }
            if wrong:
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


def choice(choices: type[Any], **options: Any) -> serializers.ChoiceField:
    """A choice whose refusal lists what it takes; `choices` is a TextChoices."""
    return serializers.ChoiceField(
        choices=choices.choices,
        error_messages={"invalid_choice": f"Must be one of: {', '.join(choices.values)}."},
        **options,
    )
