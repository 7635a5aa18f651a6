"""The sandbox's contacts."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from instances import chat_ids
from instances.api.sandbox.fields import UrlOrEmpty
from instances.api.serializers.strict import StrictSerializer

MAX_SECONDS = 86_400


class ContactChangeSerializer(StrictSerializer):
    """A contact's name, picture and behaviour."""

    name = serializers.CharField(
        max_length=100,
        allow_blank=True,
        required=False,
        help_text="The name in the phone's address book. A change sends a `chatUpdate`.",
    )
    image = UrlOrEmpty(
        max_length=2000,
        allow_blank=True,
        required=False,
        help_text="The URL of the picture, or empty. A change sends a `chatUpdate`.",
    )
    hasAccount = serializers.BooleanField(
        source="has_account",
        required=False,
        help_text="Whether the contact uses the messenger (`checkPhone`). If not, messages to them stay at `sent`.",
    )
    online = serializers.BooleanField(
        required=False,
        help_text="While offline, a contact receives and reads nothing; the acks follow when they are back online.",
    )
    blocks = serializers.BooleanField(
        required=False,
        help_text="Whether the contact blocks the instance's account. Messages sent meanwhile stay at `sent`.",
    )
    deliverAfter = serializers.IntegerField(
        source="deliver_after",
        min_value=0,
        max_value=MAX_SECONDS,
        allow_null=True,
        required=False,
        help_text="Seconds from sending a message until the contact receives it. Null: never. Default: 0.",
    )
    readAfter = serializers.IntegerField(
        source="read_after",
        min_value=0,
        max_value=MAX_SECONDS,
        allow_null=True,
        required=False,
        help_text="Seconds from receiving a message until the contact reads it. Null: never. Default: null.",
    )


class ContactSerializer(ContactChangeSerializer):
    """A contact's current configuration."""

    chatId = serializers.CharField(source="chat_id", read_only=True)
    phone = serializers.SerializerMethodField()

    @extend_schema_field(str)
    def get_phone(self, contact: Any) -> str:
        return chat_ids.bare_id(contact.chat_id)


class ContactListSerializer(serializers.Serializer[Any]):
    """The configured contacts. Every other number is online, receives messages immediately and never reads them."""

    contacts = ContactSerializer(many=True)
