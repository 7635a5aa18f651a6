"""Parameters that several pages read from the query string. An invalid value counts as not given."""

from __future__ import annotations

from django.http import HttpRequest

SEARCH_MAX_LENGTH = 100


def search_text(request: HttpRequest, *, max_length: int = SEARCH_MAX_LENGTH) -> str:
    """`?q=`, stripped, without null bytes (PostgreSQL cannot hold them), at most `max_length` characters."""
    return request.GET.get("q", "").replace("\0", "").strip()[:max_length]
