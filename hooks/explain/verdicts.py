"""Determines the verdict on an attempt and the phase in which it failed, for pages, REST and the admin."""

from __future__ import annotations

import re
from typing import Protocol

from chatapi.ui.body_reading import readable
from hooks.explain import sentences
from hooks.explain.failure_causes import REFUSED_LOCALLY
from hooks.http import NOT_HTTP_BUT_HTTP2, NOT_HTTP_BUT_TLS
from hooks.models import Attempt, Outcome, Phase, Verdict

MAY_BE_PROCESSED = (
    "Your server received the request and may have processed it: expect the same webhook-id again."
)
LOGIN_FORM = (
    "The response is an HTML page with a password field. If a login in front of your server sent it, your program did "
    "not get the hook: exempt the webhook URL from the login."
)
HTML = re.compile(r"(?i)\s*<(!doctype html|html)\b")
PASSWORD_FIELD = re.compile(r"(?i)<input\b[^<>]*\btype\s*=\s*[\"']?password\b")
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


def remark_of(attempt: Attempt) -> str:
    """Returns what the sentence of an attempt leaves open; empty if nothing.

    The server may have processed the request, or a login page responded with 200. Lists that defer the bodies of
    responses do not say the latter: most responses of 200 would need one more query.
    """
    verdict = verdict_of(attempt)
    if verdict == Verdict.NO_COMPLETE_RESPONSE:
        return MAY_BE_PROCESSED
    if verdict != Verdict.DELIVERED or "response_body" in attempt.get_deferred_fields():
        return ""
    return LOGIN_FORM if has_password_field(attempt) else ""


def has_password_field(attempt: Attempt) -> bool:
    """Returns whether the response is an HTML page with a password field in the stored part of its body."""
    content_type = sentences.header(attempt.response_headers, "content-type").lower()
    if content_type and "html" not in content_type:
        return False
    text = readable(bytes(attempt.response_body), attempt.response_headers, is_cut=True).text
    return bool((content_type or HTML.match(text)) and PASSWORD_FIELD.search(text))


def explanation_in_full(attempt: Attempt) -> str:
    """Returns the sentence of hooks.explain.sentences, and what it leaves open."""
    return " ".join(filter(None, (sentences.explain(attempt).sentence, remark_of(attempt))))
