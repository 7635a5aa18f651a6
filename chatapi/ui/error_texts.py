"""The limit of responses that report an error: they quote input, and must not multiply it."""

import json
from collections.abc import Mapping

MAX_ERROR_BYTES = 16 * 1024  # of a response that is no page
MAX_ERROR_PAGE_BYTES = 64 * 1024  # of a page with its frame, which has 20 KB, and a form
MAX_SENTENCE = 1000  # characters; each may take up to six bytes in JSON
MAX_FIELDS = 20  # of an error per field
MAX_FIELD_BYTES = 4 * 1024  # names and errors of all fields together, in JSON


def shorten(sentence: str, limit: int = MAX_SENTENCE) -> str:
    """The sentence, cut to `limit` characters; the last one is then "…"."""
    return sentence if len(sentence) <= limit else sentence[: limit - 1] + "…"


def limit_fields(errors: Mapping[str, str]) -> dict[str, str]:
    """The first errors, up to MAX_FIELDS and MAX_FIELD_BYTES, with shortened names and sentences."""
    limited: dict[str, str] = {}
    left = MAX_FIELD_BYTES
    for name, error in errors.items():
        entry = {shorten(name, 100): shorten(error, 400)}
        left -= len(json.dumps(entry, ensure_ascii=False).encode(errors="replace"))
        if limited and (left < 0 or len(limited) == MAX_FIELDS):
            break
        limited |= entry
    return limited
