"""Parameters that several pages read from the query string. What they cannot mean counts as not given."""

from __future__ import annotations

from django.http import HttpRequest

SEARCH_MAX_LENGTH = 100


def search_text(request: HttpRequest) -> str:
    """`?q=`, stripped, without null bytes (PostgreSQL cannot hold them), at most SEARCH_MAX_LENGTH characters."""
    return request.GET.get("q", "").replace("\0", "").strip()[:SEARCH_MAX_LENGTH]


def key(text: str) -> int | None:
    """A row's key; None for what is not one. 18 digits always fit into a bigint."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
