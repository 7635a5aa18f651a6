"""WAHA's sessions: their settings, and what their states are in this product's status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from instances.channels.contents import time_of
from instances.channels.requests import Link
from instances.channels.waha import api
from instances.models import AccountStatus, LoadingReason, Substatus
from instances.received_events import AccountFound, CodeShown, ReceivedEvent, SessionEnded, StatusReported

# The events that a session is asked to send. `message.any` has what `message` has, and the account's own messages.
EVENTS = (
    "session.status",
    "message.any",
    "message.reaction",
    "message.edited",
    "message.ack",
    "message.ack.group",
    "call.received",
    "group.v2.join",
    "group.v2.leave",
    "group.v2.participants",
    "group.v2.update",
)
LOGGED_OUT = (
    "WhatsApp has logged the phone out, or the device was removed under Linked devices. Scan a new code."
)
MIN_KEY = 32  # characters of a key that is not replaced
WORKING, SCAN, FAILED = "WORKING", "SCAN_QR_CODE", "FAILED"
STATES: Mapping[str, StatusReported] = {
    "STOPPED": StatusReported(AccountStatus.INIT),
    "STARTING": StatusReported(AccountStatus.LOADING, Substatus.NORMAL, LoadingReason.CONNECTING),
    "PASSKEY_REQUIRED": StatusReported(AccountStatus.LOADING, Substatus.PAIRING),
    "PASSKEY_CONFIRMATION_REQUIRED": StatusReported(AccountStatus.LOADING, Substatus.PAIRING),
    WORKING: StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL),
}
# WAHA waits 1, 2, 4 … s between the tries of an event: nine hours, of which this site may be away.
RETRIES = {"policy": "exponential", "delaySeconds": 1, "attempts": 15}


def config(link: Link, callback_url: str) -> dict[str, Any]:
    """Returns the whole configuration of a session: what is left out is removed from it."""
    webhook = {
        "url": callback_url,
        "events": list(EVENTS),
        "hmac": {"key": link.credentials[api.HMAC_KEY]},
        "retries": RETRIES,
    }
    return {
        "metadata": {"chatapi.instance": str(link.number)},
        # "Online" would keep the phone itself from showing notifications. The store is needed to read the history.
        "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
        "webhooks": [webhook],
        **({"proxy": {"server": f"socks5://{link.proxy}"}} if link.proxy else {}),
    }


def hmac_key_in(config: object) -> str:
    """Returns the key that signs the session's events now, so that it need not be restarted; empty if there is none."""
    webhooks = config.get("webhooks") if isinstance(config, Mapping) else None
    webhook = webhooks[0] if isinstance(webhooks, list) and webhooks else None
    signing = webhook.get("hmac") if isinstance(webhook, Mapping) else None
    key = signing.get("key") if isinstance(signing, Mapping) else None
    return key if isinstance(key, str) and len(key) >= MIN_KEY else ""


def fits(found: object, wanted: Mapping[str, Any]) -> bool:
    """Returns whether a session has this configuration. WAHA may add defaults to what it was given."""
    return (
        isinstance(found, Mapping)
        and contains(found, wanted)
        and bool(found.get("proxy")) == ("proxy" in wanted)
    )


def contains(found: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(contains(found.get(key), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(contains(*pair) for pair in zip(found, wanted, strict=True))
        )
    return found == wanted


def status_of(state: object, *, is_known: bool) -> StatusReported | None:
    """Returns the status for a session's state; None for an unknown one.

    A session that has failed expired without being scanned, or its phone does not respond: `is_known` says whether
    WAHA knows the account.
    """
    if state == SCAN:
        return StatusReported(AccountStatus.GOT_QR_CODE)
    if state == FAILED and is_known:
        return StatusReported(AccountStatus.LOADING, Substatus.TIMEOUT)
    if state == FAILED:
        return StatusReported(AccountStatus.GOT_QR_CODE, Substatus.EXPIRED)
    return STATES.get(str(state))


def read_event(event: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[ReceivedEvent]:
    """Returns what a `session.status` reports, with its time: WAHA repeats later what was not taken at first."""
    time = time_of(event.get("timestamp"))
    for found in read_state(payload, event.get("me")):
        yield replace(found, time=time)


def read_state(
    payload: Mapping[str, Any], me: object
) -> Iterator[SessionEnded | CodeShown | AccountFound | StatusReported]:
    """Returns what the status of a session means. Each SCAN_QR_CODE is a new code."""
    state = payload.get("status")
    if (state == SCAN or (state == FAILED and not me)) and was_working(payload.get("statuses")):
        yield SessionEnded(LOGGED_OUT)
    if state == SCAN:
        yield CodeShown()
        return
    if state == WORKING:
        yield from account_in(me)
    if status := status_of(state, is_known=bool(me)):
        yield status


def was_working(statuses: object) -> bool:
    """Returns whether a session was working before its present status; WAHA reports the last three."""
    before = statuses[:-1] if isinstance(statuses, list) else []
    return any(isinstance(one, Mapping) and one.get("status") == WORKING for one in before)


def account_in(me: object) -> Iterator[AccountFound]:
    """Returns the account of a session, if WAHA knows it."""
    own = api.chat_id_of(me.get("id")) if isinstance(me, Mapping) else ""
    if own:
        yield AccountFound(own, name_of(me))


def name_of(me: object) -> str:
    """Returns what people call an account: its name and number."""
    if not isinstance(me, Mapping):
        return ""
    name, number = me.get("pushName"), api.chat_id_of(me.get("id")).partition("@")[0]
    return f"{name} (+{number})" if isinstance(name, str) and name else f"+{number}"
