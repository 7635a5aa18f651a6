"""A hook as a link shows it to anyone: its attempts without credentials."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

from hooks.models import Attempt, Hook
from hooks.urls.webhook_urls import MAX_LENGTH
from instances.channels.masking import MASK, build_pattern, masked, masked_header
from instances.pages.log.attempts import ShownAttempt, show

# Headers whose whole value is a URL, and those that contain one.
URL_HEADERS = frozenset({"location", "content-location"})
HEADERS_WITH_URLS = frozenset({"refresh", "link"})
URL = re.compile(r"https?://[^\s<>\"';,]+")
URL_OR_TARGET = re.compile(r"(?<=<)[^<>]+(?=>)|(?i:(?<=url=)).+|" + URL.pattern)
CREDENTIALS = re.compile(r"(?i)secret|token|auth|session|passw|signature|cookie|[cx]srf|api-?key|\bkey\b")
CHALLENGES = frozenset({"www-authenticate", "proxy-authenticate"})
# A part of a path that looks like a key: a word of 7 or more characters with a digit, such as Zapier's, or 16 or more
# characters with a digit or in both cases.
SHORT_KEY, LONG_KEY = 7, 16
SEPARATORS = re.compile(r"[-_.~]")
MIN_ECHOED = 8  # characters of a credential that is looked for in responses: shorter ones are found by chance
# Credentials of an attempt that are looked for, and characters of all of them: 1 s at most. An endpoint can send 16 KiB
# of them in Location headers, which took 17 s.
MAX_ECHOED, MAX_ECHOED_LENGTH = 50, 2_500
EVERYTHING = re.compile(rb"(?s).+")


def show_without_credentials(attempt: Attempt, hook: Hook) -> ShownAttempt:
    """Returns an attempt without its credentials, for log/attempt.html. No query.

    Masked are the query and keys in the path of its URLs, headers that carry credentials or cookies, and the signature,
    with which the request could be sent to the endpoint again; also where the response repeats them. Other contents of
    the bodies stay as they are. If there are too many credentials to look for, the whole response is masked.
    """
    pattern = pattern_of_echoes(attempt)
    safe = copy.copy(attempt)
    safe.url = masked_url(attempt.url)
    safe.request_headers = [[name, shown_value(name, value)] for name, value in attempt.request_headers]
    safe.response_headers = [
        [name, masked(shown_value(name, value), pattern)] for name, value in attempt.response_headers
    ]
    safe.error = masked(URL.sub(lambda found: masked_url(found[0]), attempt.error), pattern)
    shown = show(safe, hook)
    text = masked(shown.response.text, pattern)
    if text == shown.response.text:
        return shown
    # without the original bytes, which contain the credential as well
    return shown._replace(response=shown.response._replace(text=text), response_hex="")


def pattern_of_echoes(attempt: Attempt) -> re.Pattern[bytes] | None:
    """Returns the expression that finds the attempt's credentials in its response; None without one."""
    echoed = {value for value in credentials_of(attempt) if len(value) >= MIN_ECHOED}
    if len(echoed) > MAX_ECHOED or sum(map(len, echoed)) > MAX_ECHOED_LENGTH:
        return EVERYTHING
    return build_pattern(sorted(echoed, key=len, reverse=True))


def credentials_of(attempt: Attempt) -> Iterator[str]:
    """Returns the credentials that a response may repeat: of its URL, of a redirect's, and the signatures."""
    yield from credentials_in(attempt.url)
    for name, value in attempt.request_headers:
        if is_credential(name):
            yield from (part.partition(",")[2] or part for part in value.split())
    for name, value in attempt.response_headers:
        if name.strip().lower() in URL_HEADERS and len(value) <= MAX_LENGTH:
            yield from credentials_in(value)


def credentials_in(url: str) -> Iterator[str]:
    """Returns the parts of a URL that masked_url() masks, decoded."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield from (unquote(part) for part in parts.path.split("/") if is_key(part))
    for argument in parts.query.split("&"):
        name, _, value = argument.partition("=")
        yield unquote_plus(value.strip("=") or name)
    yield unquote(parts.fragment)


def shown_value(name: str, value: str) -> str:
    """Returns the value of a header without credentials."""
    known = name.strip().lower()
    if known in URL_HEADERS:
        return masked_url(value)
    if known in HEADERS_WITH_URLS:
        return URL_OR_TARGET.sub(lambda found: masked_url(found[0]), value)
    shown = masked_header(name, value, None)
    return MASK if shown == value and is_credential(name) else shown


def is_credential(name: str) -> bool:
    """Returns whether the name of a header says that its value is a credential."""
    return name.strip().lower() not in CHALLENGES and bool(CREDENTIALS.search(name))


def masked_url(url: str) -> str:
    """Returns a URL, or the relative one of a Location header, without its credentials."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    path = "/".join(MASK if is_key(part) else part for part in parts.path.split("/"))
    query = "&".join(map(masked_argument, parts.query.split("&"))) if parts.query else ""
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, path, query, MASK if parts.fragment else ""))


def masked_argument(argument: str) -> str:
    """Returns `name=***`; without a value, the name may be the credential itself."""
    name, equals, value = argument.partition("=")
    is_name = bool(equals) and (bool(value.strip("=")) or not is_key(name))
    return f"{name}={MASK}" if is_name else MASK


def is_key(part: str) -> bool:
    """Returns whether a part of a path looks like a key rather than like words."""
    part = unquote(part)
    if len(part) >= LONG_KEY and (has_digit(part) or (part != part.lower() and part != part.upper())):
        return True
    return any(len(word) >= SHORT_KEY and has_digit(word) for word in SEPARATORS.split(part))


def has_digit(characters: Iterable[str]) -> bool:
    return any(character.isdigit() for character in characters)
