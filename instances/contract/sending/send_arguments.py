"""The kinds of arguments that sending alone takes: files, degrees, lists of ids, cards."""

import json
import math
from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from instances import chat_ids, value_parsing
from instances.contract.arguments import Argument, once, plain


def content(wire: str) -> Argument:
    """A file: a multipart upload as it came, or a text (address or data: URI)."""

    def read(value: Any) -> UploadedFile | str:
        value = once(value)
        if isinstance(value, UploadedFile):
            return value
        text = value if isinstance(value, str) else ""
        if not text.strip():
            raise ValueError(
                "the address of a file (https://…), data:image/jpeg;base64,…, or a file of a form"
            )
        return text

    return Argument(
        wire,
        read,
        "a file: its address, data:image/jpeg;base64,…, or a file of a multipart form",
        {"type": "string"},
        required=True,
    )


def needed(wire: str, takes: str, *, most: int = 1000) -> Argument:
    """A text that must be there and may not be empty."""
    return Argument(wire, bounded(takes, most), takes, {"type": "string"}, required=True)


def bounded(takes: str, most: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = "" if value is None else value_parsing.text(once(value))
        if not text.strip():
            raise ValueError(takes)
        if len(text) > most:
            raise ValueError(f"{takes}, of at most {most} characters")
        return text

    return read


def ids(wire: str, takes: str) -> Argument:
    """Ids: one, a comma list, or an array, which a form may hold as JSON."""

    def read(value: Any) -> list[str]:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError(takes) from None
        found = value_parsing.texts(
            [] if value is None else value if isinstance(value, list) else str(value_parsing.text(value))
        )
        if not found:
            raise ValueError(takes)
        return found

    return Argument(
        wire,
        read,
        takes,
        {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        required=True,
    )


def people(wire: str) -> Argument:
    """The chat ids or phone numbers of people: one, a comma list, or an array."""
    takes = "the chat id of a contact, 17680561234@c.us, or an array of them"
    kind = ids(wire, takes)

    def read(value: Any) -> list[str]:
        if isinstance(value, int | float):
            value = plain(value)
        found = [chat_ids.of_chat(each) for each in kind.read(value)]
        if any(chat_ids.is_group(each) for each in found):
            raise ValueError(takes)
        return found

    return Argument(wire, read, takes, kind.schema, required=True)


def degrees(wire: str, most: int) -> Argument:
    """Degrees from -most to most as a number or a text; the function gets them in plain decimals: "55.756693"."""
    takes = f"degrees from -{most} to {most}"

    def read(value: Any) -> str:
        value = once(value)
        try:
            number = (
                float(value)
                if isinstance(value, int | float | str) and not isinstance(value, bool)
                else math.nan
            )
        except (ValueError, OverflowError):
            number = math.nan
        if not -most <= number <= most:  # what is no number is not between them either
            raise ValueError(takes)
        plain = f"{number:.8f}".rstrip("0").rstrip(".")
        return "0" if plain == "-0" else plain

    return Argument(wire, read, takes, {"type": "number", "minimum": -most, "maximum": most}, required=True)
