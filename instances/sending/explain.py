"""Explains messages and their tries: one plain sentence, the side at fault, and the next step.

The sibling of hooks/explain for messengers. Pages, REST and the admin use these sentences. What the messenger itself
said, in its words, is the `reason` of the try, which its channel has read from the response.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import models

from hooks.explain.sentences import current_words, explain_outcome
from hooks.explain.verdicts import failed_phase, verdict_of
from hooks.models import Outcome, Phase, Verdict
from instances.models import (
    Message,
    MessageState,
    OutgoingMessage,
    SendingTry,
    SendState,
    TryResult,
    message_state,
)


class FaultSide(models.TextChoices):
    """Where the cause of a failed try is."""

    SETTINGS = "settings", "Your settings"  # credentials, URLs
    MESSAGE = "message", "The message"  # the messenger does not accept this one
    RECIPIENT = "recipient", "The recipient"
    MESSENGER = "messenger", "The messenger"
    NETWORK = "network", "The network"
    SERVER = "server", "This server"


@dataclass(frozen=True, slots=True)
class Explanation:
    sentence: str
    side: FaultSide | None  # None: nothing failed
    next_step: str


RETRIED = "Nothing to do: the message is tried again."
RESEND = "Resend the message when this is solved."
TWICE = (
    "This message may have been sent twice: one try ended without a result, and this messenger has no "
    "idempotency key."
)
MAY_BE_SENT = "The messenger received the request and may have sent the message."

# Status → what it means for a message that is tried again. Others: see explain_status.
STATUSES = {
    408: "it timed out waiting for the request",
    429: "it received more messages than it allows",
    500: "it failed while handling the message",
    502: "its gateway got no valid response",
    503: "it is temporarily unavailable",
    504: "its gateway timed out",
}

# Failed phase of a time-out → (side, what to check).
TIMEOUT_CHECKS = {
    Phase.DNS: (FaultSide.NETWORK, "Check the DNS servers of this server."),
    Phase.CONNECT: (FaultSide.NETWORK, "Check whether a firewall drops connections to the messenger."),
    Phase.TLS: (FaultSide.MESSENGER, "Check that the messenger's URL speaks HTTPS."),
    Phase.WAITING: (FaultSide.MESSENGER, "Check the messenger's status page."),
    Phase.DOWNLOAD: (FaultSide.MESSENGER, "Check the messenger's status page."),
}
CHECK_STATUS_PAGE = (FaultSide.MESSENGER, "Check the messenger's status page.")
# Outcome → (side, what to check); the sentence is that of hooks/explain.
CHECKS = {
    Outcome.DNS: (
        FaultSide.NETWORK,
        "Check the host name of the messenger, and the DNS servers of this server.",
    ),
    Outcome.REFUSED: (
        FaultSide.MESSENGER,
        "Check that the messenger runs, and its URL in the instance's settings.",
    ),
    Outcome.TLS: (FaultSide.MESSENGER, "Check the messenger's certificate and the clock of this server."),
    Outcome.RESET: CHECK_STATUS_PAGE,
    Outcome.REDIRECT: (FaultSide.SETTINGS, "Set the messenger's URL to the target of the redirect."),
    Outcome.TOO_LARGE: CHECK_STATUS_PAGE,
    Outcome.PROTOCOL: (FaultSide.MESSENGER, "Check that the messenger's URL leads to its API."),
}


def explain(sending_try: SendingTry, *, is_retried: bool = True) -> Explanation:
    """Explain the result of a try. `is_retried`: whether the message is tried again if this try did not send it."""
    host = host_of(sending_try)
    reason = sentence_part(sending_try.reason)
    then = RETRIED if is_retried else RESEND
    match TryResult(sending_try.result):
        case TryResult.SENT:
            return Explanation(f"Sent: {host} accepted the message.", None, "")
        case TryResult.UNKNOWN:
            return Explanation(
                f"This server stopped before it could record the response of {host}.",
                FaultSide.SERVER,
                then,
            )
        case TryResult.UNLINKED:
            said = f" ({reason})" if reason else ""
            return Explanation(
                f"{responded(host, sending_try)}: the credentials of this instance are not valid{said}.",
                FaultSide.SETTINGS,
                "Link the instance again. Waiting messages are sent then.",
            )
        case TryResult.REFUSED if sending_try.status is None:
            return Explanation(
                f"Not sent: {reason or 'this messenger cannot send such a message'}.",
                FaultSide.MESSAGE,
                "Change the message, and send it as a new one.",
            )
        case TryResult.REFUSED:
            return Explanation(
                f"{host} refused the message: {reason or f'it responded with {sending_try.status}'}.",
                FaultSide.MESSAGE,
                "Correct what the messenger names. Then resend the message, or send a new one.",
            )
        case TryResult.RETRY:
            return explain_retry(sending_try, host, reason, then)


def explain_retry(sending_try: SendingTry, host: str, reason: str, then: str) -> Explanation:
    outcome, error = Outcome(sending_try.outcome), current_words(sending_try.error)
    if outcome in (Outcome.OK, Outcome.NOT_200):
        return explain_status(host, sending_try.status, reason, then)
    if outcome == Outcome.BLOCKED:
        return Explanation(
            f"{host} resolves to an address that this site does not connect to.",
            FaultSide.SERVER,
            "Correct the messenger's URL, or ask the administrator to add the network to HOOKS_ALLOW_NETWORKS.",
        )
    if error.startswith(("not sent: ", "URL rejected")):  # no socket, or no valid URL
        side, check = FaultSide.SERVER, "Ask the administrator to check the log of this server."
    elif outcome == Outcome.TIMEOUT:
        side, check = TIMEOUT_CHECKS[failed_phase(sending_try) or Phase.CONNECT]
    else:
        side, check = CHECKS[outcome]
    sentence = explain_outcome(
        outcome,
        url=sending_try.url,
        status=sending_try.status,
        error=sending_try.error,
        headers=sending_try.response_headers,
    ).sentence
    return Explanation(sentence, side, f"{then} If it happens again: {lower_first(check)}")


def explain_status(host: str, status: int | None, reason: str, then: str) -> Explanation:
    """Explain a complete response after which the message is tried again."""
    said = f" ({reason})" if reason else ""
    if status == 429:
        return Explanation(
            f"{host} responded with 429: {STATUSES[429]}{said}.",
            FaultSide.MESSENGER,
            f"{then} If it happens often, raise sendDelay.",
        )
    if status is not None and 200 <= status < 300:
        return Explanation(
            f"{host} responded with {status}, but its response can't be read{said}.",
            FaultSide.MESSENGER,
            f"{then} If it happens again: check that the messenger's URL leads to its API.",
        )
    cause = STATUSES.get(status or 0)
    if cause is None:
        cause = (
            "it failed while handling the message"
            if (status or 0) >= 500
            else reason or "it did not accept it yet"
        )
        said = said if (status or 0) >= 500 else ""
    return Explanation(
        f"{host} responded with {status or 'no status'}: {cause}{said}.",
        FaultSide.MESSENGER,
        f"{then} If it lasts: check the messenger's status page.",
    )


def host_of(sending_try: SendingTry) -> str:
    """Returns the messenger's host; "the messenger" for a try without a request."""
    return urlsplit(sending_try.url).hostname or "the messenger"


