"""The sandbox's contacts and groups, and a chat as those who are in it see it."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from instances import chat_ids, payloads
from instances.actions.chats.groups import GROUP_LIMIT, NAME_LIMIT
from instances.api.sandbox.serializers import MessageSerializer, PhoneField
from instances.api.serializers.strict import StrictSerializer
from instances.models import Chat

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


class GroupMetadataSerializer(serializers.Serializer[Any]):
    """Who is in a group; `groupInviteLink` is null once the account has left it."""

    isGroup = serializers.BooleanField()
    participants = serializers.ListField(child=serializers.CharField())
    admins = serializers.ListField(child=serializers.CharField())
    groupInviteLink = serializers.CharField(allow_null=True)


class ChatSerializer(serializers.Serializer[Any]):
    """A chat as hooks and the wire contract show it (Chat)."""

    id = serializers.CharField()
    name = serializers.CharField()
    image = serializers.CharField(allow_null=True)
    metadata = GroupMetadataSerializer()
    last_time = serializers.IntegerField(help_text="Unix seconds.")


class SeenChatSerializer(ChatSerializer):
    """A chat as its contacts see it: what the account does in there, and how far it has read."""

    activity = serializers.ChoiceField(
        choices=Chat.Activity.choices,
        allow_null=True,
        help_text="What the account is seen doing (`typing`, `recording`); null: nothing.",
    )
    readUpTo = serializers.IntegerField(
        help_text="The `messageNumber` up to which the account has read; 0 for nothing."
    )
    unread = serializers.IntegerField(help_text="How many messages it has not read.")


class GroupsSerializer(serializers.Serializer[Any]):
    """The groups that the account has been told of, the newest first."""

    groups = ChatSerializer(many=True)


class SeenMessagesSerializer(serializers.Serializer[Any]):
    """Messages of a chat, in their order, with the number to go on from."""

    messages = MessageSerializer(many=True)
    lastMessageNumber = serializers.IntegerField(
        help_text="Of the last one; what was asked `after`, when there is none."
    )


class SeenQuerySerializer(StrictSerializer):
    """Which messages of a chat, and how long to wait for one."""

    after = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=100, required=False, default=100)
    wait = serializers.FloatField(min_value=0, max_value=10, required=False, default=0)


class NewGroupSerializer(StrictSerializer):
    """A group that a contact makes, with the instance's account in it."""

    name = serializers.CharField(max_length=NAME_LIMIT)
    by = PhoneField(help_text="The contact who makes it, and is its admin.")
    members = serializers.ListField(
        child=PhoneField(),
        required=False,
        default=list,
        max_length=GROUP_LIMIT - 1,
        help_text="Phone numbers of further members; the account is one anyway.",
    )
    image = serializers.URLField(max_length=2000, required=False, default="")


class GroupChangeSerializer(StrictSerializer):
    """What other members do with a group. All or nothing; the account's own phone number is a member like others."""

    name = serializers.CharField(max_length=NAME_LIMIT, required=False)
    image = serializers.URLField(max_length=2000, allow_blank=True, required=False)
    add = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)
    remove = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)
    promote = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)
    demote = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs


def seen_chat(chat: Chat, *, active: bool) -> dict[str, Any]:
    """What SeenChatSerializer describes; `active`: is its activity still going on?"""
    return {
        **payloads.chat_dict(chat),
        "activity": (chat.activity or None) if active else None,
        "readUpTo": chat.read_number,
        "unread": chat.unread,
    }
