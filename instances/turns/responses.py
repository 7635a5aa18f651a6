"""Whether a received message got a response: the definition, and the list of received messages by it.

A message has a response if the API accepted a message to its chat after it was received, and until RESPONSE_TIME after
its hook was delivered. It has none if its hook was delivered longer ago than that. docs/turns.md says the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models
from django.db.models import Q
from django.utils import timezone

from hooks.models import UNFINISHED, Hook, Kind, State
from instances.models import Instance, Message, OutgoingMessage

RESPONSE_TIME = timedelta(minutes=5)
PAGE_SIZE = 50
# A page reads so many messages at most, in both directions, and says how far it has looked. Of a million messages,
# 10,000 took 73 ms of this process's CPU.
NUMBERS_AT_ONCE, MOST_NUMBERS = 1_000, 5_000
# Of these, the hooks of at most so many are read.
EXAMINED_AT_ONCE, MOST_EXAMINED = 100, 500


class ResponseState(models.TextChoices):
    """Whether a bot has responded to a received message."""

    RESPONDED = "responded", "Responded"
    WAITING = "waiting", "Waiting for a response"
    NONE = "none", "No response"
    NOT_DELIVERED = "not_delivered", "Not delivered"


class Response(NamedTuple):
    """`at` is when the first message to the chat was accepted; None without a response."""

    state: ResponseState
    at: datetime | None = None


class ReceivedRow(NamedTuple):
    """A received message of the list, loaded with its chat."""

    message: Message
    response: Response


class ReceivedPage(NamedTuple):
    """`next_before` is the messageNumber at which the next page starts; None: there is none.

    `looked_until` is the time of the oldest message that was read; None: there are no messages.
    """

    rows: list[ReceivedRow]
    next_before: int | None
    looked_until: datetime | None


def response_of(
    hooks: Sequence[Hook], first_sent_at: datetime | None, now: datetime | None = None
) -> Response:
    """Returns the response to a message with these hooks; `first_sent_at`: the first call to its chat after it."""
    delivered = [hook.finished_at for hook in hooks if hook.state == State.DELIVERED and hook.finished_at]
    delivered_at = min(delivered, default=None)
    if first_sent_at is not None and (delivered_at is None or first_sent_at <= delivered_at + RESPONSE_TIME):
        return Response(ResponseState.RESPONDED, first_sent_at)
    if delivered_at is not None:
        is_over = (now or timezone.now()) > delivered_at + RESPONSE_TIME
        return Response(ResponseState.NONE if is_over else ResponseState.WAITING)
    if any(hook.state in UNFINISHED for hook in hooks):
        return Response(ResponseState.WAITING)
    return Response(ResponseState.NOT_DELIVERED)


class Walked(NamedTuple):
    """A received message by its columns, and the first call to its chat after it that was found."""

    number: int
    chat: int
    at: datetime
    first_sent_at: datetime | None


def list_received(
    instance: Instance,
    *,
    response: ResponseState | None = None,
    before: int | None = None,
    limit: int = PAGE_SIZE,
) -> ReceivedPage:
    """Returns the received messages, newest first: those in this state, before this messageNumber.

    At most MOST_NUMBERS messages are read for a page, so that a page costs the same for any number of messages; then
    it has fewer than `limit` rows, or none, and the next page continues. One query, one for each NUMBERS_AT_ONCE, and
    at most six for each EXAMINED_AT_ONCE.
    """
    end = newest_number(instance) + 1
    if before is not None:
        end = min(before, end)
    lowest, calls, rows, examined = max(end - MOST_NUMBERS, 1), Calls(list), list[ReceivedRow](), 0
    until: datetime | None = None
    while end > lowest:
        start = max(end - NUMBERS_AT_ONCE, lowest)
        walked, oldest = walk(instance, start, end, calls)
        wanted = [one for one in walked if may_be(one, response)]
        for place in range(0, len(wanted), EXAMINED_AT_ONCE):
            batch = wanted[place : place + EXAMINED_AT_ONCE]
            found = with_responses(instance, batch, before)
            rows += [row for row in found if response in (None, row.response.state)]
            examined += len(batch)
            if len(rows) >= limit:
                last = rows[limit - 1].message
                return ReceivedPage(rows[:limit], last.number, last.time)
            if examined >= MOST_EXAMINED:
                return ReceivedPage(rows, batch[-1].number, batch[-1].at)
        end, until = start, oldest or until
    return ReceivedPage(rows, end if end > 1 else None, until)


Calls = defaultdict[int, list[datetime]]  # of each chat, the newest message first


def newest_number(instance: Instance) -> int:
    return Message.objects.filter(instance=instance).aggregate(newest=models.Max("number"))["newest"] or 0


def walk(instance: Instance, start: int, end: int, calls: Calls) -> tuple[list[Walked], datetime | None]:
    """Returns the received messages from `start` to before `end`, newest first, and the time of the oldest message.

    `calls` has the calls of the messages that were walked before, newest first, by chat; these are added. One query.
    """
    found = (
        Message.objects.filter(instance=instance, number__gte=start, number__lt=end)
        .order_by("-number")
        .values_list("number", "chat_id", "from_me", "queued_at", "time")
    )
    walked, at = [], None
    for number, chat, from_me, queued_at, at in found:
        if queued_at is not None:
            calls[chat].append(queued_at)
        elif not from_me:
            later = [call for call in calls[chat][-3:] if call >= at]
            walked.append(Walked(number, chat, at, min(later, default=None)))
    return walked, at


def may_be(one: Walked, wanted: ResponseState | None) -> bool:
    """Whether the message can be in this state. No query: of a bot that responds, few messages need one."""
    is_soon = one.first_sent_at is not None and one.first_sent_at <= one.at + RESPONSE_TIME
    return wanted in (None, ResponseState.RESPONDED) or not is_soon


def with_responses(
    instance: Instance, walked: Sequence[Walked], calls_after: int | None = None
) -> list[ReceivedRow]:
    """Returns the messages with their responses, in this order. At most six queries.

    `calls_after` is the messageNumber from which calls were not walked; None: all were.
    """
    numbers = [one.number for one in walked]
    messages = {
        message.number: message
        for message in Message.objects.filter(instance=instance, number__in=numbers)
        .select_related("chat")
        .defer("metadata", "quoted")
    }
    found = [(one, messages[one.number]) for one in walked if one.number in messages]
    hooks = hooks_by_message(instance, [message.message_id for _, message in found])
    unsent = unsent_calls(instance, [message for _, message in found])
    chats = {one.chat for one in walked if one.first_sent_at is None}
    later = calls_since(chats, calls_after) if calls_after is not None else {}
    rows = []
    for one, message in found:
        calls = [*unsent[message.chat.chat_id], one.first_sent_at or later.get(one.chat)]
        first = min((at for at in calls if at is not None and at >= one.at), default=None)
        rows.append(ReceivedRow(message, response_of(hooks[message.message_id], first)))
    return rows


def hooks_by_message(instance: Instance, message_ids: Sequence[str]) -> dict[str, list[Hook]]:
    """Returns the hooks of received messages: {message id: hooks}. One query."""
    found: dict[str, list[Hook]] = defaultdict(list)
    hooks = Hook.objects.of_instance(instance).filter(
        ~Q(message=""), message__in=list(message_ids), kind=Kind.MESSAGE, simulated=False
    )
    for hook in hooks.only("id", "endpoint_id", "message", "state", "finished_at"):
        found[hook.message].append(hook)
    return found


def unsent_calls(instance: Instance, messages: Sequence[Message]) -> dict[str, list[datetime]]:
    """Returns the calls whose messages are in the queue or have failed: {chat id: times}. At most two queries."""
    times: dict[str, list[datetime]] = defaultdict(list)
    if not messages:
        return times
    chat_ids = {message.chat.chat_id for message in messages}
    unsent = OutgoingMessage.objects.filter(instance=instance, chat_id__in=chat_ids, deletes="")
    oldest = min(message.time for message in messages)
    for part in (unsent.waiting(), unsent.failed().filter(failed_at__gte=oldest)):
        for chat_id, at in part.values_list("chat_id", "created_at"):
            times[chat_id].append(at)
    return times


def calls_since(chats: Collection[int], number: int) -> dict[int, datetime]:
    """Returns the first call to each chat from this messageNumber on, within MOST_NUMBERS. At most one query."""
    if not chats:
        return {}
    later = Message.objects.filter(
        chat__in=chats, number__gte=number, number__lt=number + MOST_NUMBERS, queued_at__isnull=False
    )
    return dict(later.order_by().values_list("chat").annotate(first=models.Min("queued_at")))
