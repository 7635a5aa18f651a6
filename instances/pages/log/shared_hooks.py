"""A hook as a link shows it to anyone: its attempts without credentials."""

from __future__ import annotations

import copy
import re
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from hooks.models import Attempt
from instances.channels.masking import MASK, masked_header

# Headers of requests and responses that name a URL.
URL_HEADERS = frozenset({"location", "content-location", "refresh", "link"})
SIGNATURES = frozenset({"webhook-signature"})
URL = re.compile(r"https?://[^\s<>\"';,]+")
# A part of a path that looks like a key: 16 or more characters of one word, with a digit or in both cases.
KEY = re.compile(r"[A-Za-z0-9_\-.~%+=]{16,}")


def without_credentials(attempt: Attempt) -> Attempt:
    """Returns a copy of an attempt without its credentials; it is not to be saved.

    Masked are the values of the query and keys in the path of its URLs, headers that carry credentials or cookies, and
    the signature, with which the request could be sent to the endpoint again. The bodies stay as they are.
    """
    shown = copy.copy(attempt)
    shown.url = masked_url(attempt.url)
    shown.request_headers = [[name, shown_value(name, value)] for name, value in attempt.request_headers]
    shown.response_headers = [[name, shown_value(name, value)] for name, value in attempt.response_headers]
    shown.error = URL.sub(lambda found: masked_url(found[0]), attempt.error)
    return shown


def shown_value(name: str, value: str) -> str:
    """Returns the value of a header without credentials."""
    known = name.strip().lower()
    if known in SIGNATURES:
        return MASK
    if known == "location":
        return masked_url(value)
    if known in URL_HEADERS:
        return URL.sub(lambda found: masked_url(found[0]), value)
    return masked_header(name, value, None)


def masked_url(url: str) -> str:
    """Returns a URL, or the relative one of a Location header, without its credentials."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    path = "/".join(MASK if is_key(part) else part for part in parts.path.split("/"))
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = "&".join(f"{quote(name, safe='')}={MASK}" for name in names) or (MASK if parts.query else "")
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, path, query, MASK if parts.fragment else ""))


def is_key(part: str) -> bool:
    """Returns whether a part of a path looks like a key rather than a word."""
    if not KEY.fullmatch(part):
        return False
    has_digit = any(character.isdigit() for character in part)
    return has_digit or (part != part.lower() and part != part.upper())
