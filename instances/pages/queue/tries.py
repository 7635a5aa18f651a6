"""A try of a message as its page shows it: a result, the side at fault, and the complete request and response."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from chatapi.ui import request_snippets
from chatapi.ui.body_reading import ReadableBody
from chatapi.ui.json_text import pretty_text
from chatapi.ui.states import TRY_RESULTS, VERDICTS, Look
from hooks.body_masking import size_of
from hooks.explain.verdicts import failed_phase, technical_error, verdict_of
from instances.models import SendingTry, TryResult
from instances.pages.log.attempts import original_bytes, read_response, wire_words
from instances.pages.log.phases import ShownPhase, phases_of
from instances.sending.explain import MAY_BE_SENT, Explanation, FaultSide, explain, may_have_been_sent

# Side at fault → the parameter `side` of log/boxes.html.
BOXES = {
    FaultSide.SETTINGS: "server",
    FaultSide.MESSAGE: "server",
    FaultSide.SERVER: "server",
    FaultSide.NETWORK: "between",
    FaultSide.MESSENGER: "endpoint",
    FaultSide.RECIPIENT: "endpoint",
}


class ShownTry(NamedTuple):
    """As instances.pages.log.attempts.ShownAttempt, for log/attempt.html; `attempt` is the try."""

    attempt: SendingTry
    verdict: Look
    explanation: Explanation
    remark: str  # after the explanation: the message may have been sent
    error: str  # the technical error, if it says more
    phase: str  # the one that failed
    phases: list[ShownPhase]
    side: str
    side_words: str  # the side at fault
    wire: str
    host: str
    request_headers: list[tuple[str, str]]
    request_body: str
    request_size: int
    response: ReadableBody
    response_hex: str
    is_cut: bool  # only the start of the response's body is stored
    curl: str
    far_side: str = "Messenger"
    dropped: str = ""  # a try is deleted whole


def show(sending_try: SendingTry, *, is_retried: bool) -> ShownTry:
    """The try for log/attempt.html; `is_retried`: whether the message is tried again. No query."""
    explanation, phase = explain(sending_try, is_retried=is_retried), failed_phase(sending_try)
    body = bytes(sending_try.response_body)
    is_cut = 0 < size_of(sending_try.response_body) < sending_try.response_size
    response = read_response(body, sending_try.response_headers, is_cut=is_cut)
    return ShownTry(
        attempt=sending_try,
        verdict=look_of(sending_try),
        explanation=explanation,
        remark=MAY_BE_SENT if may_have_been_sent(sending_try) else "",
        error=technical_error(sending_try),
        phase=phase.label if phase else "",
        phases=phases_of(sending_try),
        side=BOXES[explanation.side] if explanation.side else "",
        side_words=explanation.side.label if explanation.side else "",
        wire=wire_words(sending_try.status, sending_try.total_ms, is_complete=phase is None),
        host=urlsplit(sending_try.url).netloc or sending_try.url,
        request_headers=[(name, value) for name, value in sending_try.request_headers],
        request_body=pretty_text(sending_try.request_body),
        request_size=size_of(sending_try.request_body),
        response=response,
        response_hex=original_bytes(body, response),
        is_cut=is_cut,
        curl=curl_of(sending_try) if sending_try.url else "",
    )


def look_of(sending_try: SendingTry) -> Look:
    """Returns the result's word, colour and icon: "Sent", "Refused", "Responded with 503", "Not reached"."""
    look = TRY_RESULTS[sending_try.result]
    if sending_try.result != TryResult.RETRY:
        return look
    if failed_phase(sending_try) is None and sending_try.status:
        return look._replace(word=f"Responded with {sending_try.status}")
    return VERDICTS[verdict_of(sending_try).value]


def curl_of(sending_try: SendingTry) -> str:
    """The request as a curl command, with its credentials masked."""
    headers = request_snippets.without_client_headers(sending_try.request_headers)
    return request_snippets.curl(
        request_snippets.QuotedRequest(
            sending_try.method,
            sending_try.url,
            headers,
            has_body=bool(sending_try.request_body),
            text=sending_try.request_body,
        )
    )
