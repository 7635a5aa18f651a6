"""Determines the verdict on an attempt and the phase in which it failed, for pages, REST and the admin."""

from __future__ import annotations

from typing import Protocol

from hooks.explain import sentences
from hooks.explain.failure_causes import REFUSED_LOCALLY
from hooks.http import NOT_HTTP_BUT_HTTP2, NOT_HTTP_BUT_TLS
from hooks.models import Attempt, Outcome, Phase, Verdict

MAY_BE_PROCESSED = (
    "Your server received the request and may have processed it: expect the same webhook-id again."
)
# Error text of a timeout in hooks.http → phase. Others are timeouts of the operating system while connecting.
TIMEOUT_PHASES = {
    "name lookup": Phase.DNS,
    "connect": Phase.CONNECT,
    "TLS": Phase.TLS,
    "response": Phase.WAITING,
    "response body": Phase.DOWNLOAD,
    "end of connection": Phase.DOWNLOAD,
}


class Result(Protocol):
    """The result of an attempt, stored (hooks.models.Attempt) or not yet (hooks.http.Response)."""

    @property
    def outcome(self) -> str: ...
    @property
    def status(self) -> int | None: ...
    @property
    def error(self) -> str: ...


def verdict_of(result: Result) -> Verdict:
    """Returns one of four verdicts.

    "No complete response": the request was sent, and no response or a part of one was received, so the server may have
    processed the request. A server that speaks TLS or HTTP/2 on this port cannot have read it.
    """
    if result.outcome == Outcome.OK:
        return Verdict.DELIVERED
    if result.outcome in (Outcome.NOT_200, Outcome.REDIRECT):
        return Verdict.NOT_200
    if result.error in (NOT_HTTP_BUT_TLS, NOT_HTTP_BUT_HTTP2):
        return Verdict.NOT_REACHED
    if failed_phase(result) in (Phase.WAITING, Phase.DOWNLOAD):
        return Verdict.NO_COMPLETE_RESPONSE
    return Verdict.NOT_REACHED


def failed_phase(result: Result) -> Phase | None:
    """Returns the phase in which an attempt failed; None if it has a complete response or was not tried."""
    match Outcome(result.outcome):
        case Outcome.OK | Outcome.NOT_200 | Outcome.REDIRECT:
            return None
        case Outcome.DNS:
            return Phase.DNS
        case Outcome.REFUSED | Outcome.BLOCKED:
            return Phase.CONNECT
        case Outcome.TLS:
            return Phase.TLS
        case Outcome.TIMEOUT:
            return TIMEOUT_PHASES.get(sentences.current_words(result.error), Phase.CONNECT)
        case Outcome.PROTOCOL if result.error.startswith("not sent: no socket"):
            return Phase.CONNECT
        case Outcome.PROTOCOL if result.error.startswith(("not sent: ", "URL rejected")):
            return None
        case Outcome.RESET | Outcome.TOO_LARGE | Outcome.PROTOCOL:
            return Phase.WAITING if result.status is None else Phase.DOWNLOAD


def technical_error(result: Result) -> str:
    """Returns the error text, or an empty string if the phase and the explanation say the same."""
    error = sentences.current_words(result.error)
    if result.outcome == Outcome.BLOCKED or (result.outcome == Outcome.TIMEOUT and error in TIMEOUT_PHASES):
        return ""
    if error == REFUSED_LOCALLY:
        return ""
    return error


def explanation_in_full(attempt: Attempt) -> str:
    """Returns the sentence of hooks.explain.sentences, and whether the server may have processed the request."""
    sentence = sentences.explain(attempt).sentence
    if verdict_of(attempt) == Verdict.NO_COMPLETE_RESPONSE:
        return f"{sentence} {MAY_BE_PROCESSED}"
    return sentence
