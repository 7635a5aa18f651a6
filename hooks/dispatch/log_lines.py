"""Writes the dispatcher's log lines: ids and sentences, but no bodies, secrets or queries of URLs.

Failed hooks are WARNING, attempts that will be retried INFO, deliveries and claims DEBUG. At most MAX_LINES per batch
are written: with a thousand dead endpoints, the dispatcher must not spend its time on logging.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import structlog

from hooks.dispatch.attempts import AttemptResult, ClaimedHook
from hooks.explain.sentences import explain_response
from hooks.models import State

log = structlog.get_logger(__name__)
level = logging.getLogger(__name__)

MAX_LINES = 20  # per batch
SECRET_PARTS = re.compile(r"\?\S+|(?<=//)[^/\s]*@")  # of a URL: its query, and a login


def log_claimed(hooks: Sequence[ClaimedHook]) -> None:
    if hooks and level.isEnabledFor(logging.DEBUG):
        for hook in hooks[:MAX_LINES]:
            log.debug("Claimed.", **ids(hook))
        log_rest("Claimed", len(hooks), log.debug)


def log_results(results: Sequence[AttemptResult]) -> None:
    """Log recorded results."""
    if level.isEnabledFor(logging.DEBUG):
        delivered = [result for result in results if result.state == State.DELIVERED]
        for result in delivered[:MAX_LINES]:
            log.debug("Delivered.", **ids(result.hook), ms=result.response.total_ms)
        log_rest("Delivered", len(delivered), log.debug)
    for state, event, write in (
        (State.RETRYING, "Attempt failed", log.info),
        (State.FAILED, "Hook failed", log.warning),
    ):
        found = [result for result in results if result.state == state]
        for result in found[:MAX_LINES]:
            write(f"{event}.", **ids(result.hook), **outcome_fields(result))
        log_rest(event, len(found), write)


def log_rest(event: str, number: int, write: Any) -> None:
    if number > MAX_LINES:
        write(f"{event}: {number - MAX_LINES} more in this batch are not logged.")


def ids(hook: ClaimedHook) -> dict[str, Any]:
    """Returns the fields that identify the hook in the delivery log, and its instance and endpoint in the admin."""
    return {
        "hook": hook.webhook_id,
        "instance": hook.instance_id,
        "endpoint": hook.endpoint_id,
        "attempt": f"{hook.attempts_made + 1}/{hook.attempts_allowed}",
    }


def outcome_fields(result: AttemptResult) -> dict[str, Any]:
    """Returns the outcome with the sentence of hooks/explain/sentences.py; URLs in it lose their query and login."""
    response = result.response
    explanation = explain_response(response, url=result.hook.url)
    return {
        "outcome": response.outcome.value,
        "status": response.status,
        "side": explanation.side.value if explanation.side else None,
        "explanation": SECRET_PARTS.sub("…", explanation.sentence),
        "next_attempt_at": result.next_attempt_at.isoformat() if result.next_attempt_at else None,
    }
