"""The mask of `banSettings`: a regular expression over phone numbers, matched in linear time.

Anybody with a token may set one, and Python's own engine needs a day for `(1+)+$` over thirty digits. RE2 walks
through the number once, whatever the expression, within a memory that is bounded (MEMORY); the price is that it knows
no look-around and no back-references, and says so.
"""

from functools import lru_cache
from typing import Any

import re2

LONGEST = 200  # characters
MEMORY = 1 << 20  # bytes of one compiled mask; a longer program is refused


class BadMask(ValueError):
    """Not a mask; the text says what it takes."""


def options() -> Any:
    made = re2.Options()
    made.max_mem = MEMORY
    made.log_errors = False  # RE2 would print the mask
    return made


@lru_cache(maxsize=256)
def compiled(mask: str) -> Any:
    """The expression; raises BadMask."""
    if len(mask) > LONGEST:
        raise BadMask(f"banPhoneMask takes a regular expression of at most {LONGEST} characters")
    try:
        return re2.compile(mask, options())
    except (re2.error, ValueError) as error:
        why = error.args[0] if error.args else error
        why = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise BadMask(f"banPhoneMask takes a regular expression in the syntax of RE2: {why}") from None


def matches(mask: str, phone: str) -> bool:
    """Is the mask found anywhere in these digits? `^` and `$` tie it to the ends; the empty one matches nobody."""
    return bool(mask) and compiled(mask).search(phone) is not None
