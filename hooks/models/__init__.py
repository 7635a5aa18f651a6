"""Hooks, their endpoints, and their attempts.

`hooks` knows an instance only by its key, which is the primary key of its first endpoint. The dispatcher has no other
state than these rows.
"""

from hooks.models.choices import (
    GUARANTEED_ATTEMPTS,
    OPEN_JOBS,
    RETRY_DELAYS,
    UNFINISHED,
    WAITING,
    ChatKind,
    Direction,
    JobState,
    Kind,
    Outcome,
    PauseReason,
    Phase,
    ResponseClass,
    Role,
    Side,
    SkipReason,
    State,
    Trigger,
    Verdict,
)
from hooks.models.endpoints import MAX_CHATS, MAX_ENDPOINTS, OTHER_IDS, Endpoint, Lane, Tally, new_secret
from hooks.models.hooks import (
    CLOCK_TOLERANCE,
    Attempt,
    Hook,
    HookQuerySet,
    created_before,
    created_since,
    new_public_id,
    smallest_public_id,
)
from hooks.models.jobs import Redelivery, RedeliveryPart, RedeliveryQuerySet, RetentionMark
from hooks.models.runners import DEAD_AFTER, Measure, Runner, is_alive
from hooks.models.statistics import CountingStart, MinuteCount

__all__ = [
    "CLOCK_TOLERANCE",
    "DEAD_AFTER",
    "GUARANTEED_ATTEMPTS",
    "MAX_CHATS",
    "MAX_ENDPOINTS",
    "OPEN_JOBS",
    "OTHER_IDS",
    "RETRY_DELAYS",
    "UNFINISHED",
    "WAITING",
    "Attempt",
    "ChatKind",
    "CountingStart",
    "Direction",
    "Endpoint",
    "Hook",
    "HookQuerySet",
    "JobState",
    "Kind",
    "Lane",
    "Measure",
    "MinuteCount",
    "Outcome",
    "PauseReason",
    "Phase",
    "Redelivery",
    "RedeliveryPart",
    "RedeliveryQuerySet",
    "ResponseClass",
    "RetentionMark",
    "Role",
    "Runner",
    "Side",
    "SkipReason",
    "State",
    "Tally",
    "Trigger",
    "Verdict",
    "created_before",
    "created_since",
    "is_alive",
    "new_public_id",
    "new_secret",
    "smallest_public_id",
]
