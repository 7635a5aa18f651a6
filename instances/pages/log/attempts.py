"""An attempt as pages show it: a verdict in two or three words, whose side failed, and everything whole."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from chatapi.ui import request_snippets
from chatapi.ui.durations import milliseconds
from chatapi.ui.json_text import pretty_bytes
from hooks.explain import Explanation, body_dropped_words, explain
from hooks.models import Attempt, Hook, Outcome


class Verdict(NamedTuple):
    words: str
    color: str
    icon: str


DELIVERED = Verdict("Delivered", "green", "circle-check")
NOT_200 = Verdict("Answered, but not 200", "orange", "alert-triangle")
NOT_REACHED = Verdict("Not reached", "red", "circle-x")


def verdict_of(attempt: Attempt) -> Verdict:
    """One of three. "Not reached" is also said of a server that took the request and then said nothing of use: it has
    not been reached by a hook, and the explanation beside the verdict tells which of the two it was."""
    if attempt.outcome == Outcome.OK:
        return DELIVERED
    if attempt.outcome in (Outcome.NOT_200, Outcome.REDIRECT):
        return NOT_200
    return NOT_REACHED


class ShownAttempt(NamedTuple):
    """`side` is what includes/boxes.html takes, `wire` what stands on its line; sizes are in bytes."""

    attempt: Attempt
    verdict: Verdict
    explanation: Explanation
    side: str
    wire: str
    host: str
    request_headers: list[tuple[str, str]]
    request_body: str
    request_size: int
    answer_body: str
    dropped: str  # what to say where the bodies were dropped by age; empty: they were not
    curl: str


def show(attempt: Attempt, hook: Hook) -> ShownAttempt:
    """No query; `hook` is the attempt's."""
    explanation = explain(attempt)
    body, answer = bytes(hook.body), bytes(attempt.response_body)
    duration = milliseconds(attempt.total_ms)
    return ShownAttempt(
        attempt=attempt,
        verdict=verdict_of(attempt),
        explanation=explanation,
        side=explanation.side.value if explanation.side else "",
        wire=f"{attempt.status} in {duration}" if attempt.status else f"no answer, {duration}",
        host=urlsplit(attempt.url).netloc or attempt.url,
        request_headers=[(name, value) for name, value in attempt.request_headers],
        request_body=pretty_bytes(body),
        request_size=len(body),
        answer_body=pretty_bytes(answer),
        dropped=body_dropped_words() if hook.body_dropped_at else "",
        curl=curl_of(attempt, body),
    )


def curl_of(attempt: Attempt, body: bytes) -> str:
    """Returns the request as a curl command. The signature stays valid for 5 minutes, as verifiers allow."""
    headers = request_snippets.without_client_headers(attempt.request_headers)
    return request_snippets.curl(
        request_snippets.QuotedRequest(
            "POST",
            attempt.url,
            tuple(pair for pair in headers if pair[0].lower() != "accept"),  # curl sends the same
            has_body=True,
            text=body.decode(errors="replace"),
        )
    )
