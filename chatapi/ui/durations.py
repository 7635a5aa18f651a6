"""Durations in words, as pages, mails and the log write them."""

from datetime import timedelta

UNITS = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))


def in_words(span: timedelta) -> str:
    """`span` in at most two units: "under 1 s", "45 s", "3 min 20 s", "2 days 4 h"."""
    seconds = int(span.total_seconds())
    if seconds < 1:
        return "under 1 s"
    parts: list[tuple[int, str]] = []
    for size, unit in UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append((count, unit))
        if len(parts) == 2:
            break
    return " ".join(with_unit(count, unit) for count, unit in parts if count)


def in_largest_unit(span: timedelta) -> str:
    """`span` in one unit, hours at most: "30 s", "6 min", "1.5 h", "48 h"; for zero "immediately"."""
    seconds = span.total_seconds()
    if not seconds:
        return "immediately"
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h".replace(".0 h", " h")
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:g} s"


def milliseconds(ms: float) -> str:
    """Whole milliseconds: "12 ms", "under 1 ms"."""
    return f"{ms:.0f} ms" if ms >= 1 else "under 1 ms"


def with_unit(count: int, unit: str) -> str:
    """`1 day`, `2 days`, `3 h`."""
    return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
