"""JSON as text: parsing with the line and column of an error, compacting and indenting without other changes."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, NamedTuple

from chatapi.ui.json_limits import JsonTooComplex, check_complexity

# A string literal, kept as it is, or white space between two tokens, dropped.
WHITE_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
# A string literal, a bracket, comma or colon, or a number or word.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
# Levels of indentation: 100 000 brackets would otherwise become gigabytes of spaces.
MAX_DEPTH = 40

BOM = "\ufeff"
AROUND = 60  # characters of a line shown on either side of an error
LONG_NUMBER = re.compile(rf'"(?:[^"\\]|\\.)*"|(\d{{{sys.get_int_max_str_digits() + 1},}})')


class BadJson(ValueError):
    """str() is a sentence for users; `line` and `column` count from 1."""

    def __init__(self, sentence: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"Line {line}, column {column}: {sentence}.")
        self.line, self.column = line, column


def parse(text: str) -> Any:
    """Returns the value; raises BadJson. NaN and Infinity, which Python's parser accepts, are not JSON."""

    def refuse(constant: str) -> None:
        raise BadJson(f"{constant} is not JSON", *place(text, text.find(constant)))

    try:
        check_complexity(text)
        return json.loads(text, parse_constant=refuse)
    except BadJson:
        raise
    except JsonTooComplex as error:
        raise BadJson(str(error)) from None
    except json.JSONDecodeError as error:
        raise BadJson(error.msg[0].lower() + error.msg[1:], error.lineno, error.colno) from None
    except RecursionError:
        raise BadJson("nested too deeply") from None
    except ValueError:  # a number with more digits than Python parses
        start = next((found.start(1) for found in LONG_NUMBER.finditer(text) if found[1]), 0)
        raise BadJson("a number is too long to be read", *place(text, start)) from None


class Place(NamedTuple):
    """The position of an error, for the page; a long line is cut around it.

    `at` counts UTF-16 units from 0, as browsers do, with one character for a line break.
    """

    at: int
    line: int
    before: str  # the line up to the character, the character, and the rest of the line
    there: str
    after: str
    above: str  # the line before, empty if it is the first


def place_of(text: str, error: BadJson) -> Place:
    """The position of an error in the text that was parsed."""
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
    """Line and column of a character, counted from 1."""
    before = text[:at]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def compact(text: str) -> bytes:
    """Returns the JSON without white space between tokens, in UTF-8; numbers and escapes stay as typed.

    Raises BadJson if the text is not JSON or contains half a surrogate pair.
    """
    parse(text)
    try:
        return WHITE_SPACE.sub(lambda match: match[1] or "", text).encode()
    except UnicodeEncodeError as error:
        raise BadJson("half a surrogate pair can't be sent as UTF-8", 1, error.start + 1) from None


def pretty(value: Any) -> str:
    """Indents by two spaces. Letters of all languages are not escaped, unless half a surrogate pair is among them."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if is_whole(text) else json.dumps(value, indent=2)


def is_whole(text: str) -> bool:
    """Whether the text can be encoded in UTF-8; half a surrogate pair, which JSON may escape as \\ud800, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_json(text: str) -> bool:
    """Whether the text is JSON within our limits. Numbers may have any number of digits; NaN is not JSON."""
    try:
        check_complexity(text)
        json.loads(text.removeprefix(BOM), parse_int=str, parse_float=str, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def pretty_text(text: str) -> str:
    """Returns a body for reading: indented token by token if it is JSON, otherwise unchanged.

    Every page shows JSON with this: what a receiver's developer looks for may be a repeated key, 1.10 instead of 1.1,
    or an escape, which parsing and writing it again would hide.
    """
    return indented(text) if is_json(text) else text


def indented(text: str) -> str:
    """Returns valid JSON indented by two spaces a level; only the white space between tokens changes."""
    parts: list[str] = []
    depth, previous = 0, ""

    def new_line() -> None:
        parts.append("\n" + "  " * min(depth, MAX_DEPTH))

    for token in TOKEN.findall(text):
        if token in "]}":
            depth -= 1
            if previous not in "[{":
                new_line()
        elif previous and previous in "[{,":
            new_line()
        parts.append(": " if token == ":" else token)
        if token in "[{":
            depth += 1
        previous = token
    return "".join(parts)


def pretty_bytes(body: bytes) -> str:
    """Returns a body for reading, see pretty_text(); bytes that are not UTF-8 become U+FFFD."""
    return pretty_text(body.decode("utf-8", "replace"))
