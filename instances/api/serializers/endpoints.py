"""An endpoint of an instance in the REST API: its URL, secret, delivery mode, filters and health."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.key_scopes import hide_secrets
from hooks.filters import MAX_MESSAGE_TYPES, Filters, filters_of
from hooks.models import MAX_CHATS, ChatKind, Direction, Endpoint, Kind, PauseReason
from instances import chat_ids
from instances.api.serializers.hooks import ChoiceOrNull, TextOrNull
from instances.api.serializers.strict import StrictSerializer, choice
from instances.endpoint_filters import describe_filters
from instances.models import MessageType

# Fields of the filters in REST → in hooks.filters.Filters.
FILTER_NAMES = {
    "families": "families",
    "direction": "direction",
    "messageTypes": "message_types",
    "chatIds": "chat_ids",
    "chatKinds": "chat_kinds",
}


class FiltersSerializer(StrictSerializer):
    """Which events the endpoint gets. An event must meet every filter; an empty list or null matches all events."""

    families = serializers.ListField(
        child=choice(Kind), required=False, max_length=len(Kind), help_text="The kinds of events."
    )
    direction = choice(
        Direction,
        required=False,
        allow_null=True,
        help_text="`in`: messages that the instance receives; `out`: messages that it sends, and their acks.",
    )
    messageTypes = serializers.ListField(
        source="message_types",
        child=choice(MessageType),
        required=False,
        max_length=MAX_MESSAGE_TYPES,
        help_text="The types of messages, and of the messages that acks are about.",
    )
    chatIds = serializers.ListField(
        source="chat_ids",
        child=serializers.CharField(max_length=chat_ids.CHAT_ID_LENGTH),
        required=False,
        max_length=MAX_CHATS,
        help_text=f"Ids of chats, up to {MAX_CHATS}. Statuses are about no chat, so they always match.",
    )
    chatKinds = choice(
        ChatKind, source="chat_kinds", required=False, allow_null=True, help_text="Direct chats, or groups."
    )

    def validate_chatIds(self, ids: list[str]) -> list[str]:
        try:
            return [chat_ids.of_chat(each) for each in ids]
        except chat_ids.BadChatId as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, endpoint: Endpoint) -> dict[str, Any]:
        shown = filters_of(endpoint)._asdict()
        return {name: list(value) if isinstance(value := shown[field], tuple) else value or None
                for name, field in FILTER_NAMES.items()}  # fmt: skip


def changed_filters(endpoint: Endpoint | None, given: dict[str, Any]) -> Filters:
    """Returns the endpoint's filters with the given ones instead; of a new endpoint, the given ones."""
    before = filters_of(endpoint) if endpoint is not None else Filters()
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value or "" for name, value in given.items()
    }
    return before._replace(**values)


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """An endpoint with its signing secret, for keys that may read it; `context["key"]` is the call's."""

    id = serializers.CharField(help_text="The `endpointId` of its hooks.")
    instanceId = serializers.CharField(source="instance.number")
    first = serializers.BooleanField(
        source="is_first", help_text="Whether it is the wire contract's `webhookUrl`. It cannot be removed."
    )
    name = serializers.CharField(help_text="Empty: pages show the host of its URL.")
    url = TextOrNull(source="shown_url", help_text="Where its hooks are sent. Null: nowhere.")
    listens = serializers.BooleanField(
        source="is_listener",
        help_text="Whether a program fetches its hooks (`startListener`). `url` is then of the local server.",
    )
    guaranteedHooks = serializers.BooleanField(source="guaranteed")
    parallelHooks = serializers.BooleanField(source="parallel")
    strictOrder = serializers.BooleanField(source="strict")
    filters = FiltersSerializer(source="*")
    filtersInWords = serializers.SerializerMethodField(
        method_name="get_words",
        help_text='The filters as a phrase, as pages show it: "Messages, incoming only". All: "All events".',
    )
    secret = serializers.CharField(
        allow_null=True,
        help_text="Verifies `webhook-signature` (Standard Webhooks). Null if the key does not have the scope `manage`.",
    )
    previousSecretUntil = serializers.SerializerMethodField(
        method_name="get_previous_until",
        help_text="Until then, hooks are also signed with the previous secret. Null: with the current one only.",
    )
    pausedAt = serializers.DateTimeField(
        source="paused_at", allow_null=True, help_text="Since when its hooks are queued and not sent."
    )
    pauseReason = ChoiceOrNull(PauseReason, source="pause_reason", help_text="Why it is paused.")
    cancelling = serializers.SerializerMethodField(
        method_name="is_cancelling",
        help_text="Whether its waiting hooks are being cancelled. Until that is done, nothing is sent.",
    )
    failingSince = serializers.DateTimeField(
        source="failing_since",
        allow_null=True,
        help_text="The time of the first failure since the last success. Null: the last attempt succeeded.",
    )

    class Meta:
        model = Endpoint
        fields = (
            "id", "instanceId", "first", "name", "url", "listens", "guaranteedHooks", "parallelHooks", "strictOrder",
            "filters", "filtersInWords", "secret", "previousSecretUntil", "pausedAt", "pauseReason", "cancelling",
            "failingSince",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: Endpoint) -> dict[str, Any]:
        return hide_secrets(super().to_representation(instance), self.context.get("key"))

    def get_words(self, endpoint: Endpoint) -> str:
        return describe_filters(endpoint)

    def is_cancelling(self, endpoint: Endpoint) -> bool:
        return endpoint.cancel_up_to is not None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_previous_until(self, endpoint: Endpoint) -> Any:
        until = endpoint.previous_secret_until
        if until is None or until <= timezone.now():
            return None
        return serializers.DateTimeField().to_representation(until)


class EndpointChangeSerializer(StrictSerializer):
    """The fields of an endpoint that can be changed. Fields that are not sent stay as they are."""

    name = serializers.CharField(
        max_length=60, allow_blank=True, required=False, help_text="Shown on pages; up to 60 characters."
    )
    url = serializers.CharField(
        max_length=4000,
        allow_blank=True,
        required=False,
        help_text="Where its hooks are sent. Empty removes the URL of the first endpoint.",
    )
    guaranteedHooks = serializers.BooleanField(
        source="guaranteed", required=False, help_text="Retry a hook until the response is 200."
    )
    parallelHooks = serializers.BooleanField(
        source="parallel", required=False, help_text="Send up to 16 hooks at a time, in any order."
    )
    strictOrder = serializers.BooleanField(
        source="strict", required=False, help_text="Never send a hook before the result of the one before it."
    )
    filters = FiltersSerializer(required=False, help_text="Filters that are not sent stay as they are.")


class NewEndpointSerializer(EndpointChangeSerializer):
    """A new endpoint. Only its URL is required."""

    url = serializers.CharField(max_length=4000, help_text="Where its hooks are sent.")
