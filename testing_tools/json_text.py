"""JSON as people type it: read with the line and column of what is wrong, and made compact without a change."""

from __future__ import annotations

import json
import re
from typing import Any

# A string literal, kept as it is, or white space between two tokens, dropped.
TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


class BadJson(ValueError):
    """str() is a sentence for people; `line` and `column` count from 1."""

    def __init__(self, sentence: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"Line {line}, column {column}: {sentence}.")
        self.line, self.column = line, column


def parse(text: str) -> Any:
    """The value; raises BadJson. NaN and Infinity, which Python's reader takes, are no JSON."""

    def refuse(constant: str) -> None:
        before = text[: text.find(constant)]
        raise BadJson(f"{constant} is not JSON", before.count("\n") + 1, len(before) - before.rfind("\n"))

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise BadJson(error.msg[0].lower() + error.msg[1:], error.lineno, error.colno) from None
    except RecursionError:
        raise BadJson("nested too deeply") from None


def compact(text: str) -> bytes:
    """The same JSON without white space between its tokens, in UTF-8; numbers and escapes stay as typed.

    Raises BadJson where the text is not JSON, or holds half a character.
    """
    parse(text)
    try:
        return TOKEN.sub(lambda match: match[1] or "", text).encode()
    except UnicodeEncodeError as error:
        raise BadJson("half a surrogate pair can't be sent as UTF-8", 1, error.start + 1) from None


def pretty(value: Any) -> str:
    """Two spaces a level, letters of all languages as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def pretty_bytes(body: bytes) -> str:
    """A body for reading: indented where it is JSON, else as the text it seems to be."""
    text = body.decode("utf-8", "replace")
    try:
        return pretty(parse(text))
    except BadJson:
        return text
