"""Types of arguments that only send methods have: files, coordinates, lists of ids, contacts."""

import math
from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from chatapi.ui.numbers import clean_number
from instances import chat_ids, value_parsing
from instances.contract.arguments import (
    Argument,
    last_if_repeated,
    not_a_text,
    single_value,
    texts,
)
from instances.contract.errors import BadArgument


def file(wire: str) -> Argument:
    """A file: an upload of a multipart form, or a text (URL or data: URI)."""
    description = "a file: its URL (https://…), data:image/jpeg;base64,…, or a file of a multipart form"

    def parse(value: Any) -> UploadedFile | str:
        value = last_if_repeated(value)
        if isinstance(value, UploadedFile):
            return value
        text = value if isinstance(value, str) else ""
        if not text.strip():
            raise ValueError(description)
        return text

    return Argument(wire, parse, description, {"type": "string"}, required=True)


def required_text(wire: str, description: str, *, max_length: int = 1000) -> Argument:
    """A text that must be sent and must not be empty."""
    return Argument(
        wire, bounded_text(wire, description, max_length), description, {"type": "string"}, required=True
    )


def bounded_text(wire: str, description: str, max_length: int) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        try:
            text = "" if value is None else value_parsing.parse_text(last_if_repeated(value))
        except ValueError:
            raise BadArgument(not_a_text(wire)) from None
        if not text.strip():
            raise ValueError(description)
        if len(text) > max_length:
            raise ValueError(f"at most {max_length} characters")
        return text

    return parse


def ids(wire: str, description: str) -> Argument:
    """Ids: one, a comma-separated list, or an array. A form may send the array as JSON text."""

    def parse(value: Any) -> list[str]:
        try:
            found = texts(value)
        except ValueError:
            raise ValueError(description) from None
        if not found or found[0].startswith("["):  # nothing, or an array whose JSON is broken
            raise ValueError(description)
        return found

    return Argument(
        wire,
        parse,
        description,
        {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        required=True,
    )


def contacts(wire: str) -> Argument:
    """The chat ids or phone numbers of people: one, a comma-separated list, or an array."""
    description = "the chat id of a contact, 17680561234@c.us, or an array of chat ids"
    id_list = ids(wire, description)

    def parse(value: Any) -> list[str]:
        found = [chat_ids.of_chat(each) for each in id_list.parse(value)]
        if any(chat_ids.is_group(each) for each in found):
            raise ValueError(description)
        return found

    return Argument(wire, parse, description, id_list.schema, required=True)


def degrees(wire: str, maximum: int) -> Argument:
    """Degrees from -maximum to maximum, a number or a text. The function gets a decimal as text: "55.756693"."""
    description = f"degrees from -{maximum} to {maximum}"

    def parse(value: Any) -> str:
        value = single_value(value)
        if isinstance(value, str):
            value = clean_number(value)
        try:
            number = (
                float(value)
                if isinstance(value, int | float | str) and not isinstance(value, bool)
                else math.nan
            )
        except (ValueError, OverflowError):
            number = math.nan
        if not -maximum <= number <= maximum:  # NaN fails this comparison too
            raise ValueError(description)
        decimal = f"{number:.8f}".rstrip("0").rstrip(".")
        return "0" if decimal == "-0" else decimal

    schema = {"type": "number", "minimum": -maximum, "maximum": maximum}
    return Argument(wire, parse, description, schema, required=True)
