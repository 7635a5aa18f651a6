"""Callbacks: one update each, with the secret that setWebhook was given in a header. The body is not signed."""

from __future__ import annotations

import hmac
import json
from typing import Any

from instances.channels.receiving import CallbackRequest, Reply, Store
from instances.channels.requests import Link

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"


def check(link: Link, request: CallbackRequest) -> Store | Reply:
    """Returns Store with the update's id as its key: Telegram repeats an update until it gets a 2xx."""
    secret, given = link.credentials.get("webhook_secret", ""), request.header(SECRET_HEADER)
    if request.method != "POST":
        return Reply(405, "Telegram sends updates by POST.")
    if not given:
        return Reply(401, "The secret token is missing.")
    if not secret or not hmac.compare_digest(given.encode(errors="replace"), secret.encode()):
        return Reply(403, "The secret token is wrong.")
    update = update_in(request)
    if update is None:
        return Reply(400, "The body is not an update.")
    # Updates of another bot, to which the instance was linked before, may have the same ids.
    return Store(f"{link.external_id}:{update['update_id']}")


def update_in(request: CallbackRequest) -> dict[str, Any] | None:
    """Returns the update; None if the body is none."""
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and type(found.get("update_id")) is int else None
