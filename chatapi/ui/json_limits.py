"""The limits of JSON that is parsed, checked before parsing.

Parsed JSON needs up to 45 times its size in memory: 2 MB of `{},` become 88 MB. The limits are far above what clients
send: a hook with 1 000 messages has 20 000 values, in 5 levels.
"""

import re
from itertools import islice

MAX_JSON_VALUES = 50_000  # items of all arrays and members of all objects
MAX_JSON_DEPTH = 100

TOO_MANY_VALUES = f"it has more than {MAX_JSON_VALUES} values"
BRACKET = re.compile(r"[\[\]{}]")


class JsonTooComplex(ValueError):
    """str() says which limit is exceeded, without a period."""


def check_complexity(text: str) -> None:
    """Raises JsonTooComplex if the JSON has too many values or levels. Takes 3 ms for 2 MB; the text may be invalid.

    Each value but the first of its array or object follows a comma, so commas and opening brackets are an upper bound.
    Only a text that exceeds it is read more closely, without its strings.
    """
    if count_values(text) > MAX_JSON_VALUES or count_openings(text) > MAX_JSON_DEPTH:
        text = without_strings(text)
        if depth_exceeds(text, MAX_JSON_DEPTH):
            raise JsonTooComplex("it is nested too deeply")
        if count_values(text) > MAX_JSON_VALUES:
            raise JsonTooComplex(TOO_MANY_VALUES)


def count_openings(text: str) -> int:
    return text.count("[") + text.count("{")


def count_values(text: str) -> int:
    return text.count(",") + count_openings(text)


def without_strings(text: str) -> str:
    """The text without its string literals."""
    unescaped = text.replace("\\\\", "").replace('\\"', "")
    if unescaped.count('"') > 4 * MAX_JSON_VALUES:  # a member is up to two strings, of two quotes each
        raise JsonTooComplex(TOO_MANY_VALUES)
    return "".join(unescaped.split('"')[::2])


def depth_exceeds(text: str, limit: int) -> bool:
    """Whether the nesting exceeds the limit. Reads only as many brackets as a text with MAX_JSON_VALUES may have."""
    depth = 0
    for bracket in islice(BRACKET.finditer(text), 2 * MAX_JSON_VALUES):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > limit:
            return True
    return False
