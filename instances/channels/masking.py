"""Masks the credentials of a link in requests, responses and reasons, before they are stored (SendingTry).

Each value of Link.credentials is replaced wherever it is: in the URL, in headers, bodies and texts; also
percent-encoded, escaped in JSON or HTML, and inside base64, as in Basic authentication. Headers whose purpose is to
carry a secret are masked whatever they contain. Values of fewer than MIN_LENGTH characters are masked only there: they
would be found everywhere.

A request of 500 bytes with its response takes 15 µs, and the first of a link 270 µs more.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from hooks.http import Response
from instances.channels.requests import Link, Request

MASK = "***"
MIN_LENGTH = 4  # characters
MIN_BASE64 = 6  # characters of base64 that do not depend on what surrounds the value
SECRET_HEADERS = frozenset({
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token",
    "x-access-token",
})  # fmt: skip
# Header → scheme that is kept: "Bearer ***" tells more than "***".
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]*(?= \S)")


def mask_request(request: Request, link: Link) -> Request:
    """Returns the request as it may be stored."""
    pattern = pattern_of(link)
    return replace(
        request,
        url=masked(request.url, pattern),
        headers={
            masked(name, pattern): masked_header(name, value, pattern)
            for name, value in request.headers.items()
        },
        body=request.body if pattern is None else pattern.sub(MASK.encode(), request.body),
    )


def mask_response(response: Response, link: Link) -> Response:
    """Returns the response as it may be stored."""
    pattern = pattern_of(link)
    return replace(
        response,
        headers=[
            [masked(name, pattern), masked_header(name, value, pattern)] for name, value in response.headers
        ],
        body=masked_body(response, link, pattern),
        error=masked(response.error, pattern),
    )


def masked_body(response: Response, link: Link, pattern: re.Pattern[bytes] | None) -> bytes:
    body = response.body if pattern is None else pattern.sub(MASK.encode(), response.body)
    if response.size <= len(response.body):
        return body
    return without_cut_secret(body.decode("latin-1"), link).encode("latin-1")


def mask_header(name: str, value: str, link: Link) -> str:
    """Returns the value of a header as it may be stored."""
    return masked_header(name, value, pattern_of(link))


def mask_text(text: str, link: Link) -> str:
    """Returns a text as it may be stored, such as a reason in the messenger's words, which may have been cut."""
    return without_cut_secret(masked(text, pattern_of(link)), link)


def without_cut_secret(text: str, link: Link) -> str:
    """Masks the beginning of a credential at the end of a text that was cut there. Only as it is, not encoded."""
    for secret in secrets_of(link.credentials):
        for length in range(min(len(secret), len(text)), MIN_LENGTH - 1, -1):
            if text.endswith(secret[:length]):
                return text[:-length] + MASK
    return text


def masked_header(name: str, value: str, pattern: re.Pattern[bytes] | None) -> str:
    if name.strip().lower() in SECRET_HEADERS:
        scheme = SCHEME.match(value)
        return f"{scheme[0]} {MASK}" if scheme else MASK
    return masked(value, pattern)


def masked(text: str, pattern: re.Pattern[bytes] | None) -> str:
    """Returns the text without what the pattern finds, whether its other letters are Unicode or bytes (Latin-1)."""
    if pattern is None or not text:
        return text
    found = pattern.sub(MASK.encode(), text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
    if not found.isascii() and max(found) <= "\xff":
        found = pattern.sub(MASK.encode(), found.encode("latin-1")).decode("latin-1")
    return found


def pattern_of(link: Link) -> re.Pattern[bytes] | None:
    """Returns the expression that finds the credentials; None if there are none to find."""
    return compile_pattern(secrets_of(link.credentials))


def secrets_of(credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the values to find, longest first: one may contain another."""
    return tuple(
        sorted({value for value in credentials.values() if len(value) >= MIN_LENGTH}, key=len, reverse=True)
    )


@lru_cache(maxsize=4096)
def compile_pattern(secrets: tuple[str, ...]) -> re.Pattern[bytes] | None:
    return build_pattern(secrets)


def build_pattern(secrets: Iterable[str]) -> re.Pattern[bytes] | None:
    """Returns the expression that finds these values, longest first; None without one. Not cached: 1 ms for three."""
    forms = [form for secret in secrets for form in forms_of(secret)]
    return re.compile(b"|".join(forms)) if forms else None


def forms_of(secret: str) -> list[bytes]:
    """Returns the expressions of one value: as text, and at each of three offsets in base64."""
    return [
        b"".join(map(forms_of_character, secret)),
        *filter(None, (base64_form(secret.encode(), offset) for offset in range(3))),
    ]


def forms_of_character(character: str) -> bytes:
    """Returns an expression of a character: itself, or how URLs, JSON and HTML escape it."""
    encoded = character.encode("utf-8", "surrogatepass")
    if character.isascii() and character.isalnum():
        return encoded
    percent = b"".join(b"%%(?:25)*%02X" % byte for byte in encoded)  # encoded once, or several times
    utf16 = character.encode("utf-16-be", "surrogatepass")
    units = [utf16[start : start + 2].hex() for start in range(0, len(utf16), 2)]
    escaped = "".join(rf"\\u{unit}" for unit in units).encode()
    forms = [b"(?i:%s)" % percent, b"(?i:%s)" % escaped]
    forms.append(re.escape(json.dumps(character)[1:-1].encode()))
    if character == "/":
        forms.append(rb"\\/")
    if character == " ":
        forms.append(rb"\+")
    if (in_html := html.escape(character)) != character:
        forms.append(re.escape(in_html.encode()))
    forms.append(re.escape(encoded))  # last: an escaped form may begin with it
    return b"(?:" + b"|".join(forms) + b")"


def base64_form(secret: bytes, offset: int) -> bytes:
    """Returns the expression of the value in base64 after `offset` bytes (modulo 3); empty if it is too short.

    Characters at both ends that also depend on the bytes beside the value stay: at most 4 bits of its first and last.
    """
    length = len(secret) + offset
    characters = b64encode(bytes(offset) + secret).decode()[(0, 2, 3)[offset] : length * 8 // 6]
    if len(characters) < MIN_BASE64:
        return b""
    plus, slash = r"(?:[+-]|%2[Bb])", r"(?:[/_]|\\/|%2[Ff])"
    return "".join(
        plus if character == "+" else slash if character == "/" else character for character in characters
    ).encode()
