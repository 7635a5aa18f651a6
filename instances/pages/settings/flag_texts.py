"""The six flags of the help article, in words: what each does, and what follows from it.

`name` is the wire contract's (contract.md, section 2, Settings); `kind` is the kind of hook that is
skipped while the flag is off.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from chatapi.ui.durations import in_largest_unit
from hooks.models import GUARANTEED_ATTEMPTS, RETRY_DELAYS, Kind


class Flag(NamedTuple):
    name: str
    sentence: str
    on: str
    off: str
    kind: str = ""
    warns: bool = False  # switching it on costs something


FLAGS = (
    Flag(
        "ackNotificationsOn",
        "A hook when a message you sent is sent, delivered or viewed.",
        "Up to three further hooks for each message. A message typed on the phone never gets one.",
        "While it is off, acks are not sent; the log keeps them as skipped.",
        Kind.ACK,
    ),
    Flag(
        "statusNotificationsOn",
        "A hook when the instance's status changes: linked, logged out, phone offline.",
        "You learn at once when messages stop coming because the phone is gone.",
        "While it is off, you see status changes here and in the log alone.",
        Kind.STATUS,
    ),
    Flag(
        "chatUpdateOn",
        "A hook when a chat changes: its name, its picture, its members.",
        "Each carries the chat as it was and as it is.",
        "While it is off, chat changes are not sent; the log keeps them as skipped.",
        Kind.CHAT,
    ),
    Flag(
        "videoUploadOn",
        "Incoming videos are uploaded, and “body” contains their URL.",
        "Hooks of messages with a video come later: after the upload.",
        "While it is off, the “body” of a video says “upload disabled”.",
    ),
    Flag(
        "guaranteedHooks",
        f"Try again, up to {GUARANTEED_ATTEMPTS} times, until your server responds with 200.",
        "A hook that failed steps aside, so later ones may overtake it; your server may get one twice.",
        "While it is off, there is exactly one attempt: what your server misses is not sent again by itself.",
    ),
    Flag(
        "parallelHooks",
        "Up to 16 hooks at a time instead of one after another.",
        "Faster, but the order is lost and the load on your server grows: be ready for 16 requests at once.",
        "While it is off, they come one at a time, in the order of the events.",
        warns=True,
    ),
)


def attempt_times() -> list[tuple[int, str, str]]:
    """The attempts of guaranteedHooks: number, delay after the one before, time since the event; both in words."""
    times, total = [], timedelta()
    for number, delay in enumerate(RETRY_DELAYS, start=1):
        total += delay
        times.append((number, in_largest_unit(delay), in_largest_unit(total)))
    return times
