"""The six flags of the help article and strictOrder, with the consequences of each; settings_table has their sentences.

`name` is the wire contract's (contract.md, section 2, Settings) or REST's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from chatapi.ui.durations import in_largest_unit
from hooks.models import RETRY_DELAYS
from instances import settings_table

KINDS_OF_FLAGS = {name: kind.value for kind, name in settings_table.FLAGS_OF_KINDS.items()}
HOURS_OF_ATTEMPTS = sum(RETRY_DELAYS, timedelta()) // timedelta(hours=1)


class Flag(NamedTuple):
    """One flag; `when_on` and `when_off` are the consequences of each position."""

    name: str
    when_on: str
    when_off: str
    has_warning: bool = False  # switching it on has a cost

    @property
    def kind(self) -> str:
        """The kind of the hooks that are skipped while it is off; empty for others."""
        return KINDS_OF_FLAGS.get(self.name, "")

    @property
    def sentence(self) -> str:
        return settings_table.find(self.name).sentence


FLAGS = (
    Flag(
        "ackNotificationsOn",
        "Up to three more hooks for each message. A message typed on the phone gets none.",
        "While it is off, acks are not sent; the log keeps them as skipped.",
    ),
    Flag(
        "statusNotificationsOn",
        "Your server learns immediately when messages stop because the phone is offline or logged out.",
        "While it is off, status changes are shown only here and in the log.",
    ),
    Flag(
        "chatUpdateOn",
        "Each hook contains the chat before and after the change.",
        "While it is off, chat changes are not sent; the log keeps them as skipped.",
    ),
    Flag(
        "videoUploadOn",
        "Hooks of messages with a video are sent after the upload.",
        "While it is off, the “body” of a video says “upload disabled”.",
    ),
    Flag(
        "guaranteedHooks",
        "A hook waiting for a retry does not block later hooks, so these may arrive first, unless strictOrder is on. "
        "Your server may receive a hook twice.",
        "While it is off, there is exactly one attempt: a hook that your server misses is not retried.",
    ),
    Flag(
        "parallelHooks",
        "Faster, but hooks arrive out of order, and your server must handle 16 requests at once.",
        "While it is off, hooks are sent one at a time, in the order of the events.",
        has_warning=True,
    ),
    Flag(
        "strictOrder",
        "A hook without a response delays all later hooks by up to 10 s. With guaranteedHooks, a failing hook stops "
        f"all later ones for up to {HOURS_OF_ATTEMPTS} h: until it is delivered, has failed for good, or you skip or "
        "cancel it in the log. It can't be combined with parallelHooks.",
        "While it is off, later hooks are sent while one waits for a retry, or has had no response for 2 s.",
        has_warning=True,
    ),
)


def attempt_times() -> list[tuple[int, str, str]]:
    """Returns the attempts of guaranteedHooks: number, delay after the previous one, time since the event, in words."""
    times, total = [], timedelta()
    for number, delay in enumerate(RETRY_DELAYS, start=1):
        total += delay
        times.append((number, in_largest_unit(delay), in_largest_unit(total)))
    return times
