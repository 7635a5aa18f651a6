"""Signatures of other senders than this product, checked with a secret that the reader gives and nobody keeps.

The rules are those of messengers.md, section 4e. Which scheme a request follows is told by its headers.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

from testing_tools.verification.reading.recognition import Signature


class Signed(NamedTuple):
    """A request as the rules need it: `headers` by lower-case names, `url` as the sender knew it, `form` its fields."""

    body: bytes
    headers: Mapping[str, str]
    url: str = ""
    form: tuple[tuple[str, str], ...] = ()


class Scheme(NamedTuple):
    """`header`: the one it is known by. `fits(secret, request)` raises ValueError where the secret can be none."""

    name: str
    header: str
    rule: str
    fits: Callable[[str, Signed], bool]


def same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())


def digest(secret: str, content: bytes, algorithm: str) -> bytes:
    return hmac.digest(secret.encode(), content, algorithm)


def hub(secret: str, request: Signed) -> bool:
    given = request.headers["x-hub-signature-256"].strip().lower()
    return same("sha256=" + digest(secret, request.body, "sha256").hex(), given)


def standard(prefix: str) -> Callable[[str, Signed], bool]:
    def fits(secret: str, request: Signed) -> bool:
        message, stamp = (request.headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp"))
        try:
            encoded = secret.startswith("whsec_")
            key = base64.b64decode(secret[6:], validate=True) if encoded else secret.encode()
        except binascii.Error:
            raise ValueError("What follows whsec_ is not base64.") from None
        content = f"{message}.{stamp}.".encode() + request.body
        expected = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return any(same(expected, one) for one in request.headers[f"{prefix}-signature"].split())

    return fits


def waha(secret: str, request: Signed) -> bool:
    given = request.headers["x-webhook-hmac"].strip().lower()
    return same(digest(secret, request.body, "sha512").hex(), given)


def twilio(secret: str, request: Signed) -> bool:
    content = request.url + "".join(f"{name}{value}" for name, value in sorted(request.form))
    expected = base64.b64encode(digest(secret, content.encode(), "sha1")).decode()
    return same(expected, request.headers["x-twilio-signature"].strip())


def outpost(secret: str, request: Signed) -> bool:
    expected = digest(secret, request.body, "sha256").hex()
    given = request.headers["x-outpost-signature"].replace("v0=", "").split(",")
    return any(same(expected, one.strip()) for one in given)


def equal(header: str) -> Callable[[str, Signed], bool]:
    def fits(secret: str, request: Signed) -> bool:
        given = request.headers[header].strip()
        return same(secret, given) or same(secret, given.removeprefix("Bearer ").strip())

    return fits


# In this order a request is asked; Authorization, which much else may carry, last.
SCHEMES = (
    Scheme("Standard Webhooks", "webhook-signature", "HMAC-SHA256 of id, time and body", standard("webhook")),
    Scheme("Svix", "svix-signature", "HMAC-SHA256 of id, time and body", standard("svix")),
    Scheme("Meta or GitHub", "x-hub-signature-256", "HMAC-SHA256 of the body, in hex", hub),
    Scheme("WAHA", "x-webhook-hmac", "HMAC-SHA512 of the body, in hex", waha),
    Scheme("Twilio", "x-twilio-signature", "HMAC-SHA1 of the address and the form's fields", twilio),
    Scheme("Outpost", "x-outpost-signature", "HMAC-SHA256 of the body, in hex", outpost),
    Scheme(
        "Telegram", "x-telegram-bot-api-secret-token", "the secret itself", equal("x-telegram-bot-api-secret-token")
    ),
    Scheme("green-api, or any token", "authorization", "the secret itself", equal("authorization")),
)  # fmt: skip


def scheme_of(headers: Mapping[str, str]) -> Scheme | None:
    """Which scheme it looks like, None for none that is known."""
    return next((scheme for scheme in SCHEMES if headers.get(scheme.header)), None)


def check(scheme: Scheme, secret: str, request: Signed) -> Signature:
    """Does the signature fit this secret? It says nothing about the time: how long one lasts is its sender's rule."""
    try:
        fits = scheme.fits(secret.strip(), request)
    except ValueError as error:
        return Signature("invalid", "the secret can't be read", str(error))
    if fits:
        return Signature("valid", "signature valid", f"By the rule of {scheme.name}: {scheme.rule}.")
    return Signature(
        "invalid",
        "signature does not match",
        f"By the rule of {scheme.name} ({scheme.rule}) it was made with another secret, or the body was changed"
        + (", or the sender knew this bin by another address." if scheme.name == "Twilio" else "."),
    )
