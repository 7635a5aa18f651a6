"""JSON as people type it: read with the line and column of what is wrong, and made compact without a change."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, NamedTuple

# A string literal, kept as it is, or white space between two tokens, dropped.
TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


AROUND = 60  # characters of a line that are shown on either side of a fault
LONG_NUMBER = re.compile(rf'"(?:[^"\\]|\\.)*"|(\d{{{sys.get_int_max_str_digits() + 1},}})')


class BadJson(ValueError):
    """str() is a sentence for people; `line` and `column` count from 1."""

    def __init__(self, sentence: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"Line {line}, column {column}: {sentence}.")
        self.line, self.column = line, column


def parse(text: str) -> Any:
    """The value; raises BadJson. NaN and Infinity, which Python's reader takes, are no JSON."""

    def refuse(constant: str) -> None:
        raise BadJson(f"{constant} is not JSON", *place(text, text.find(constant)))

    try:
        return json.loads(text, parse_constant=refuse)
    except BadJson:
        raise
    except json.JSONDecodeError as error:
        raise BadJson(error.msg[0].lower() + error.msg[1:], error.lineno, error.colno) from None
    except RecursionError:
        raise BadJson("nested too deeply") from None
    except ValueError:  # Python reads no longer numbers than these
        start = next((found.start(1) for found in LONG_NUMBER.finditer(text) if found[1]), 0)
        raise BadJson("a number is too long to be read", *place(text, start)) from None


class Place(NamedTuple):
    """Where a fault is, for the page; the line is cut around it if it is long.

    `at` counts as browsers do, in UTF-16 and from 0, and takes lines to end with one character.
    """

    at: int
    line: int
    before: str  # what stands in the line in front of the character, the character, and what comes after it
    there: str
    after: str
    above: str  # the line before, empty if it is the first


def place_of(text: str, error: BadJson) -> Place:
    """The place of a fault in the text that was parsed."""
    lines = text.replace("\r\n", "\n").split("\n")
    number = min(error.line, len(lines))
    line, column = lines[number - 1], error.column - 1
    ahead = "\n".join([*lines[: number - 1], line[:column]])
    return Place(
        at=len(ahead.encode("utf-16-le", "surrogatepass")) // 2,
        line=number,
        before=line[max(column - AROUND, 0) : column],
        there=line[column : column + 1] or " ",
        after=line[column + 1 : column + AROUND],
        above=lines[number - 2][:AROUND] if number > 1 else "",
    )


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of a character, from 1."""
    before = text[:at]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


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
    """Two spaces a level, letters of all languages as they are, unless there is half of one, which no page can show."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if is_whole(text) else json.dumps(value, indent=2)


def is_whole(text: str) -> bool:
    """Can it be written in UTF-8? Half a surrogate pair, which JSON may escape as \\ud800, can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def pretty_bytes(body: bytes) -> str:
    """A body for reading: indented where it is JSON, else as the text it seems to be."""
    text = body.decode("utf-8", "replace")
    try:
        return pretty(parse(text))
    except BadJson:
        return text
