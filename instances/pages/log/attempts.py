"""An attempt as pages show it: a verdict, the side at fault, and the complete request and response."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from chatapi.ui import hex_dump, request_snippets
from chatapi.ui.body_reading import ReadableBody, readable
from chatapi.ui.durations import milliseconds
from chatapi.ui.json_text import pretty_bytes, pretty_text
from chatapi.ui.states import VERDICTS, Look
from hooks.body_masking import size_of
from hooks.explain.sentences import Explanation, body_dropped_words, explain
from hooks.explain.verdicts import failed_phase, remark_of, technical_error, verdict_of
from hooks.models import Attempt, Hook, Verdict
from instances.pages.log.phases import ShownPhase, phases_of


def verdict_look(attempt: Attempt) -> Look:
    """Returns the verdict's word, colour and icon: "Delivered", "Responded with 500, not 200"."""
    verdict = verdict_of(attempt)
    look = VERDICTS[verdict.value]
    if verdict == Verdict.NOT_200:
        return look._replace(word=f"Responded with {attempt.status}, not 200")
    return look


class ShownAttempt(NamedTuple):
    """`side` is the parameter of log/boxes.html, `wire` the words between its boxes; sizes are in bytes.

    `response` is the body of the response as text, `response_hex` its bytes if the text is not all they say.
    """

    attempt: Attempt
    verdict: Look
    explanation: Explanation
    remark: str  # after the explanation: what it leaves open
    error: str  # the technical error, if it says more
    phase: str  # the one that failed
    phases: list[ShownPhase]
    side: str
    wire: str
    took: str
    host: str
    request_headers: list[tuple[str, str]]
    request_body: str
    request_size: int
    response: ReadableBody
    response_hex: str
    is_cut: bool  # only the start of the response's body is stored
    dropped: str  # why there are no bodies, if retention has dropped them
    curl: str


def show(attempt: Attempt, hook: Hook) -> ShownAttempt:
    """The attempt for log/attempt.html; `hook` is its hook. No query."""
    explanation, phase = explain(attempt), failed_phase(attempt)
    body = bytes(hook.body)
    response = read_response(
        bytes(attempt.response_body), attempt.response_headers, is_cut=attempt.is_response_cut
    )
    return ShownAttempt(
        attempt=attempt,
        verdict=verdict_look(attempt),
        explanation=explanation,
        remark=remark_of(attempt),
        error=technical_error(attempt),
        phase=phase.label if phase else "",
        phases=phases_of(attempt),
        side=explanation.side.value if explanation.side else "",
        wire=wire_words(attempt.status, attempt.total_ms, is_complete=phase is None),
        took=milliseconds(attempt.total_ms),
        host=urlsplit(attempt.url).netloc or attempt.url,
        request_headers=[(name, value) for name, value in attempt.request_headers],
        request_body=pretty_bytes(body),
        request_size=size_of(hook.body),
        response=response,
        response_hex=original_bytes(bytes(attempt.response_body), response),
        is_cut=0 < size_of(attempt.response_body) < attempt.response_size,
        dropped=body_dropped_words() if hook.body_dropped_at else "",
        curl=curl_of(attempt, body),
    )


def read_response(body: bytes, headers: Iterable[Sequence[str]], *, is_cut: bool = False) -> ReadableBody:
    """Returns the body of a response as text; JSON is indented."""
    read = readable(body, headers, is_cut=is_cut)
    return read._replace(text=pretty_text(read.text))


def original_bytes(body: bytes, read: ReadableBody) -> str:
    """Returns a hex dump of a body that was unpacked or decoded, or is not text; empty for UTF-8 text."""
    return "" if read.is_text and not read.decoded_from else hex_dump.dump(body)


def wire_words(status: int | None, total_ms: float, *, is_complete: bool = True) -> str:
    """What came back and when: "200 in 12 ms", "200, not complete, 10 s", "no response, 10 s"."""
    duration = milliseconds(total_ms)
    if not status:
        return f"no response, {duration}"
    return f"{status} in {duration}" if is_complete else f"{status}, not complete, {duration}"


def curl_of(attempt: Attempt, body: bytes) -> str:
    """The request as a curl command. The signature stays valid for 5 minutes, as verifiers allow."""
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