def responded(host: str, sending_try: SendingTry) -> str:
    return f"{host} responded with {sending_try.status}" if sending_try.status else f"{host} is not linked"


def sentence_part(text: str) -> str:
    """Returns the messenger's words for the middle of a sentence: one line without a full stop at its end."""
    return " ".join(text.split()).rstrip(".")


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def may_have_been_sent(sending_try: SendingTry) -> bool:
    """Returns whether a try that did not end with SENT may have sent the message.

    The messenger received the whole request, and no response that says no was received: this server was killed, the
    response is missing or incomplete, or it cannot be read.
    """
    if sending_try.result == TryResult.UNKNOWN:
        return True
    if sending_try.result != TryResult.RETRY or not sending_try.url:
        return False
    if verdict_of(sending_try) == Verdict.NO_COMPLETE_RESPONSE:
        return True
    return sending_try.status is not None and 200 <= sending_try.status < 300


def explain_message(message: OutgoingMessage | Message) -> str:
    """Returns the state of an outgoing message in one sentence. No query."""
    state = message_state(message)
    if isinstance(message, OutgoingMessage):
        return explain_outgoing(message, sentence_part(message.reason))
    match state:
        case MessageState.FAILED:
            why = sentence_part(message.failure) or "it failed"
            return f"The messenger accepted the message and reported later: {why}."
        case MessageState.DELIVERED:
            return "Delivered to the recipient's phone."
        case MessageState.VIEWED:
            return "Read by the recipient."
        case _:
            return "Sent. The recipient's phone has not confirmed it yet."


def explain_outgoing(message: OutgoingMessage, reason: str) -> str:
    match SendState(message.state):
        case SendState.QUEUED if not message.tries:
            return f"Waiting in the queue: {reason}." if reason else "Waiting in the queue."
        case SendState.QUEUED:
            return f"Try {message.tries} failed{f' ({reason})' if reason else ''}; it is tried again."
        case SendState.SENDING:
            return f"Sending now: try {max(message.tries, 1)}."
        case SendState.FAILED if not message.tries:
            return f"Not sent: {reason or 'the messenger gave no reason'}."
        case SendState.FAILED:
            tries = f"{message.tries} {'try' if message.tries == 1 else 'tries'}"
            return f"Failed after {tries}: {reason or 'the messenger gave no reason'}."
