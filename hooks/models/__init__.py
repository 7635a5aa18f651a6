"""Hooks to deliver, their endpoints, and the results.

`hooks` knows an instance only by its key: Endpoint's primary key is the instance's. Everything
that the dispatcher does can be read from these rows, and nothing is kept anywhere else.
"""

from hooks.models.choices import (
    GUARANTEED_ATTEMPTS,
    OPEN_JOBS,
    RETRY_DELAYS,
    UNFINISHED,
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
from hooks.models.endpoints import Endpoint, Lane, Tally, new_secret
from hooks.models.hooks import (
    CLOCKS_APART,
    Attempt,
    Hook,
    HookQuerySet,
    happened_before,
    happened_since,
    least_public_id,
    new_public_id,
)
from hooks.models.jobs import Redelivery, RedeliveryPart, RedeliveryQuerySet, RetentionMark
from hooks.models.runners import DEAD_AFTER, Measure, Runner, is_alive

__all__ = [
    "CLOCKS_APART",
    "DEAD_AFTER",
    "GUARANTEED_ATTEMPTS",
    "OPEN_JOBS",
    "RETRY_DELAYS",
    "UNFINISHED",
    "Attempt",
    "Endpoint",
    "Hook",
    "HookQuerySet",
    "JobState",
    "Kind",
    "Lane",
    "Measure",
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
    "happened_before",
    "happened_since",
    "is_alive",
    "least_public_id",
    "new_public_id",
    "new_secret",
]
