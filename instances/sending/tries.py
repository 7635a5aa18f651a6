"""One message on its way to the messenger, what became of it, and its entry in the log of tries."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO

from hooks import database_clock
from hooks.http import Response
from hooks.models import Outcome
from instances import chat_ids
from instances.actions.sending.record import FailedMessage, Recorded, RetriedMessage, SentMessage
from instances.channels.base import Channel
from instances.channels.masking import mask_request, mask_response, mask_text
from instances.channels.open_streams import NOT_CONNECTED, is_to_stream
from instances.channels.requests import (
    Failed,
    Link,
    MessageToSend,
    Moved,
    Refused,
    Request,
    Result,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.models import Instance, OutgoingMessage, SendingTry, TryResult
from instances.sending.back_off import seconds_to_next_try
from instances.sending.explain import explain_retry, may_have_been_sent
from instances.sending.lanes import Lane

UNLINKED_SECONDS = 1.0  # the minimum between two tries whose credentials the messenger refuses
MAX_MOVES = 3  # tries; with more, a move waits as a failure does
# The outcomes with a complete response, which the channel reads.
COMPLETE = (Outcome.OK, Outcome.NOT_200, Outcome.REDIRECT)
ENDED = (Outcome.REFUSED, Outcome.RESET)  # of a process that is not there any more


@dataclass(slots=True)
class OwnedQueue:
    """A queue that this sender owns: its lane, who sends, and through which channel."""

    lane: Lane
    instance: Instance
    channel: Channel
    link: Link
    read_at: float  # by time.monotonic(): when the instance was read
    # by time.monotonic(): before, messages that another run has sent may count in the windows of chats
    young_until: float = 0.0
    shows_wait: bool = False  # is OutgoingQueue.waits_until set?


@dataclass(slots=True)
class Sending:
    """A message that was taken, and its request in flight."""

    queue: OwnedQueue
    outgoing: OutgoingMessage
    message: MessageToSend
    request: Request | None = None
    started_at: datetime = field(default_factory=database_clock.now)
    linked_at: datetime | None = None  # when the status of the instance, as it was read, began
    file: IO[bytes] | None = None  # the body of an upload

    def __post_init__(self) -> None:
        self.linked_at = self.queue.instance.status_changed_at


@dataclass(slots=True)
class Ended:
    """The end of a try: what is recorded. `recorded` None: the recorder has the channel carry it out."""

    queue: OwnedQueue
    outgoing: OutgoingMessage
    recorded: Recorded | None
    sending_try: SendingTry | None = None
    unlinked: str = ""  # why the instance is not linked any more …
    linked_at: datetime | None = None  # … unless it was linked again after this time
    is_fault: bool = False  # of the messenger or the network: the breaker counts it
    messenger_id: str = ""  # of a message that is carried out in this process
    has_left: bool = False  # has the lane sent the next message of the chat already?


def read_response(sending: Sending, response: Response) -> Result:
    """Returns what the response means; a request without a complete one has failed.

    If the receiver that holds the connection has ended, messages wait for another one: the messenger is not at fault.
    """
    assert sending.request is not None
    if response.status is None or response.outcome not in COMPLETE:
        is_to_receiver = is_to_stream(sending.request.url, sending.queue.link)
        return NOT_CONNECTED if is_to_receiver and response.outcome in ENDED else Failed("")
    return sending.queue.channel.read(sending.request, response)


def end(sending: Sending, result: Result, response: Response | None = None) -> Ended:
    """Returns what is recorded of a message with this result."""
    outgoing, link = sending.outgoing, sending.queue.link
    sending_try = log_try(sending, result, response)
    ended = Ended(sending.queue, outgoing, None, sending_try)
    now = database_clock.now()
    match result:
        case Sent():
            ended.recorded = None if result.needs_carry_out else sent_message(outgoing, result)
            ended.messenger_id = result.messenger_id
        case Moved(messenger_chat_id, reason) if is_new_chat(outgoing, messenger_chat_id):
            ended.recorded = RetriedMessage(
                outgoing, mask_text(reason, link), messenger_chat_id=messenger_chat_id
            )
        case Refused(reason):
            ended.recorded = FailedMessage(outgoing, mask_text(reason, link))
        case Wait(reason, _, seconds):
            pause = seconds_to_next_try(outgoing.tries) if seconds is None else seconds
            ended.recorded = RetriedMessage(outgoing, mask_text(reason, link), now + timedelta(seconds=pause))
        case Failed(reason) | Moved(reason=reason):
            ended.is_fault = True
            reason = reason or explain_retry(sending_try, sending_try.url, "", "").sentence
            pause = seconds_to_next_try(outgoing.tries)
            ended.recorded = RetriedMessage(outgoing, mask_text(reason, link), now + timedelta(seconds=pause))
        case Unlinked(reason):
            ended.unlinked = reason or "the credentials are not valid"
            ended.linked_at = sending.linked_at
            # Not at once: if the instance was linked again meanwhile, this sender may not know the new credentials yet.
            due = now + timedelta(seconds=UNLINKED_SECONDS)
            ended.recorded = RetriedMessage(outgoing, mask_text(reason, link), due)
        case Uploaded():  # the channel has taken the response to a message for one to an upload
            ended.is_fault = True
            ended.recorded = RetriedMessage(
                outgoing, "the response can't be read", now + timedelta(seconds=300)
            )
    if not sending.queue.channel.is_idempotent(link) and may_have_been_sent(sending_try):
        outgoing.maybe_twice = True
    return ended


def sent_message(outgoing: OutgoingMessage, sent: Sent, messenger_id: str = "") -> SentMessage:
    """Returns what is recorded of a message that the messenger has; `messenger_id` is of an earlier response."""
    return SentMessage(outgoing, sent.acks, sent.messenger_id or messenger_id, sent.messenger_chat_id)


def is_new_chat(outgoing: OutgoingMessage, messenger_chat_id: str) -> bool:
    """Returns whether the message is tried again at once in this chat. A messenger may move a chat forever."""
    known = outgoing.messenger_ids.chat or chat_ids.bare_id(outgoing.chat_id)
    found = chat_ids.storable_messenger_id(messenger_chat_id)
    return bool(found) and found != known and outgoing.tries <= MAX_MOVES


RESULTS = {
    Sent: TryResult.SENT,
    Moved: TryResult.RETRY,
    Uploaded: TryResult.RETRY,
    Refused: TryResult.REFUSED,
    Wait: TryResult.RETRY,
    Failed: TryResult.RETRY,
    Unlinked: TryResult.UNLINKED,
}


def log_try(sending: Sending, result: Result, response: Response | None) -> SendingTry:
    """Returns the entry in the log, without credentials. Without a request its URL is empty."""
    outgoing, request = sending.outgoing, sending.request
    logged = SendingTry(
        instance_id=outgoing.instance_id,
        message_id=outgoing.message_id,
        queue_number=outgoing.queue_number,
        number=outgoing.tries,
        started_at=sending.started_at,
        outcome=Outcome.OK,
        result=RESULTS[type(result)],
        reason=mask_text(printable(getattr(result, "reason", "")), sending.queue.link),
    )
    if request is not None:
        request = mask_request(request, sending.queue.link)
        body = request.body.decode(errors="replace") if not request.body_path else ""
        logged.method, logged.url = request.method, printable(request.url)[:2000]
        logged.request_headers = [[name, printable(value)] for name, value in request.headers.items()]
        logged.request_body = printable(body)
    if response is not None:
        response = mask_response(response, sending.queue.link)
        logged.status, logged.outcome = response.status, response.outcome
        logged.response_headers = [[name, printable(value)] for name, value in response.headers]
        logged.response_body, logged.response_size = response.body, response.size
        logged.address, logged.error = response.address, printable(response.error)[:500]
        logged.name_ms, logged.connect_ms, logged.tls_ms = (
            response.name_ms,
            response.connect_ms,
            response.tls_ms,
        )
        logged.first_byte_ms, logged.total_ms = response.first_byte_ms, response.total_ms
    return logged


def unknown_try(outgoing: OutgoingMessage) -> SendingTry:
    """Returns the entry of a try whose sender has died."""
    return SendingTry(
        instance_id=outgoing.instance_id,
        message_id=outgoing.message_id,
        queue_number=outgoing.queue_number,
        number=outgoing.tries,
        started_at=outgoing.last_try_at or database_clock.now(),
        outcome=Outcome.RESET,
        result=TryResult.UNKNOWN,
    )


def wall_clock(at: float) -> datetime:
    """Returns a time of time.monotonic() by the database's clock."""
    return database_clock.now() + timedelta(seconds=at - time.monotonic())


def printable(text: str) -> str:
    """Returns the text without NUL, which PostgreSQL does not store."""
    return text.replace("\x00", "")
