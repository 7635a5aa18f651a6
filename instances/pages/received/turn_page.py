"""The content of a received message's page: its hooks, what the bot sent because of it, and the acks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from chatapi.ui.durations import milliseconds
from chatapi.ui.states import CERTAINTIES, MESSAGE_STATES, RESPONSE_STATES, Look
from hooks.explain.sentences import explain_hook
from hooks.models import Attempt, Hook
from instances import chat_ids
from instances.models import Ack, Instance, Message, MessageState, message_state
from instances.pages.log.attempts import verdict_look
from instances.pages.log.endpoint_names import LogEndpoints
from instances.pages.messages import conversations
from instances.turns.ack_times import ack_times
from instances.turns.reading import SentMessage, Turn, TurnHook, read_turn
from instances.turns.responses import ResponseState
from instances.turns.sentences import explain_match, short_delay

LIVE_FOR = timedelta(minutes=15)  # after the message was received; then it changes rarely, and is not polled


class ShownAttempt(NamedTuple):
    """A request of a hook: "Attempt 1", its verdict, "200 in 12 ms"."""

    attempt: Attempt
    look: Look
    wire: str


class ShownHook(NamedTuple):
    """A hook; `endpoint` is empty if the instance has one endpoint."""

    hook: Hook
    sentence: str
    endpoint: str
    attempts: list[ShownAttempt]


class ShownAck(NamedTuple):
    """An ack of a sent message, or that it waits or has failed. `at` is None if the time is not known."""

    look: Look
    at: datetime | None


class ShownSent(NamedTuple):
    """A message of the bot. `chat` is empty if it went to the chat of the received message."""

    sent: SentMessage
    text: str
    chat: str
    certainty: Look
    why: str
    after: str  # since the message was received: "+0.25 s"
    acks: list[ShownAck]


class TurnView(NamedTuple):
    """Everything on the page that can change."""

    turn: Turn
    look: Look
    sentence: str
    next_step: str
    text: str
    label: str
    link: str  # the URL of the message's file
    chat_name: str
    hooks: list[ShownHook]
    sent: list[ShownSent]
    is_final: bool

    @property
    def message(self) -> Message:
        return self.turn.message

    @property
    def cursor(self) -> str:
        """Changes when anything shown changes."""
        hooks = [(one.hook.pk, one.hook.state, one.sentence, len(one.attempts)) for one in self.hooks]
        sent = [(one.sent.message.message_id, one.why, one.acks) for one in self.sent]
        return conversations.digest([self.sentence, self.message.deleted_at, hooks, sent])


def read_view(instance: Instance, message: Message) -> TurnView:
    """Returns what the page shows. At most twelve queries."""
    turn = read_turn(instance, message)
    endpoints = LogEndpoints(instance)
    times = ack_times(instance, [one.message.message_id for one in turn.sent]) if turn.sent else {}
    hooks = [show_hook(one, endpoints) for one in turn.hooks]
    sent = [show_sent(one, message, times) for one in turn.sent]
    return TurnView(
        turn=turn,
        look=RESPONSE_STATES[turn.response.state],
        sentence=turn.explanation,
        next_step=NEXT_STEPS.get(turn.response.state, ""),
        text=conversations.text_of(message),
        label=conversations.label_of(message),
        link=message.body
        if message.type in conversations.FILES and conversations.is_link(message.body)
        else "",
        chat_name=conversations.chat_name(message.chat),
        hooks=hooks,
        sent=sent,
        is_final=timezone.now() - message.time > LIVE_FOR and all(one.hook.is_finished for one in hooks),
    )


NEXT_STEPS = {
    ResponseState.NONE: "Its endpoint responded with 200, so look into the log of your bot for this webhook-id.",
}


def show_hook(one: TurnHook, endpoints: LogEndpoints) -> ShownHook:
    return ShownHook(
        one.hook,
        explain_hook(one.hook),
        endpoints.names.get(one.hook.endpoint_id, "") if endpoints.are_several else "",
        [ShownAttempt(attempt, verdict_look(attempt), wire_words(attempt)) for attempt in one.attempts],
    )


def wire_words(attempt: Attempt) -> str:
    """Returns "200 in 12 ms", or "no response, 10000 ms"."""
    duration = milliseconds(attempt.total_ms)
    return f"{attempt.status} in {duration}" if attempt.status else f"no response, {duration}"


def show_sent(one: SentMessage, received: Message, times: Mapping[tuple[str, str], datetime]) -> ShownSent:
    message = one.message
    return ShownSent(
        sent=one,
        text=conversations.line_of(message),
        chat="" if one.chat_id == received.chat.chat_id else chat_ids.label(one.chat_id),
        certainty=CERTAINTIES[one.match.certainty],
        why=explain_match(one.match),
        after=f"+{short_delay(max(one.accepted_at - received.time, timedelta()))}",
        acks=acks_of(one, times),
    )


def acks_of(one: SentMessage, times: Mapping[tuple[str, str], datetime]) -> list[ShownAck]:
    """Returns the acks that the message has; without one, its state."""
    message, state = one.message, message_state(one.message)
    acks = []
    if isinstance(message, Message):
        acks = [
            ShownAck(MESSAGE_STATES[ack.label], times.get((message.message_id, ack.label)))
            for ack in Ack
            if ack <= (message.ack or Ack.SENT)
        ]
    if not acks or state == MessageState.FAILED:
        acks.append(ShownAck(MESSAGE_STATES[state], message.failed_at))
    return acks
