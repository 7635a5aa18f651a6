"""The WAHA servers of this site (WAHA_SERVERS), whose keys people do not see."""

from __future__ import annotations

from django.conf import settings


def all_servers() -> dict[str, str]:
    """Returns the API keys by URL, in the order of the setting."""
    return {without_slash(url): key for url, key in settings.WAHA_SERVERS.items()}


def key_of(url: str) -> str:
    """Returns the key of a server of this site; empty for any other."""
    return all_servers().get(url, "")


def without_slash(url: str) -> str:
    return url.strip().rstrip("/")
