"""Reads a turn: the message, its hooks with their attempts, and the messages that the bot sent because of it.

All of it is stored for other reasons, so a turn costs nothing until it is read. Who else wrote at the time is read too,
because a call belongs to the message that explains it best.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, prefetch_related_objects
from django.db.models.fields.json import KT
from django.db.models.functions import Left

from hooks.body_masking import are_masked
from hooks.models import Attempt, Hook, Kind, State
from instances import chat_ids
from instances.actions.message_lookup import UnknownMessage
from instances.models import Instance, Message, OutgoingMessage
from instances.turns.matching import Call, Match, Period, Received, match_calls
from instances.turns.responses import Response, response_of
from instances.turns.sentences import explain_response

# Around the message, of all chats and of its own, in messageNumbers and messages: so a turn costs the same in a busy
# instance. With 100 messages a second, other chats are compared for 3 s.
NUMBERS_BEFORE, NUMBERS_AFTER = 100, 300
CHAT_BEFORE, CHAT_AFTER = 20, 100
QUEUE_READ = 400  # the limit of a queue
TEXT_COMPARED = 300  # characters of a message
CLOCKS = timedelta(minutes=1)  # a messenger's clock may be ahead


class TurnHook(NamedTuple):
    """A hook of the message, with its attempts in order."""

    hook: Hook
    attempts: list[Attempt]


class SentMessage(NamedTuple):
    """A message that the bot sent in the turn, and why it is thought to be one."""

    message: Message | OutgoingMessage
    match: Match

    @property
    def chat_id(self) -> str:
        return self.match.call.chat_id

    @property
    def accepted_at(self) -> datetime:
        return self.match.call.at


class Turn(NamedTuple):
    """`sent` is in the order of the calls; `response` is about the message's chat alone."""

    message: Message
    hooks: list[TurnHook]
    sent: list[SentMessage]
    response: Response

    @property
    def explanation(self) -> str:
        """Whether the bot has responded, in a sentence."""
        in_chat = [one.chat_id == self.message.chat.chat_id for one in self.sent]
        return explain_response(self.response, in_chat=any(in_chat), elsewhere=not all(in_chat))


def find_received(instance: Instance, message_id: str) -> Message:
    """Returns a received message with its chat. One query.

    Raises:
        UnknownMessage: the instance has received no message with this id.
    """
    received = Message.objects.filter(
        instance=instance, message_id=message_id.replace("\0", ""), from_me=False
    )
    message = received.select_related("chat").first()
    if message is None:
        raise UnknownMessage(f"The instance has received no message with the id {message_id[:200]}.")
    return message


def read_turn(instance: Instance, message: Message) -> Turn:
    """Returns the turn of a received message, which was loaded with its chat. At most eleven queries."""
    near = messages_near(instance, message)
    received = [one for one in near if not one.from_me]
    hooks = hooks_of(instance, [one.message_id for one in received], since=message.time - CLOCKS)
    own = hooks.get(message.message_id, [])
    prefetch_related_objects([one.hook for one in own], "endpoint")
    sent: dict[str, Message | OutgoingMessage] = {
        one.message_id: one for one in near if one.queued_at is not None
    }
    sent |= {one.message_id: one for one in queued_since(instance, message.time)}
    matches = match_calls(
        [received_of(one, hooks.get(one.message_id, [])) for one in received], map(call_of, sent.values())
    )
    shown = [
        SentMessage(sent[match.call.message_id], match)
        for match in matches
        if match.received.message_id == message.message_id
    ]
    first = min((call.at for call in calls_to_chat(message, sent.values())), default=None)
    return Turn(message, own, shown, response_of([one.hook for one in own], first))


def calls_to_chat(message: Message, sent: Iterable[Message | OutgoingMessage]) -> list[Call]:
    """Returns the calls to the message's chat after it, as responses.list_received() finds them."""
    later = (one for one in sent if isinstance(one, OutgoingMessage) or one.number > message.number)
    calls = map(call_of, later)
    return [call for call in calls if call.chat_id == message.chat.chat_id and call.at >= message.time]


