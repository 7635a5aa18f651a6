"""What is done to a sandbox instance: a contact writes, a contact reads, the phone changes."""

from typing import Any

from rest_framework import serializers

from instances import chat_ids
from instances.api.serializers.strict import StrictSerializer, choice
from instances.models import AccountStatus, Ack, MessageType, Substatus


class NewSandboxMessageSerializer(StrictSerializer):
    """A message that a contact writes to the instance."""

    name = serializers.CharField(
        max_length=200,
        allow_blank=True,
        required=False,
        default="",
        help_text="The contact's name, as the phone knows it.",
    )
    type = choice(MessageType, required=False, default=MessageType.CHAT)
    body = serializers.CharField(
        max_length=65_536, allow_blank=True, trim_whitespace=False, required=False, default="",
        help_text="Text; the address of a file; `lat;lng`; a vCard. Needed, except for a missed call.",
    )  # fmt: skip
    caption = serializers.CharField(
        max_length=4096, allow_null=True, trim_whitespace=False, required=False, default=None,
        help_text="Under a picture, video or file.",
    )  # fmt: skip
    chatId = serializers.CharField(
        required=False, default=None, help_text="The group, when it is written there."
    )
    quotedMsgId = serializers.CharField(
        required=False,
        default=None,
        help_text="The id of the message that it answers, one of this instance's.",
    )

    def get_fields(self) -> dict[str, Any]:
        # `from` cannot be an attribute: it is a keyword of the language
        sender = serializers.CharField(
            help_text="The contact: a phone number in digits with its country code."
        )
        return {"from": sender, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wrong = {}
        try:
            attrs["from"] = chat_ids.of_phone(attrs["from"])
        except chat_ids.BadChatId:
            attrs["from"] = ""
        if not attrs["from"] or chat_ids.is_group(attrs["from"]):
            wrong["from"] = "It takes a phone number of 9 to 14 digits that starts with the country code."
        try:
            where = chat_ids.of_chat(attrs["chatId"]) if attrs["chatId"] else attrs["from"]
        except chat_ids.BadChatId:
            where = ""
        if attrs["chatId"] and where != attrs["from"] and not chat_ids.is_group(where):
            wrong["chatId"] = (
                "It takes the id of a group, like 17680561234-1479621234@g.us; leave it out otherwise."
            )
        if attrs["type"] != MessageType.CALL_LOG and not attrs["body"].strip():
            wrong["body"] = f"It takes the content of a message of type {attrs['type']}, and is empty."
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


class MessageSerializer(serializers.Serializer[Any]):
    """A message as hooks and the wire contract show it (M); `ack` is there on outgoing ones only."""

    id = serializers.CharField(help_text="`{fromMe}_{chatId}_{HEX}`, in groups `…_{author}` too.")
    body = serializers.CharField()
    fromMe = serializers.BooleanField()
    self = serializers.IntegerField(help_text="0 by the phone, 1 by the API.")
    isForwarded = serializers.IntegerField()
    author = serializers.CharField()
    time = serializers.IntegerField(help_text="Unix seconds.")
    chatId = serializers.CharField()
    messageNumber = serializers.IntegerField(help_text="Gapless per instance.")
    type = serializers.ChoiceField(choices=MessageType.choices)
    senderName = serializers.CharField()
    caption = serializers.CharField(allow_null=True)
    quotedMsgBody = serializers.CharField(allow_null=True)
    quotedMsgId = serializers.CharField(allow_null=True)
    quotedMsgType = serializers.CharField(allow_null=True)
    chatName = serializers.CharField()
    metadata = serializers.DictField(allow_null=True)
    ack = serializers.IntegerField(required=False, help_text="1 sent, 2 delivered, 3 viewed.")


class NewReceiptSerializer(StrictSerializer):
    """What became of a message that the API has sent."""

    messageId = serializers.CharField(max_length=200, help_text="The `id` that sendMessage answered.")
    status = serializers.ChoiceField(
        choices=[(label, label) for label in Ack.labels],
        error_messages={"invalid_choice": f"It takes one of: {', '.join(Ack.labels)}."},
    )


class ReceiptSerializer(serializers.Serializer[Any]):
    """The message's status after the receipt."""

    messageId = serializers.CharField()
    status = serializers.ChoiceField(choices=[(label, label) for label in Ack.labels])
    changed = serializers.BooleanField(
        help_text="False when the message was that far already: a status never goes back."
    )


class PhoneChangeSerializer(StrictSerializer):
    """The sandbox phone's new state: either of the two, or both."""

    accountStatus = choice(AccountStatus, required=False)
    substatus = choice(Substatus, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError("Give accountStatus or substatus or both.")
        return attrs


class PhoneSerializer(serializers.Serializer[Any]):
    """The sandbox phone's state; `accountStatus` as it is, also while the instance is not paid."""

    accountStatus = serializers.ChoiceField(source="account_status", choices=AccountStatus.choices)
    substatus = serializers.ChoiceField(choices=Substatus.choices)
    phone = serializers.CharField()
