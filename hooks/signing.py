"""Builds the headers of a hook, signed according to Standard Webhooks (standardwebhooks.com)."""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import b2a_base64
from datetime import datetime
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=2000)
def signing_key(secret: str) -> bytes:
    """Returns the bytes that `whsec_…` encodes."""
    return b64decode(secret.removeprefix("whsec_"))


def signature(secret: str, content: bytes) -> str:
    """Returns the `v1,…` signature of `content`.

    The standardwebhooks package takes 12 µs instead of 3 and is not used; a test verifies signatures with it.
    """
    return "v1," + b2a_base64(hmac.digest(signing_key(secret), content, "sha256"), newline=False).decode()


def headers(
    *,
    webhook_id: str,
    body: bytes,
    secret: str,
    at: datetime,
    number: int,
    allowed: int,
    simulated: bool = False,
) -> dict[str, str]:
    """Returns the request headers of attempt `number` of `allowed` at the time `at` (contract.md §3).

    `secret` may be several secrets separated by spaces: the header has a signature by each, and a receiver needs one.
    Raises UnicodeDecodeError if the body is not UTF-8: receivers verify the decoded text.
    """
    body.decode()
    stamp = str(int(at.timestamp()))
    content = f"{webhook_id}.{stamp}.".encode() + body
    signed = {
        "Content-Type": "application/json",
        "User-Agent": f"ChatAPI/{settings.VERSION}",
        "webhook-id": webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join([signature(one, content) for one in secret.split()]),
        "webhook-attempt": f"{number}/{allowed}",
    }
    if simulated:
        signed["webhook-simulated"] = "1"
    return signed
