"""Checks the form of webhook URLs. The IP address is checked at connect time, by guard.py."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

from chatapi.ui.host_names import ascii_host

MAX_LENGTH = 2000


class InvalidUrl(ValueError):
    """Hooks cannot be sent to the URL; str() is a sentence for users."""


def check(url: str) -> str:
    """Returns the URL to request: trimmed, its host in ASCII, spaces and other characters escaped.

    Raises InvalidUrl with a sentence that says what is wrong, also for an empty URL.
    """
    url = url.strip()
    if not url:
        raise InvalidUrl("The URL is empty. Enter one like https://example.com/hook.")
    if len(url) > MAX_LENGTH:
        raise InvalidUrl(f"The URL is {len(url)} characters long; at most {MAX_LENGTH} are allowed.")
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise InvalidUrl("The URL contains a line break or another control character.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidUrl(f"The URL is not valid: {error}.") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise InvalidUrl("The URL must start with http:// or https://.")
    if not parts.hostname:
        raise InvalidUrl("The URL has no host name. Enter one like https://example.com/hook.")
    if parts.username is not None or parts.password is not None:
        raise InvalidUrl(
            "The URL contains a user name or password. Put a key into the path or query instead."
        )
    if port == 0:
        raise InvalidUrl("The port must be between 1 and 65535.")
    # such as [v1.x], which urlsplit accepts and returns without its brackets
    if "[" in parts.netloc and ":" not in parts.hostname:
        raise InvalidUrl(f"[{parts.hostname}] is not an IP address.")
    try:
        host = ascii_host(parts.hostname)
    except ValueError as error:
        raise InvalidUrl(str(error)) from None
    netloc = host if port is None else f"{host}:{port}"
    try:
        path = quote(parts.path, safe="/:@!$&'()*+,;=~%-._") or "/"
        query = quote(parts.query, safe="/?:@!$&'()*+,;=~%-._[]{}|")
    except UnicodeError:  # half of a surrogate pair, which JSON can carry
        raise InvalidUrl("The URL contains half of a surrogate pair, which is not a character.") from None
    escaped = urlunsplit((parts.scheme.lower(), netloc, path, query, ""))
    if len(escaped) > MAX_LENGTH:
        raise InvalidUrl(
            f"The URL is {len(escaped)} characters long when escaped; at most {MAX_LENGTH} are allowed."
        )
    return escaped


def host_of(url: str) -> str:
    """Returns the host of a URL, for the log; empty if it has none."""
    return urlsplit(url).hostname or ""
