"""The sandbox's groups."""

from typing import Any

from rest_framework import serializers

from instances.actions.chats.groups import GROUP_LIMIT, NAME_LIMIT
from instances.api.sandbox.fields import PhoneField, UrlOrEmpty
from instances.api.serializers.strict import StrictSerializer


class GroupMetadataSerializer(serializers.Serializer[Any]):
    """The participants of a group. `groupInviteLink` is null after the account has left it."""

    isGroup = serializers.BooleanField()
    participants = serializers.ListField(child=serializers.CharField())
    admins = serializers.ListField(child=serializers.CharField())
    groupInviteLink = serializers.CharField(allow_null=True)


class ChatSerializer(serializers.Serializer[Any]):
    """A chat in the format of hooks and the wire contract (Chat)."""

    id = serializers.CharField()
    name = serializers.CharField()
    image = serializers.CharField(allow_null=True)
    metadata = GroupMetadataSerializer()
    last_time = serializers.IntegerField(help_text="Unix seconds.")


class GroupListSerializer(serializers.Serializer[Any]):
    """The groups known to the account, newest first."""

    groups = ChatSerializer(many=True)


class NewGroupSerializer(StrictSerializer):
    """A group created by a contact, with the instance's account in it."""

    name = serializers.CharField(max_length=NAME_LIMIT)
    by = PhoneField(help_text="The contact who creates it and is its admin.")
    members = serializers.ListField(
        child=PhoneField(),
        required=False,
        default=list,
        max_length=GROUP_LIMIT - 1,
        help_text="Phone numbers of other members. The account is always a member.",
    )
    image = UrlOrEmpty(max_length=2000, allow_blank=True, required=False, default="")


class GroupChangeSerializer(StrictSerializer):
    """Changes by other members, all or none. The account is a member like the others, by its phone number."""

    name = serializers.CharField(max_length=NAME_LIMIT, required=False)
    image = UrlOrEmpty(max_length=2000, allow_blank=True, required=False)
    add = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)
    remove = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)
    promote = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)
    demote = serializers.ListField(child=PhoneField(), required=False, max_length=GROUP_LIMIT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs
