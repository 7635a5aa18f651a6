"""What is said about each result of a try, about each state of a message, and about what it waits for."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hooks.models import Outcome
from instances.models import (
    Ack,
    Instance,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    SendingTry,
    SendState,
    TryResult,
)
from instances.sending.explain import FaultSide, explain, explain_message, may_have_been_sent
from instances.sending.waits import explain_queue, explain_waits

HOST = "graph.example.com"
NOW = timezone.now()


def try_of(
    result: TryResult, outcome: Outcome = Outcome.OK, status: int | None = None, **more: Any
) -> SendingTry:
    more.setdefault("url", f"https://{HOST}/v20/messages")
    return SendingTry(result=result, outcome=outcome, status=status, **more)


R = TryResult
# name → (the try, a part of the sentence, side, a part of the next step, may the message have been sent?)
CASES: dict[str, tuple[SendingTry, str, FaultSide | None, str, bool]] = {
    "sent": (try_of(R.SENT, Outcome.NOT_200, 201), f"Sent: {HOST} accepted the message.", None, "", False),
    "refused in its words": (
        try_of(
            R.REFUSED, Outcome.NOT_200, 400, reason="(#131030) Recipient phone number not in allowed list."
        ),
        f"{HOST} refused the message: (#131030) Recipient phone number not in allowed list.",
        FaultSide.MESSAGE,
        "Correct what the messenger names.",
        False,
    ),
    "refused without words": (
        try_of(R.REFUSED, Outcome.NOT_200, 413),
        f"{HOST} refused the message: it responded with 413.",
        FaultSide.MESSAGE,
        "Correct",
        False,
    ),
    "a type that it cannot send": (
        try_of(R.REFUSED, url="", reason="Stickers can't be sent with this messenger."),
        "Not sent: Stickers can't be sent with this messenger.",
        FaultSide.MESSAGE,
        "send it as a new one",
        False,
    ),
    "401": (
        try_of(R.UNLINKED, Outcome.NOT_200, 401, reason="Error validating access token"),
        f"{HOST} responded with 401: the credentials of this instance are not valid (Error validating access token).",
        FaultSide.SETTINGS,
        "Link the instance again.",
        False,
    ),
    "403": (
        try_of(R.UNLINKED, Outcome.NOT_200, 403),
        f"{HOST} responded with 403: the credentials of this instance are not valid.",
        FaultSide.SETTINGS,
        "Link the instance again.",
        False,
    ),
    "429": (
        try_of(R.RETRY, Outcome.NOT_200, 429, reason="wait 30 s"),
        f"{HOST} responded with 429: it received more messages than it allows (wait 30 s).",
        FaultSide.MESSENGER,
        "raise sendDelay",
        False,
    ),
    "500": (
        try_of(R.RETRY, Outcome.NOT_200, 500),
        f"{HOST} responded with 500: it failed while handling the message.",
        FaultSide.MESSENGER,
        "status page",
        False,
    ),
    "503 in its words": (
        try_of(R.RETRY, Outcome.NOT_200, 503, reason="Service temporarily unavailable"),
        "503: it is temporarily unavailable (Service temporarily unavailable).",
        FaultSide.MESSENGER,
        "the message is tried again",
        False,
    ),
    "599": (
        try_of(R.RETRY, Outcome.NOT_200, 599),
        "599: it failed",
        FaultSide.MESSENGER,
        "status page",
        False,
    ),
    "409 that is retried": (
        try_of(R.RETRY, Outcome.NOT_200, 409, reason="A send is under way"),
        "409: A send is under way.",
        FaultSide.MESSENGER,
        "status page",
        False,
    ),
    "timeout of the DNS lookup": (
        try_of(R.RETRY, Outcome.TIMEOUT, error="name lookup"),
        "the DNS lookup of graph.example.com did not finish in time",
        FaultSide.NETWORK,
        "DNS servers",
        False,
    ),
    "timeout of the connection": (
        try_of(R.RETRY, Outcome.TIMEOUT, error="connect"),
        "did not accept the connection in time",
        FaultSide.NETWORK,
        "firewall",
        False,
    ),
    "timeout of TLS": (
        try_of(R.RETRY, Outcome.TIMEOUT, error="TLS"),
        "the TLS handshake did not finish in time",
        FaultSide.MESSENGER,
        "HTTPS",
        False,
    ),
    "timeout of the response": (
        try_of(R.RETRY, Outcome.TIMEOUT, error="response"),
        "accepted the request, but did not respond in time",
        FaultSide.MESSENGER,
        "status page",
        True,
    ),
    "timeout of the body": (
        try_of(R.RETRY, Outcome.TIMEOUT, 200, error="response body"),
        "started its response, but did not finish it in time",
        FaultSide.MESSENGER,
        "status page",
        True,
    ),
    "unknown name": (
        try_of(R.RETRY, Outcome.DNS),
        f"The name {HOST} was not found.",
        FaultSide.NETWORK,
        "DNS servers",
        False,
    ),
    "refused connection": (
        try_of(R.RETRY, Outcome.REFUSED, error="Connection refused"),
        f"{HOST} refused the connection: nothing listens there.",
        FaultSide.MESSENGER,
        "check that the messenger runs",
        False,
    ),
    "expired certificate": (
        try_of(R.RETRY, Outcome.TLS, error="certificate has expired"),
        f"The certificate of {HOST} has expired.",
        FaultSide.MESSENGER,
        "certificate",
        False,
    ),
    "reset": (
        try_of(R.RETRY, Outcome.RESET, error="Recv failure"),
        f"{HOST} closed the connection without a response.",
        FaultSide.MESSENGER,
        "status page",
        True,
    ),
    "garbage instead of HTTP": (
        try_of(R.RETRY, Outcome.PROTOCOL, error="not HTTP"),
        f"{HOST} responded with something that is not HTTP.",
        FaultSide.MESSENGER,
        "leads to its API",
        True,
    ),
    "a response that its channel can't read": (
        try_of(R.RETRY, Outcome.OK, 200, reason="no message id in the response"),
        f"{HOST} responded with 200, but its response can't be read (no message id in the response).",
        FaultSide.MESSENGER,
        "leads to its API",
        True,
    ),
    "redirect": (
        try_of(R.RETRY, Outcome.REDIRECT, 302, response_headers=[["Location", "https://other.example.com/"]]),
        "responded with 302, a redirect to https://other.example.com/",
        FaultSide.SETTINGS,
        "set the messenger's URL",
        False,
    ),
    "private address": (
        try_of(R.RETRY, Outcome.BLOCKED, error="private"),
        f"{HOST} resolves to an address that this site does not connect to.",
        FaultSide.SERVER,
        "HOOKS_ALLOW_NETWORKS",
        False,
    ),
    "no socket": (
        try_of(R.RETRY, Outcome.PROTOCOL, error="not sent: no socket, Too many open files"),
        "This server could not open a connection: too many open files.",
        FaultSide.SERVER,
        "log of this server",
        False,
    ),
    "large headers": (
        try_of(R.RETRY, Outcome.TOO_LARGE),
        "headers of graph.example.com's response were too large",
        FaultSide.MESSENGER,
        "status page",
        True,
    ),
    "killed": (
        try_of(R.UNKNOWN, Outcome.RESET),
        f"This server stopped before it could record the response of {HOST}.",
        FaultSide.SERVER,
        "the message is tried again",
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_result_names_the_cause_the_side_and_the_next_step(name: str) -> None:
    sending_try, sentence, side, next_step, is_doubtful = CASES[name]
    explanation = explain(sending_try)
    assert sentence in explanation.sentence
    assert explanation.side == side
    assert next_step in explanation.next_step
    assert bool(explanation.next_step) == (side is not None)
    assert may_have_been_sent(sending_try) == is_doubtful


def test_every_result_and_outcome_is_explained() -> None:
    for result in TryResult:
        for outcome in Outcome:
            for status in (None, 200, 404, 500):
                explanation = explain(try_of(result, outcome, status, error="x"))
                assert explanation.sentence.endswith(".")
                assert (explanation.side is None) == (result == TryResult.SENT)


def test_a_message_that_is_not_tried_again_is_to_be_resent() -> None:
    explanation = explain(try_of(R.RETRY, Outcome.NOT_200, 500), is_retried=False)
    assert explanation.next_step.startswith("Resend the message when this is solved.")
    assert "tried again" not in explanation.next_step


def queued(**fields: Any) -> OutgoingMessage:
    return OutgoingMessage(chat_id="17680561234@c.us", **fields)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (queued(), "Waiting in the queue."),
        (
            queued(tries=2, reason="Too many requests."),
            "Try 2 failed (Too many requests); it is tried again.",
        ),
        (queued(tries=1), "Try 1 failed; it is tried again."),
        (queued(state=SendState.SENDING, tries=3), "Sending now: try 3."),
        (
            queued(state=SendState.FAILED, failed_at=NOW, tries=1, reason="Not on WhatsApp."),
            "Failed after 1 try: Not on WhatsApp.",
        ),
        (queued(state=SendState.FAILED, failed_at=NOW, reason="No stickers."), "Not sent: No stickers."),
        (queued(state=SendState.FAILED, failed_at=NOW), "Not sent: the messenger gave no reason."),
        (Message(ack=Ack.SENT), "Sent. The recipient's phone has not confirmed it yet."),
        (Message(ack=Ack.DELIVERED), "Delivered to the recipient's phone."),
        (Message(ack=Ack.VIEWED, failed_at=NOW, failure="late"), "Read by the recipient."),
        (
            Message(ack=Ack.SENT, failed_at=NOW, failure="Message expired."),
            "The messenger accepted the message and reported later: Message expired.",
        ),
    ],
)
def test_each_state_of_a_message_is_a_sentence(message: OutgoingMessage | Message, sentence: str) -> None:
    assert explain_message(message) == sentence


def instance_that(**fields: Any) -> Instance:
    fields = {
        "account_status": "authenticated",
        "substatus": "normal",
        "paid_until": NOW + timedelta(days=1),
    } | fields
    return Instance(**fields)


def test_a_queue_says_why_nothing_is_sent() -> None:
    breaker = {
        "waits_until": NOW + timedelta(seconds=20),
        "wait_reason": "the messenger failed 5 times in a row",
    }
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"stopped_at": NOW}, {}, "The instance is stopped"),
        ({"paid_until": NOW - timedelta(days=1)}, {}, "The instance is not paid"),
        (
            {"paid_until": NOW - timedelta(days=1), "is_trial": True},
            {},
            "The trial of this instance has ended",
        ),
        ({"account_status": "got qr code"}, {}, "The instance is not linked"),
        ({"substatus": "phone"}, {}, "The phone is not connected"),
        ({}, breaker, "The messenger failed 5 times in a row"),
        ({"send_delay": 5}, {"next_send_at": NOW + timedelta(seconds=3)}, "sendDelay: one message every 5 s"),
    ]
    for of_instance, of_queue, words in cases:
        wait = explain_queue(instance_that(**of_instance), OutgoingQueue(**of_queue), now=NOW)
        assert wait is not None
        assert wait.words == words
        assert wait.until == of_queue.get("waits_until", of_queue.get("next_send_at"))
    later = {"waits_until": NOW - timedelta(seconds=1), "wait_reason": "over"}
    assert explain_queue(instance_that(), OutgoingQueue(**later), now=NOW) is None


def test_each_message_says_why_it_waits() -> None:
    soon = NOW + timedelta(seconds=6)
    waiting = [
        queued(queue_number=1, state=SendState.SENDING, tries=1),
        queued(queue_number=2),
        OutgoingMessage(
            chat_id="2@c.us", queue_number=3, tries=1, next_try_at=soon, reason="1 per 6 s to this number"
        ),
        OutgoingMessage(chat_id="3@c.us", queue_number=4),
    ]
    waits = explain_waits(instance_that(), OutgoingQueue(), waiting, now=NOW)
    assert [(wait.words, wait.until) for wait in waits] == [
        ("Being sent now", None),
        ("Sent after no. 1, to the same chat", None),
        ("1 per 6 s to this number", soon),
        ("Its turn comes next", None),
    ]
    closed = OutgoingQueue(waits_until=NOW + timedelta(seconds=60), wait_reason="breaker open")
    waits = explain_waits(instance_that(), closed, waiting[2:], now=NOW)
    assert [wait.words for wait in waits] == ["Breaker open", "Breaker open"]
