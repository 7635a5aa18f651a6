"""What a webhook address may look like. Where it leads is checked at connect time, by guard.py."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

from hooks.host_names import ascii_host

MAX_LENGTH = 2000


class BadAddress(ValueError):
    """Not an address that hooks can be sent to; str() is a sentence for people."""


def check(url: str) -> str:
    """The address as it will be requested: trimmed, its host in ASCII, spaces and the like escaped.

    Raises BadAddress with a sentence that says what is wrong. An empty URL is an error too: a caller that
    means "none" does not ask.
    """
    url = url.strip()
    if not url:
        raise BadAddress("The address is empty. It takes something like https://example.com/hook.")
    if len(url) > MAX_LENGTH:
        raise BadAddress(f"The address is {len(url)} characters long; at most {MAX_LENGTH} are allowed.")
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise BadAddress("The address holds a line break or another control character.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"The address can't be read: {error}.") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise BadAddress("The address must begin with http:// or https://.")
    if not parts.hostname:
        raise BadAddress("The address has no host name: it takes something like https://example.com/hook.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress(
            "The address holds a user name or password; put a key into its path or query instead."
        )
    if port == 0:
        raise BadAddress("The port must be between 1 and 65535.")
    if (
        "[" in parts.netloc and ":" not in parts.hostname
    ):  # [v1.x], which urlsplit lets through without its brackets
        raise BadAddress(f"[{parts.hostname}] is not an IP address.")
    try:
        host = ascii_host(parts.hostname)
    except ValueError as error:
        raise BadAddress(str(error)) from None
    netloc = host if port is None else f"{host}:{port}"
    try:
        path = quote(parts.path, safe="/:@!$&'()*+,;=~%-._") or "/"
        query = quote(parts.query, safe="/?:@!$&'()*+,;=~%-._[]{}|")
    except UnicodeError:  # half of a surrogate pair, which JSON can carry
        raise BadAddress("The address holds a character that does not exist.") from None
    made = urlunsplit((parts.scheme.lower(), netloc, path, query, ""))
    if len(made) > MAX_LENGTH:
        raise BadAddress(
            f"The address is {len(made)} characters long once it is escaped; at most {MAX_LENGTH} are allowed."
        )
    return made


def host_of(url: str) -> str:
    """The host an address names, for the log; empty when there is none."""
    return urlsplit(url).hostname or ""
