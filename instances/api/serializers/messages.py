"""A message that the API has accepted, with its state; its tries; and the queue."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chatapi.ui.body_reading import readable
from hooks.explain.verdicts import failed_phase, technical_error
from hooks.models import Outcome, Phase
from instances.api.serializers.hooks import (
    TEXT,
    AnswerSerializer,
    RequestSerializer,
    TextOrNull,
    TimesSerializer,
    encode_body,
)
from instances.models import (
    Message,
    MessageState,
    MessageType,
    OutgoingMessage,
    SendingTry,
    TryResult,
    message_state,
)
from instances.sending.explain import FaultSide, explain, explain_message, may_have_been_sent
from instances.sending.waits import Wait


class WaitSerializer(serializers.Serializer[Wait]):
    """Why a message in the queue is not sent now."""

    reason = serializers.CharField(source="words", help_text="What it waits for, in words.")
    until = serializers.DateTimeField(
        allow_null=True, help_text="Null: it depends on something else than time."
    )


class AcceptedMessageSerializer(serializers.Serializer[Any]):
    """A message that the API has accepted."""

    id = serializers.CharField()
    queueNumber = serializers.IntegerField(
        help_text="Its number in the queue. A resent message gets a new one."
    )
    chatId = serializers.CharField()
    type = serializers.ChoiceField(choices=MessageType.choices)
    body = serializers.CharField()
    caption = serializers.CharField(allow_null=True)
    deletes = serializers.CharField(
        allow_null=True,
        help_text="The id of the message to delete for everyone. Null: it is a message itself.",
    )
    state = serializers.ChoiceField(choices=MessageState.choices)
    explanation = serializers.CharField(help_text="Its current state, in a sentence.")
    reason = serializers.CharField(
        allow_null=True, help_text="The messenger's words: why it is tried again or has failed. Null: none."
    )
    wait = WaitSerializer(allow_null=True, help_text="Null: it is not in the queue.")
    tries = serializers.IntegerField(
        allow_null=True,
        help_text="The tries made since it was queued. Null: it was sent; `tries/` lists them.",
    )
    nextTryAt = serializers.DateTimeField(allow_null=True)
    maybeTwice = serializers.BooleanField(
        help_text="It may have been sent twice: a try ended without a result, and the messenger has no idempotency key."
    )
    queuedAt = serializers.DateTimeField(allow_null=True)
    sentAt = serializers.DateTimeField(allow_null=True, help_text="When the messenger accepted it.")
    failedAt = serializers.DateTimeField(allow_null=True)


def accepted_json(message: OutgoingMessage | Message, wait: Wait | None) -> dict[str, Any]:
    """Returns the data of AcceptedMessageSerializer. No query."""
    common = {
        "id": message.message_id,
        "queueNumber": message.queue_number,
        "type": message.type,
        "body": message.body,
        "caption": message.caption,
        "state": message_state(message).value,
        "explanation": explain_message(message),
        "maybeTwice": message.maybe_twice,
        "failedAt": message.failed_at,
        "wait": wait,
    }
    if isinstance(message, OutgoingMessage):
        own = {
            "chatId": message.chat_id,
            "deletes": message.deletes or None,
            "reason": message.reason or None,
            "tries": message.tries,
            "nextTryAt": message.next_try_at,
            "queuedAt": message.created_at,
            "sentAt": None,
        }
    else:
        own = {
            "chatId": message.chat.chat_id,
            "deletes": None,
            "reason": message.failure or None,
            "tries": None,
            "nextTryAt": None,
            "queuedAt": message.queued_at,
            "sentAt": message.time,
        }
    return dict(AcceptedMessageSerializer(common | own).data)


class TrySerializer(serializers.ModelSerializer[SendingTry]):
    """One request that sends a message, and its response. Credentials are masked."""

    number = serializers.IntegerField(help_text="From 1, and from 1 again after a resend.")
    startedAt = serializers.DateTimeField(source="started_at")
    address = TextOrNull(help_text="The IP address it connected to. Null: none.")
    request = serializers.SerializerMethodField(help_text="Null: the message was refused without a request.")
    answer = serializers.SerializerMethodField(help_text="Null: no response was received.")
    times = TimesSerializer(source="*")
    result = serializers.ChoiceField(
        choices=TryResult.choices,
        help_text="`refused`: not tried again. `retry`: tried again. `unlinked`: the credentials are not valid. "
        "`unknown`: this server stopped before it recorded the response.",
    )
    reason = TextOrNull(help_text="The messenger's words. Null: none.")
    mayHaveBeenSent = serializers.SerializerMethodField(
        method_name="get_may_have_been_sent",
        help_text="The try failed, but the messenger received the whole request and may have sent the message.",
    )
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    failedPhase = serializers.SerializerMethodField(
        method_name="get_failed_phase", help_text="The phase in which it failed. Null: all phases completed."
    )
    side = serializers.SerializerMethodField(help_text="The side that caused the failure. Null: it was sent.")
    error = serializers.SerializerMethodField(help_text="The technical error. Null: none.")
    explanation = serializers.SerializerMethodField(help_text="What happened.")
    nextStep = serializers.SerializerMethodField(
        method_name="get_next_step", help_text="What to do about it. Empty if there is nothing to do."
    )

    class Meta:
        model = SendingTry
        fields = (
            "number", "startedAt", "address", "request", "answer", "times", "result", "reason", "mayHaveBeenSent",
            "outcome", "failedPhase", "side", "error", "explanation", "nextStep",
        )  # fmt: skip

    @extend_schema_field(RequestSerializer(allow_null=True))
    def get_request(self, row: SendingTry) -> dict[str, Any] | None:
        if not row.url:
            return None
        return {
            "method": row.method,
            "url": row.url,
            "headers": dict(row.request_headers),
            "body": row.request_body,
            "bodyEncoding": TEXT,
        }

    @extend_schema_field(AnswerSerializer(allow_null=True))
    def get_answer(self, row: SendingTry) -> dict[str, Any] | None:
        if row.status is None:
            return None
        stored = bytes(row.response_body)
        is_cut = 0 < len(stored) < row.response_size
        body, encoding = encode_body(stored, is_cut=is_cut)
        read = readable(stored, row.response_headers, is_cut=is_cut)
        return {
            "status": row.status,
            "headers": row.response_headers,
            "body": body,
            "bodyEncoding": encoding,
            "decodedBody": read.text if read.decoded_from else None,
            "decodedFrom": read.decoded_from or None,
            "decodingNote": read.note or None,
            "size": row.response_size,
        }

    def get_may_have_been_sent(self, row: SendingTry) -> bool:
        return may_have_been_sent(row)

    @extend_schema_field(serializers.ChoiceField(choices=Phase.choices, allow_null=True))
    def get_failed_phase(self, row: SendingTry) -> str | None:
        phase = failed_phase(row)
        return phase.value if phase else None

    @extend_schema_field(serializers.ChoiceField(choices=FaultSide.choices, allow_null=True))
    def get_side(self, row: SendingTry) -> str | None:
        side = explain(row).side
        return side.value if side else None

    def get_error(self, row: SendingTry) -> str | None:
        return technical_error(row) or None

    def get_explanation(self, row: SendingTry) -> str:
        return explain(row).sentence

    def get_next_step(self, row: SendingTry) -> str:
        return explain(row, is_retried=row.pk not in self.context["last"]).next_step


class QueueSerializer(serializers.Serializer[Any]):
    """The queue of an instance, and the pace at which it is sent."""

    length = serializers.IntegerField(help_text="The messages in the queue: queued and being sent.")
    limit = serializers.IntegerField(help_text="At this length, new messages are refused.")
    failed = serializers.IntegerField(help_text="The failed messages that are still kept.")
    wait = WaitSerializer(allow_null=True, help_text="Null: messages are sent as they come.")


class ClearedSerializer(serializers.Serializer[Any]):
    """What was removed from the queue."""

    removed = serializers.IntegerField()
    inDelivery = serializers.IntegerField(help_text="Messages that are being sent now, which stay.")
