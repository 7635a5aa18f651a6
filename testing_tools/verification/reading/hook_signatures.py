"""Checks the signature of a captured hook (Standard Webhooks) with the instance's own secret."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from standardwebhooks.webhooks import Webhook

# The maximum difference between webhook-timestamp and the arrival, as in the verifiers of standardwebhooks.
TOLERANCE = timedelta(minutes=5)


SIGNATURE_STATES = ("valid", "invalid", "stale", "unchecked", "none")


class SignatureCheck(NamedTuple):
    """The result of a check: `state` is one of SIGNATURE_STATES."""

    state: str
    words: str
    why: str


def check_signature(body: bytes, headers: Mapping[str, str], secret: str, at: datetime) -> SignatureCheck:
    """Returns whether `secret` signed this body. `headers` have lower-case names.

    `secret` contains the secrets that were valid when the capture arrived, separated by a space: one, or two after a
    rotation; empty if none is known. The timestamp is compared with `at`, the time of arrival, so the result does not
    change later.
    """
    message_id, stamp, given = (
        headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not given:
        return SignatureCheck("none", "not signed", "There is no webhook-signature header.")
    if not secret:
        return SignatureCheck(
            "unchecked",
            "signed, not checked",
            "This bin belongs to no instance, so there is no secret to check it with.",
        )
    if not message_id or not stamp:
        return SignatureCheck(
            "invalid", "signature incomplete", "webhook-id or webhook-timestamp is missing."
        )
    try:
        signed_at = datetime.fromtimestamp(int(stamp), UTC)
        expected = [
            Webhook(one).sign(message_id, signed_at, body.decode()).encode() for one in secret.split()
        ]
    except (ValueError, OverflowError, OSError):  # not a number, not a time, not UTF-8
        return SignatureCheck(
            "invalid",
            "signature does not match",
            "webhook-timestamp is not a time in Unix seconds, or the body is not UTF-8.",
        )
    parts = [part.encode() for part in given.split()]
    if not any(hmac.compare_digest(one, part) for one in expected for part in parts):
        return SignatureCheck(
            "invalid",
            "signature does not match",
            "The body was changed in transit, or signed with a secret other than this instance's.",
        )
    if abs(signed_at - at) > TOLERANCE:
        minutes = round(abs(signed_at - at).total_seconds() / 60)
        return SignatureCheck(
            "stale",
            "signature valid but too old" if signed_at < at else "signature valid but from the future",
            f"webhook-timestamp differs from the arrival by {minutes} minutes; receivers allow 5. Replays cause this.",
        )
    return SignatureCheck(
        "valid", "signature valid", "Signed with this instance's secret within 5 minutes of the arrival."
    )
