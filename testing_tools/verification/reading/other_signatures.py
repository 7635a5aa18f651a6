"""Checks signatures of other senders than this product, with a secret that the user enters and that is not stored.

The rules are in messengers.md §4e. The headers of a request show which scheme it uses.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

from testing_tools.verification.reading.hook_signatures import SignatureCheck


class SignedRequest(NamedTuple):
    """The input of the schemes: `headers` with lower-case names, the `url` that the sender used, `form` fields."""

    body: bytes
    headers: Mapping[str, str]
    url: str = ""
    form: tuple[tuple[str, str], ...] = ()


class Scheme(NamedTuple):
    """`header` identifies the scheme; `matches(secret, request)` raises ValueError if the secret is malformed."""

    name: str
    header: str
    rule: str
    matches: Callable[[str, SignedRequest], bool]


def equal_text(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())


def digest(secret: str, content: bytes, algorithm: str) -> bytes:
    return hmac.digest(secret.encode(), content, algorithm)


def check_meta(secret: str, request: SignedRequest) -> bool:
    given = request.headers["x-hub-signature-256"].strip().lower()
    return equal_text("sha256=" + digest(secret, request.body, "sha256").hex(), given)


def check_standard(prefix: str) -> Callable[[str, SignedRequest], bool]:
    def matches(secret: str, request: SignedRequest) -> bool:
        message, stamp = (request.headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp"))
        try:
            encoded = secret.startswith("whsec_")
            key = base64.b64decode(secret[6:], validate=True) if encoded else secret.encode()
        except binascii.Error:
            raise ValueError("The part after whsec_ is not Base64.") from None
        content = f"{message}.{stamp}.".encode() + request.body
        expected = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return any(equal_text(expected, one) for one in request.headers[f"{prefix}-signature"].split())

    return matches


def check_waha(secret: str, request: SignedRequest) -> bool:
    given = request.headers["x-webhook-hmac"].strip().lower()
    return equal_text(digest(secret, request.body, "sha512").hex(), given)


def check_twilio(secret: str, request: SignedRequest) -> bool:
    content = request.url + "".join(f"{name}{value}" for name, value in sorted(request.form))
    expected = base64.b64encode(digest(secret, content.encode(), "sha1")).decode()
    return equal_text(expected, request.headers["x-twilio-signature"].strip())


def check_outpost(secret: str, request: SignedRequest) -> bool:
    expected = digest(secret, request.body, "sha256").hex()
    given = request.headers["x-outpost-signature"].replace("v0=", "").split(",")
    return any(equal_text(expected, one.strip()) for one in given)


def header_equals(header: str) -> Callable[[str, SignedRequest], bool]:
    def matches(secret: str, request: SignedRequest) -> bool:
        given = request.headers[header].strip()
        return equal_text(secret, given) or equal_text(secret, given.removeprefix("Bearer ").strip())

    return matches


# Tried in this order. Authorization is last, because it has many other uses.
SCHEMES = (
    Scheme("Standard Webhooks", "webhook-signature", "HMAC-SHA256 of id, time and body", check_standard("webhook")),
    Scheme("Svix", "svix-signature", "HMAC-SHA256 of id, time and body", check_standard("svix")),
    Scheme("Meta or GitHub", "x-hub-signature-256", "HMAC-SHA256 of the body, in hex", check_meta),
    Scheme("WAHA", "x-webhook-hmac", "HMAC-SHA512 of the body, in hex", check_waha),
    Scheme("Twilio", "x-twilio-signature", "HMAC-SHA1 of the URL and the form fields", check_twilio),
    Scheme("Outpost", "x-outpost-signature", "HMAC-SHA256 of the body, in hex", check_outpost),
    Scheme(
        "Telegram", "x-telegram-bot-api-secret-token", "the secret itself",
        header_equals("x-telegram-bot-api-secret-token"),
    ),
    Scheme("green-api, or any token", "authorization", "the secret itself", header_equals("authorization")),
)  # fmt: skip


def scheme_of(headers: Mapping[str, str]) -> Scheme | None:
    """Returns the scheme of a request by its headers; None if no scheme matches."""
    return next((scheme for scheme in SCHEMES if headers.get(scheme.header)), None)


def check(scheme: Scheme, secret: str, request: SignedRequest) -> SignatureCheck:
    """Returns whether this secret created the signature. The age is not checked: each sender has its own limit."""
    try:
        matches = scheme.matches(secret.strip(), request)
    except ValueError as error:
        return SignatureCheck("invalid", "the secret is malformed", str(error))
    if matches:
        return SignatureCheck("valid", "signature valid", f"Checked as {scheme.name}: {scheme.rule}.")
    return SignatureCheck(
        "invalid",
        "signature does not match",
        f"Checked as {scheme.name} ({scheme.rule}): it was created with another secret, or the body was changed"
        + (", or the sender used another URL for this bin." if scheme.name == "Twilio" else "."),
    )
