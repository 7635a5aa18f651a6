"""The headers of a hook, signed the Standard Webhooks way (standardwebhooks.com)."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from django.conf import settings
from standardwebhooks import Webhook


@lru_cache(maxsize=10_000)
def signer(secret: str) -> Webhook:
    return Webhook(secret)


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
    """The request headers of attempt `number` of `allowed`, made at `at`; contract.md, section 3."""
    made = {
        "Content-Type": "application/json",
        "User-Agent": f"ChatAPI/{settings.VERSION}",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer(secret).sign(webhook_id, at, body.decode()),
        "webhook-attempt": f"{number}/{allowed}",
    }
    if simulated:
        made["webhook-simulated"] = "1"
    return made
