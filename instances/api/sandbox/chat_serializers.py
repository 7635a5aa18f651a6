"""A chat as its contacts see it."""

from typing import Any

from rest_framework import serializers

from instances import payloads
from instances.api.sandbox.group_serializers import ChatSerializer
from instances.api.sandbox.message_serializers import MessageSerializer
from instances.api.serializers.strict import StrictSerializer
from instances.models import (
    Chat,
)


class SeenChatSerializer(ChatSerializer):
    """A chat as its contacts see it: what the account is doing, and how far it has read."""

    activity = serializers.ChoiceField(
        choices=Chat.Activity.choices,
        allow_null=True,
        help_text="What the account is doing (`typing`, `recording`). Null: nothing.",
    )
    readUpTo = serializers.IntegerField(
        help_text="The `messageNumber` up to which the account has read. 0: none."
    )
    unread = serializers.IntegerField(help_text="The number of messages it has not read.")


class SeenMessagesSerializer(serializers.Serializer[Any]):
    """Messages of a chat, in order, and the number to continue from."""

    messages = MessageSerializer(many=True)
    lastMessageNumber = serializers.IntegerField(
        help_text="The number of the last message; the value of `after` if there is none."
    )


class SeenQuerySerializer(StrictSerializer):
    """Which messages to return, and how long to wait for one."""

    after = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=100, required=False, default=100)
    wait = serializers.FloatField(min_value=0, max_value=10, required=False, default=0)


def seen_chat_json(chat: Chat, *, active: bool) -> dict[str, Any]:
    """The data of SeenChatSerializer. `active`: whether its activity is still shown."""
    return {
        **payloads.chat_dict(chat),
        "activity": (chat.activity or None) if active else None,
        "readUpTo": chat.read_number,
        "unread": chat.unread,
    }
