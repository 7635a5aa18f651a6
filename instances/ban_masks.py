"""The mask of `banSettings`: a regular expression over phone numbers, matched in linear time.

Any holder of a token can set one, and Python's own engine needs a day for `(1+)+$` over thirty digits. RE2 reads the
number once, whatever the expression, with limited memory (MEMORY). It supports no look-around and no back-references,
and its error message says so.
"""

from functools import lru_cache
from typing import Any

import re2

MAX_LENGTH = 200  # characters
MEMORY = 1 << 20  # bytes of one compiled mask; a larger one is rejected


class BadMask(ValueError):
    """The mask is invalid. The text says what is accepted."""


def make_options() -> Any:
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False  # RE2 would print the mask
    return options


@lru_cache(maxsize=256)
def compile_mask(mask: str) -> Any:
    """Returns the compiled expression. Raises BadMask."""
    if len(mask) > MAX_LENGTH:
        raise BadMask(f"`banPhoneMask` must be at most {MAX_LENGTH} characters.")
    try:
        return re2.compile(mask, make_options())
    except (re2.error, ValueError) as error:
        why = error.args[0] if error.args else error
        why = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise BadMask(f"`banPhoneMask` must be a regular expression in RE2 syntax: {why}") from None


def matches(mask: str, phone: str) -> bool:
    """Whether the mask matches anywhere in these digits; `^` and `$` are their ends. An empty mask matches nothing."""
    return bool(mask) and compile_mask(mask).search(phone) is not None