def messages_near(instance: Instance, message: Message) -> list[Message]:
    """Returns the messages around this one, of its chat and of all others. Three queries."""
    of_instance = Message.objects.filter(
        instance=instance, number__range=(message.number - NUMBERS_BEFORE, message.number + NUMBERS_AFTER)
    )
    of_chat = Message.objects.filter(chat=message.chat_id)
    before = of_chat.filter(number__lte=message.number).order_by("-number")[: CHAT_BEFORE + 1]
    after = of_chat.filter(number__gt=message.number).order_by("number")[:CHAT_AFTER]
    found = {one.pk: one for part in (of_instance, before, after) for one in shortened(part, "chat")}
    return sorted(found.values(), key=lambda one: one.number)


def queued_since(instance: Instance, at: datetime) -> list[OutgoingMessage]:
    """Returns the messages that the API has accepted since, and that are not sent. Two queries."""
    own = OutgoingMessage.objects.filter(instance=instance, deletes="", created_at__gte=at)
    waiting = own.waiting().order_by("queue_number")[:QUEUE_READ]
    failed = own.failed().filter(failed_at__gte=at).order_by("failed_at")[:QUEUE_READ]
    return [*shortened(waiting), *shortened(failed)]


def shortened(found: QuerySet[Any], *related: str) -> list[Any]:
    """Returns the rows with the start of their text alone, which can have 64 KB. One query."""
    body = found.model._meta.get_field("body")
    related_fields = found.select_related(*related) if related else found
    rows = list(
        related_fields.defer("body", "metadata").annotate(
            start=Left("body", TEXT_COMPARED, output_field=body), quoted_id=KT("quoted__id")
        )
    )
    for row in rows:
        row.body = row.start
    return rows


def hooks_of(
    instance: Instance, message_ids: Sequence[str], *, since: datetime | None = None
) -> dict[str, list[TurnHook]]:
    """Returns the hooks of received messages with their attempts: {message id: hooks}. Two or three queries.

    `since` is before the first of these messages; their hooks were created after it.
    """
    found: dict[str, list[TurnHook]] = defaultdict(list)
    if not message_ids:
        return found
    # the planner knows that none of a long list is empty, as the index requires, only if it is said
    hooks = (
        Hook.objects.of_instance(instance)
        .filter(~Q(message=""), message__in=list(message_ids), kind=Kind.MESSAGE, simulated=False)
        .show_sending()
        .defer("body")
        .order_by("pk")
    )
    rows = list(hooks)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    timed = Attempt.objects.filter(hook__in=[row.pk for row in rows]).defer(
        "request_headers", "response_headers", "response_body"
    )
    for attempt in timed.order_by("hook_id", "number", "id"):
        attempts[attempt.hook_id].append(attempt)
    for row in rows:
        found[row.message].append(TurnHook(row, attempts[row.pk]))
    return found


def received_of(message: Message, hooks: Iterable[TurnHook]) -> Received:
    author = chat_ids.phone_of(message.author)
    return Received(
        message_id=message.message_id,
        chat_id=message.chat.chat_id,
        at=message.time,
        periods=[period for hook in hooks for period in periods_of(hook)],
        text="" if are_masked() else message.body.strip(),
        sender_number=author,
    )


def periods_of(hook: TurnHook) -> list[Period]:
    """Returns the requests of a hook. One that has not ended is recorded nowhere: it started after the one before."""
    periods = [
        Period(one.started_at, one.started_at + timedelta(milliseconds=one.total_ms)) for one in hook.attempts
    ]
    if hook.hook.state == State.SENDING:
        ends = [period.ended_at for period in periods if period.ended_at is not None]
        periods.append(Period(max([*ends, hook.hook.created_at]), None))
    return periods


def call_of(message: Any) -> Call:
    """Returns the call by which this message was accepted; it was loaded by shortened()."""
    is_waiting = isinstance(message, OutgoingMessage)
    return Call(
        message_id=message.message_id,
        chat_id=message.chat_id if is_waiting else message.chat.chat_id,
        at=message.created_at if is_waiting else message.queued_at,
        text="" if are_masked() else message.body.strip(),
        quoted_id=message.quoted_id or "",
    )
