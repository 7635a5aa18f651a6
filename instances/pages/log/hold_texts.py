"""Sentences about the hooks that held back later ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from chatapi.ui.durations import in_words
from hooks.dispatch.lanes import LATE_SECONDS
from hooks.log.holds import MAX_HELD_BACK, Hold
from hooks.models import Hook

LATE = f"{LATE_SECONDS:.0f} s"
RESPOND = "Respond with 200 to every hook, also to those that your program does not use."
RESPOND_SOON = (
    f"Respond with 200 within {LATE} to every hook, also to those of your own messages; do the work later."
)


class RecentHolds(NamedTuple):
    """The notice of an endpoint: how many hooks held back later ones, the longest wait, and the latest one."""

    hooks: str
    longest: str
    latest: Hook
    words: str
    advice: str


def hold_words(hold: Hold | None) -> str:
    """Returns how many hooks waited for a hook, how long and why; empty for None."""
    if hold is None:
        return ""
    number = f"{hold.hooks}{'+' if hold.hooks >= MAX_HELD_BACK else ''}"
    hooks = f"the next {number} hooks" if hold.hooks > 1 else "the next hook"
    waited = wait_words(hold.waited)
    if not hold.for_retries:
        return f"Attempt 1 had no response within {LATE} and held back {hooks} for {waited}."
    if hold.is_over:
        return f"It held back {hooks} for {waited}, because strictOrder is on."
    return (
        f"It has held back {hooks} for {waited}, because strictOrder is on. Later hooks are sent after it is "
        "delivered, has failed for good, or is skipped or cancelled."
    )


def recent_words(holds: Sequence[Hold]) -> RecentHolds | None:
    """Returns the notice about an endpoint's recent holds, newest first; None without any."""
    if not holds:
        return None
    hooks = f"{len(holds)} hooks" if len(holds) > 1 else "1 hook"
    longest = wait_words(max(hold.waited for hold in holds))
    advice = RESPOND if any(hold.for_retries for hold in holds) else RESPOND_SOON
    return RecentHolds(hooks, longest, holds[0].hook, hold_words(holds[0]), advice)


def wait_words(span: timedelta) -> str:
    """`span` with tenths of a second below a minute: "2 s", "2.4 s", "3 min 20 s"."""
    seconds = round(span.total_seconds(), 1)
    if seconds >= 60:
        return in_words(span)
    return f"{max(seconds, 0.1):.1f} s".replace(".0 s", " s")
