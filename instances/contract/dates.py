"""Times as the wire contract writes them: unix seconds, or a date."""

from datetime import UTC, datetime


def moment(seconds: int) -> datetime:
    """Unix seconds, as arguments.unix_time lets them in, as a time."""
    return datetime.fromtimestamp(seconds, UTC)


def wire_date(at: datetime) -> str:
    """`2026-11-22T16:25:09Z`; the original's form is not known, and this one every language reads."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
