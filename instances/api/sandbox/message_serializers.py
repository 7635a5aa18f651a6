"""Messages, calls and receipts of the sandbox."""

import re
from typing import Any
from urllib.parse import urlsplit

from rest_framework import serializers

from instances import chat_ids
from instances.api.sandbox.fields import FileField, PhoneField, person
from instances.api.serializers.strict import StrictSerializer, choice
from instances.models import (
    FILE_TYPES,
    Ack,
    MessageType,
)

A_GROUP = "It takes the id of a group, like 17680561234-1479621234@g.us; leave it out otherwise."


PLACE = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,15})?;-?[0-9]{1,3}(\.[0-9]{1,15})?")


class ContentSerializer(StrictSerializer):
    """What every message has: its type and its content, or a file."""

    type = choice(
        MessageType, required=False, help_text="`chat` by default; with a `file`, what the file is."
    )
    body = serializers.CharField(
        max_length=65_536, allow_blank=True, trim_whitespace=False, required=False, default="",
        help_text="Text; the address of a file, which ends in its extension; `lat;lng`; a vCard. Needed, except for a "
        "missed call and beside a `file`.",
    )  # fmt: skip
    file = FileField(
        required=False,
        help_text="In place of `body`: a file of a multipart form, `data:image/jpeg;base64,…` (JSON takes 2 MB), or an "
        "address from which it is fetched. It is kept for 30 days; its link becomes the message's `body`.",
    )
    filename = serializers.CharField(
        max_length=200, required=False, default="", help_text="Of the `file`, such as photo.jpg."
    )
    caption = serializers.CharField(
        max_length=4096, allow_null=True, trim_whitespace=False, required=False, default=None,
        help_text="Under a picture, video or file.",
    )  # fmt: skip
    quotedMsgId = serializers.CharField(
        required=False,
        default=None,
        help_text="The id of the message that it answers, one of this instance's.",
    )
    isForwarded = serializers.IntegerField(
        min_value=0, max_value=127, required=False, default=0, help_text="How often it was forwarded."
    )
    time = serializers.IntegerField(
        min_value=0, max_value=4_102_444_800, required=False, default=None,
        help_text="Unix seconds; now by default. One long past is what `ignoreOldMessages` is about.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("file") is None:
            attrs["type"] = attrs.get("type") or MessageType.CHAT
            wrong = wrong_body(attrs["type"], attrs["body"])
            if wrong:
                raise serializers.ValidationError({"body": wrong})
        elif attrs["body"]:
            raise serializers.ValidationError({"body": "Leave it out beside a file; words go into caption."})
        elif attrs.get("type") and attrs["type"] not in FILE_TYPES:
            raise serializers.ValidationError({"file": f"A message of type {attrs['type']} carries none."})
        return attrs


def wrong_body(type: str, body: str) -> str:
    """What is wrong with the body of a message of this type; empty when it is right."""
    if type == MessageType.CALL_LOG:
        return ""
    if not body.strip():
        return f"It takes the content of a message of type {type}, and is empty."
    if type in FILE_TYPES and not is_address_of_file(body):
        return f"Of type {type} it takes the address of a file that ends in its extension: https://example.com/a.jpg."
    if type == MessageType.LOCATION and not is_place(body):
        return "It takes latitude and longitude in degrees with a semicolon between: 52.5200;13.4050."
    if type == MessageType.VCARD and not body.lstrip().upper().startswith("BEGIN:VCARD"):
        return "It takes a vCard: BEGIN:VCARD, lines, END:VCARD."
    return ""


def is_address_of_file(body: str) -> bool:
    try:
        parts = urlsplit(body)
    except ValueError:
        return False
    ends = re.search(r"/[^/]+\.[A-Za-z0-9]{1,9}$", parts.path)
    return parts.scheme in ("http", "https") and bool(parts.netloc and ends)


def is_place(body: str) -> bool:
    if not PLACE.fullmatch(body):
        return False
    latitude, longitude = (float(part) for part in body.split(";"))
    return abs(latitude) <= 90 and abs(longitude) <= 180


class NewSandboxMessageSerializer(ContentSerializer):
    """A message that a contact writes to the instance."""

    name = serializers.CharField(
        max_length=200,
        allow_blank=True,
        required=False,
        default="",
        help_text="The contact's name, as the phone knows it.",
    )
    chatId = serializers.CharField(
        required=False, default=None, help_text="The group, when it is written there."
    )

    def get_fields(self) -> dict[str, Any]:
        # `from` cannot be an attribute: it is a keyword of the language
        sender = serializers.CharField(
            help_text="The contact: a phone number in digits with its country code."
        )
        return {"from": sender, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wrong: dict[str, Any] = {}
        try:
            attrs["from"] = person(attrs["from"])
        except serializers.ValidationError as error:
            wrong["from"] = error.detail
        try:
            where = chat_ids.of_chat(attrs["chatId"]) if attrs["chatId"] else attrs["from"]
        except chat_ids.BadChatId:
            where = ""
        if attrs["chatId"] and where != attrs["from"] and not chat_ids.is_group(where):
            wrong["chatId"] = A_GROUP
        try:
            attrs = super().validate(attrs)
        except serializers.ValidationError as error:
            wrong |= dict(error.detail)  # type: ignore[arg-type]  # a dict, as we raise it
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


class NewCallSerializer(StrictSerializer):
    """A call that nobody took."""

    name = serializers.CharField(
        max_length=200, allow_blank=True, required=False, default="", help_text="The contact's name."
    )

    def get_fields(self) -> dict[str, Any]:
        return {
            "from": PhoneField(help_text="The contact: a phone number in digits with its country code."),
            **super().get_fields(),
        }


class NewPhoneMessageSerializer(ContentSerializer):
    """A message that somebody types on the instance's own phone."""

    chatId = serializers.CharField(
        help_text="To whom: a chat id, or a phone number with its country code.", max_length=100
    )

    def validate_chatId(self, value: str) -> str:
        try:
            return chat_ids.of_chat(value)
        except chat_ids.BadChatId as error:
            raise serializers.ValidationError(str(error)) from None


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
    """What became of a message that the instance has sent."""

    messageId = serializers.CharField(max_length=200, help_text="The `id` that sendMessage answered.")
    status = serializers.ChoiceField(
        choices=[(label, label) for label in Ack.labels],
        error_messages={"invalid_choice": f"Must be one of: {', '.join(Ack.labels)}."},
    )

    def get_fields(self) -> dict[str, Any]:
        who = PhoneField(
            required=False,
            default="",
            help_text="In a group: the member who got or read it; all of them, if it is left out. The group's tick "
            "comes with the last one.",
        )
        return {**super().get_fields(), "from": who}


class ReceiptSerializer(serializers.Serializer[Any]):
    """The message's status after the receipt."""

    messageId = serializers.CharField()
    status = serializers.ChoiceField(choices=[(label, label) for label in Ack.labels])
    changed = serializers.BooleanField(
        help_text="False when the message was that far already: a status never goes back."
    )
