"""What the dispatcher writes to the log: ids and plain words. Never a body, a secret, or the query of an address.

An attempt that ended its hook without delivering it is a warning, one that is made again a line at INFO, a delivery
and a claim at DEBUG. Of one batch at most MOST lines are written: a thousand dead endpoints must not turn the log
into the work.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import structlog

from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.explain import explain_outcome
from hooks.models import State

log = structlog.get_logger(__name__)
level = logging.getLogger(__name__)

MOST = 20  # lines of one batch
SECRET_PARTS = re.compile(r"\?\S+|(?<=//)[^/\s]*@")  # of an address: its query, and a login in it


def claimed(hooks: Sequence[ClaimedHook]) -> None:
    if hooks and level.isEnabledFor(logging.DEBUG):
        for hook in hooks[:MOST]:
            log.debug("Claimed.", **ids(hook))
        say_rest("Claimed", len(hooks), log.debug)


def recorded(results: Sequence[AttemptResult]) -> None:
    """After they were written down."""
    if level.isEnabledFor(logging.DEBUG):
        delivered = [result for result in results if result.state == State.DELIVERED]
        for result in delivered[:MOST]:
            log.debug("Delivered.", **ids(result.hook), ms=result.answer.total_ms)
        say_rest("Delivered", len(delivered), log.debug)
    for state, words, say in (
        (State.RETRYING, "An attempt failed", log.info),
        (State.FAILED, "A hook failed for good", log.warning),
    ):
        found = [result for result in results if result.state == state]
        for result in found[:MOST]:
            say(f"{words}.", **ids(result.hook), **outcome_of(result))
        say_rest(words, len(found), say)


def say_rest(words: str, number: int, say: Any) -> None:
    if number > MOST:
        say(f"{words}: {number - MOST} more of the same moment are not written here.")


def ids(hook: ClaimedHook) -> dict[str, Any]:
    """By which the hook is found in the delivery log, its instance in the admin."""
    return {
        "hook": hook.webhook_id,
        "instance": hook.endpoint_id,
        "attempt": f"{hook.attempts_made + 1}/{hook.attempts_allowed}",
    }


def outcome_of(result: AttemptResult) -> dict[str, Any]:
    """The words of hooks/explain.py; addresses in them without query and login."""
    answer = result.answer
    location = answer.header("location")
    found = explain_outcome(
        answer.outcome, url=result.hook.url, status=answer.status, error=answer.error, location=location
    )
    return {
        "outcome": answer.outcome.value,
        "status": answer.status,
        "side": found.side.value if found.side else None,
        "explanation": SECRET_PARTS.sub("…", found.sentence),
        "next_attempt_at": result.next_attempt_at.isoformat() if result.next_attempt_at else None,
    }
