"""Received messages with the response of the bot, and the turn of one: its hooks, and what the bot sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rest_framework import serializers

from hooks.explain.sentences import explain_hook
from hooks.explain.verdicts import verdict_of
from hooks.models import SkipReason, State, Verdict
from instances.api.serializers.hooks import ChoiceOrNull
from instances.models import Ack, Instance, Message, MessageState, MessageType, message_state
from instances.turns.ack_times import ack_times
from instances.turns.matching import Certainty, Evidence
from instances.turns.reading import SentMessage, Turn, TurnHook
from instances.turns.responses import Response, ResponseState
from instances.turns.sentences import explain_match


class ResponseSerializer(serializers.Serializer[Any]):
    """Whether the bot has responded in the chat of a message."""

    state = serializers.ChoiceField(
        choices=ResponseState.choices,
        help_text="`responded`: the API accepted a message to the chat, until 5 minutes after a hook was delivered. "
        "`none`: a hook was delivered more than 5 minutes ago, and it accepted none. `waiting`: the 5 minutes are not "
        "over. `not_delivered`: no hook was delivered.",
    )
    respondedAt = serializers.DateTimeField(
        allow_null=True, help_text="When the first message to the chat was accepted. Null: none was."
    )


class ReceivedMessageSerializer(serializers.Serializer[Any]):
    """A received message."""

    id = serializers.CharField()
    messageNumber = serializers.IntegerField()
    chatId = serializers.CharField()
    author = serializers.CharField(help_text="The chat id of the sender; in a group, of the member.")
    senderName = serializers.CharField()
    type = serializers.ChoiceField(choices=MessageType.choices)
    body = serializers.CharField()
    caption = serializers.CharField(allow_null=True)
    time = serializers.DateTimeField(help_text="When it was sent, by the messenger's clock.")
    response = ResponseSerializer()


class ReceivedPageSerializer(serializers.Serializer[Any]):
    """A page of received messages, newest first."""

    results = ReceivedMessageSerializer(many=True)
    nextBefore = serializers.IntegerField(
        allow_null=True, help_text="`before` of the next page. Null: there are no older messages."
    )
    lookedUntil = serializers.DateTimeField(
        allow_null=True, help_text="The time of the oldest message that was compared with the filter."
    )


class TurnAttemptSerializer(serializers.Serializer[Any]):
    """A request of the hook. `GET hooks/{id}/` has all of it."""

    number = serializers.IntegerField()
    startedAt = serializers.DateTimeField()
    totalMs = serializers.FloatField(help_text="From its start to the end of the response, in milliseconds.")
    status = serializers.IntegerField(
        allow_null=True, help_text="The status code of the response. Null: none."
    )
    verdict = serializers.ChoiceField(choices=Verdict.choices)


class TurnHookSerializer(serializers.Serializer[Any]):
    """A hook of the message."""

    id = serializers.CharField(help_text="The `webhook-id` of its requests.")
    endpointId = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    skipReason = ChoiceOrNull(SkipReason, help_text="Null: it was not skipped.")
    explanation = serializers.CharField(help_text="Its current state, in a sentence.")
    createdAt = serializers.DateTimeField()
    attempts = TurnAttemptSerializer(many=True)


class MatchSerializer(serializers.Serializer[Any]):
    """Why a message is thought to be part of the turn."""

    certainty = serializers.ChoiceField(choices=Certainty.choices)
    evidence = serializers.ChoiceField(choices=Evidence.choices)
    delaySeconds = serializers.FloatField(
        help_text="Seconds from the end of the webhook request to the call. 0: during the request."
    )
    otherMessages = serializers.IntegerField(help_text="How many other received messages fit as well.")
    explanation = serializers.CharField()


class AckSerializer(serializers.Serializer[Any]):
    """An ack of a sent message."""

    status = serializers.ChoiceField(choices=Ack.labels)
    at = serializers.DateTimeField(allow_null=True, help_text="Null: the time is not known.")


class SentMessageSerializer(serializers.Serializer[Any]):
    """A message that the bot sent in the turn."""

    id = serializers.CharField()
    queueNumber = serializers.IntegerField()
    chatId = serializers.CharField()
    type = serializers.ChoiceField(choices=MessageType.choices)
    body = serializers.CharField(help_text="The first 300 characters.")
    acceptedAt = serializers.DateTimeField(help_text="When the API accepted it.")
    state = serializers.ChoiceField(choices=MessageState.choices)
    acks = AckSerializer(many=True)
    match = MatchSerializer()


class TurnSerializer(serializers.Serializer[Any]):
    """A received message, its hooks, and the messages that the bot sent because of it."""

    message = ReceivedMessageSerializer()
    explanation = serializers.CharField(help_text="Whether the bot has responded, in a sentence.")
    hooks = TurnHookSerializer(many=True)
    sent = SentMessageSerializer(many=True)


def received_json(message: Message, response: Response) -> dict[str, Any]:
    """Returns the data of ReceivedMessageSerializer; the message was loaded with its chat. No query."""
    found = {
        "id": message.message_id,
        "messageNumber": message.number,
        "chatId": message.chat.chat_id,
        "author": message.author,
        "senderName": message.sender_name,
        "type": message.type,
        "body": message.body,
        "caption": message.caption,
        "time": message.time,
        "response": {"state": response.state.value, "respondedAt": response.at},
    }
    return dict(ReceivedMessageSerializer(found).data)


def turn_json(instance: Instance, turn: Turn) -> dict[str, Any]:
    """Returns the data of TurnSerializer. At most one query."""
    times = ack_times(instance, [one.message.message_id for one in turn.sent]) if turn.sent else {}
    return {
        "message": received_json(turn.message, turn.response),
        "explanation": turn.explanation,
        "hooks": [hook_json(one) for one in turn.hooks],
        "sent": [sent_json(one, times) for one in turn.sent],
    }


def hook_json(one: TurnHook) -> dict[str, Any]:
    hook = one.hook
    found = {
        "id": hook.webhook_id,
        "endpointId": str(hook.endpoint_id),
        "state": hook.state,
        "skipReason": hook.skip_reason,
        "explanation": explain_hook(hook),
        "createdAt": hook.created_at,
        "attempts": [
            {
                "number": attempt.number,
                "startedAt": attempt.started_at,
                "totalMs": attempt.total_ms,
                "status": attempt.status,
                "verdict": verdict_of(attempt).value,
            }
            for attempt in one.attempts
        ],
    }
    return dict(TurnHookSerializer(found).data)


def sent_json(one: SentMessage, times: Mapping[tuple[str, str], datetime]) -> dict[str, Any]:
    message, match = one.message, one.match
    reached = message.ack or 0 if isinstance(message, Message) else 0
    found = {
        "id": message.message_id,
        "queueNumber": message.queue_number,
        "chatId": one.chat_id,
        "type": message.type,
        "body": message.body,
        "acceptedAt": one.accepted_at,
        "state": message_state(message).value,
        "acks": [
            {"status": ack.label, "at": times.get((message.message_id, ack.label))}
            for ack in Ack
            if ack <= reached
        ],
        "match": {
            "certainty": match.certainty,
            "evidence": match.evidence,
            "delaySeconds": round(match.delay.total_seconds(), 3),
            "otherMessages": match.others,
            "explanation": explain_match(match),
        },
    }
    return dict(SentMessageSerializer(found).data)
