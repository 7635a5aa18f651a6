"""Serializers that reject unknown fields instead of ignoring them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from rest_framework import serializers

from chatapi.ui.error_texts import MAX_FIELDS


def first_errors(errors: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first errors as a dict, one more than a response lists, so that it can say that there are more.

    DRF copies each sentence: 2 MB of unknown fields, each with the list of all fields, became 430 MB.
    """
    return dict(islice(errors, MAX_FIELDS + 1))


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that rejects unknown and read-only fields, and lists the fields that exist."""

    default_error_messages = {"invalid": "The body must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = [name for name, field in self.fields.items() if not field.read_only]
            unknown = f"Unknown field. The fields are: {', '.join(writable)}."
            names = [name for name in data if name not in writable]
            if wrong := first_errors(
                (name, "This cannot be changed." if name in self.fields else unknown) for name in names
            ):
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


def choice(choices: type[Any], **options: Any) -> serializers.ChoiceField:
    """A choice field whose error lists the possible values. `choices` is a TextChoices."""
    return choice_of(choices.choices, **options)


def choice_of(choices: Sequence[tuple[str, str]], **options: Any) -> serializers.ChoiceField:
    """As `choice`, of values with their labels."""
    return serializers.ChoiceField(
        choices=choices,
        error_messages={"invalid_choice": f"Must be one of: {', '.join(value for value, _ in choices)}."},
        **options,
    )
