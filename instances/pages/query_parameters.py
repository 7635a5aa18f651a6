"""Parameters that several pages read from the query string. An invalid value counts as not given."""

from __future__ import annotations

from django.http import HttpRequest

SEARCH_MAX_LENGTH = 100


def search_text(request: HttpRequest) -> str:
    """`?q=`, stripped, without null bytes (PostgreSQL cannot hold them), at most SEARCH_MAX_LENGTH characters."""
    return request.GET.get("q", "").replace("\0", "").strip()[:SEARCH_MAX_LENGTH]
