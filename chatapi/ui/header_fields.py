"""Headers as a mapping: names in lower case, values of repeated names combined."""

from collections.abc import Iterable, Sequence


def combined(headers: Iterable[Sequence[str]]) -> dict[str, str]:
    """Returns {name in lower case: value}; the values of a repeated name are joined by ", " (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
