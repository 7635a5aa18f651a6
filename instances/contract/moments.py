"""Times as the wire contract writes them: unix seconds, or a date."""

from datetime import UTC, datetime

from instances.contract.errors import BadArgument


def moment(seconds: int) -> datetime:
    """Unix seconds as a time. Raises BadArgument where they are milliseconds, say, and no time at all."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadArgument("min_time and max_time take unix seconds") from None


def wire_date(at: datetime) -> str:
    """`2026-11-22T16:25:09Z`; the original's form is not known, and this one every language reads."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
