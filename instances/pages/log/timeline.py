"""A hook's timeline: its event, its attempts, and the attempts that are planned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from chatapi.ui.states import HOOK_STATES
from hooks.explain.sentences import waits_for_url
from hooks.models import RETRY_DELAYS, UNFINISHED, Hook, State
from instances.pages.log.attempts import ShownAttempt


class TimelineEntry(NamedTuple):
    """One line of the timeline; `at` is None for a planned attempt without a time, `when` then says when it is sent."""

    at: datetime | None
    words: str
    color: str
    icon: str
    is_planned: bool = False
    when: str = "when its turn comes"


def timeline_of(hook: Hook, attempts: Sequence[ShownAttempt]) -> list[TimelineEntry]:
    """What happened, and for a hook that is retried the planned attempts, without their random ±20 %."""
    event = "Simulated" if hook.simulated else "The event happened"
    entries = [TimelineEntry(hook.created_at, event, "azure", "bolt")]
    for shown in attempts:
        words = f"Attempt {shown.attempt.number}: {shown.verdict.word}"
        entries.append(
            TimelineEntry(shown.attempt.started_at, words, shown.verdict.color, shown.verdict.icon)
        )
    if hook.state == State.SKIPPED:
        entries.append(TimelineEntry(hook.finished_at, *HOOK_STATES["skipped"]))
    elif hook.state == State.CANCELLED:
        entries.append(TimelineEntry(hook.finished_at, *HOOK_STATES["cancelled"]))
    elif waits_for_url(hook):
        words = f"Attempt {hook.attempts_made + 1} is next"
        when = "when the instance has a webhook URL"
        entries.append(TimelineEntry(None, words, "orange", "clock", is_planned=True, when=when))
    elif hook.state == State.RETRYING and hook.next_attempt_at:
        entries += planned_attempts(hook, hook.next_attempt_at)
    elif hook.state in UNFINISHED:
        words = f"Attempt {hook.attempts_made + 1} is next"
        entries.append(TimelineEntry(None, words, "azure", "clock", is_planned=True))
    return entries


def planned_attempts(hook: Hook, at: datetime) -> list[TimelineEntry]:
    """The next attempt, which is sent at `at`, and those that follow while every attempt fails."""
    number = hook.attempts_made + 1
    entries = [TimelineEntry(at, f"Attempt {number}, planned", "orange", "clock", is_planned=True)]
    for later in range(number + 1, hook.attempts_allowed + 1):
        at += RETRY_DELAYS[min(later, len(RETRY_DELAYS)) - 1]
        words = f"Attempt {later}, if attempt {later - 1} fails"
        entries.append(TimelineEntry(at, words, "secondary", "clock", is_planned=True))
    return entries
