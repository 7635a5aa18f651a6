"""Times in the wire contract: unix seconds, or dates."""

from datetime import UTC, datetime


def from_unix_time(seconds: int) -> datetime:
    """The time of unix seconds that arguments.unix_time has accepted."""
    return datetime.fromtimestamp(seconds, UTC)


def format_date(at: datetime) -> str:
    """`2026-11-22T16:25:09Z`. The original's format is unknown; every language can parse this one."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
