"""Reads values from pages and other text."""

import re


def find_value(pattern: str, text: str) -> str:
    """Returns the first group of the first match of `pattern` in `text`. Raises AssertionError if none matches."""
    match = re.search(pattern, text)
    assert match is not None, f"no match for {pattern!r}"
    return str(match[1])
