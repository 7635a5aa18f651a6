"""Parses plain values in the spellings that clients of the wire contract use (contract.md, section 1).

Every function takes a value from a query, a form or JSON and returns the parsed value. It raises ValueError whose text
says what is accepted, as in "`true` or `false`".
"""

import json
from collections.abc import Iterable
from typing import Any

from chatapi.ui.json_limits import check_complexity
from chatapi.ui.numbers import clean_number

TRUE = frozenset({"true", "1"})
FALSE = frozenset({"false", "0"})


def parse_bool(value: Any) -> bool:
    """`true`, `"true"`, `1`, `"1"`, `false`, `"false"`, `0`, `"0"`; words in any case."""
    word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("`true` or `false`")


def parse_whole_number(value: Any, *, most: int = 2_147_483_647) -> int:
    """A whole number from 0 to `most`, as a number or as digits, which clean_number cleans."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and len(value) <= 40:
        digits = clean_number(value)
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 20 else value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise ValueError(f"a whole number from 0 to {most}")


def parse_text(value: Any) -> str:
    """A text; a number becomes its digits. Characters that PostgreSQL or UTF-8 cannot store become U+FFFD."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return json.dumps(value)
    if isinstance(value, str):
        clean = value.replace("\x00", "\ufffd")
        if not clean.isascii():  # a lone surrogate, which JSON may escape as \ud800
            clean = clean.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return clean
    raise ValueError("a text")


def parse_texts(value: Any) -> list[str]:
    """A list of texts: one text, several separated by commas, or an array, which may be written as JSON text."""
    parts: Iterable[Any] = json_array(value)
    if not isinstance(parts, list | tuple):
        parts = parse_text(value).split(",")
    return [part for part in (parse_text(part).strip() for part in parts) if part]


def json_array(value: Any) -> Any:
    """The array that a text contains as JSON: `'["17680561234"]'`, as forms send it. Any other value is unchanged."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            check_complexity(value)
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value
