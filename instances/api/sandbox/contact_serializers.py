"""The sandbox's contacts."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from instances import chat_ids
from instances.api.serializers.strict import StrictSerializer

MOST_SECONDS = 86_400


class ContactChangeSerializer(StrictSerializer):
    """A contact's name, picture and mind."""

    name = serializers.CharField(
        max_length=100,
        allow_blank=True,
        required=False,
        help_text="As the phone's address book has it. A new one makes a `chatUpdate`.",
    )
    image = serializers.URLField(
        max_length=2000,
        allow_blank=True,
        required=False,
        help_text="The address of the picture. A new one makes a `chatUpdate`.",
    )
    hasAccount = serializers.BooleanField(
        source="has_account",
        required=False,
        help_text="Uses the messenger: `checkPhone` says so. If not, what is sent to them stays at sent, for good.",
    )
    online = serializers.BooleanField(
        required=False,
        help_text="Offline, they neither get nor read anything; the ticks come when they are back.",
    )
    blocks = serializers.BooleanField(
        required=False,
        help_text="Has blocked the instance's account: what is sent meanwhile stays at sent, for good.",
    )
    deliverAfter = serializers.IntegerField(
        source="deliver_after",
        min_value=0,
        max_value=MOST_SECONDS,
        allow_null=True,
        required=False,
        help_text="Gets a message so many seconds after it was sent; null: never. 0 by default.",
    )
    readAfter = serializers.IntegerField(
        source="read_after",
        min_value=0,
        max_value=MOST_SECONDS,
        allow_null=True,
        required=False,
        help_text="Reads a message so many seconds after getting it; null, the default: never.",
    )


class ContactSerializer(ContactChangeSerializer):
    """A contact as they are now."""

    chatId = serializers.CharField(source="chat_id", read_only=True)
    phone = serializers.SerializerMethodField()

    @extend_schema_field(str)
    def get_phone(self, contact: Any) -> str:
        return chat_ids.digits(contact.chat_id)


class ContactsSerializer(serializers.Serializer[Any]):
    """The contacts of whom something was said; every other number is online, gets all at once and never reads."""

    contacts = ContactSerializer(many=True)
