"""What is done to a sandbox instance: contacts write, call and read, somebody types on its phone, the phone changes."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from instances import chat_ids
from instances.api.serializers.strict import StrictSerializer, choice
from instances.channels.sandbox.actions.phone import PHONE_EVENTS
from instances.models import FILE_TYPES, AccountStatus, Ack, LoadingReason, MessageType, Substatus

A_PHONE = "It takes a phone number of 9 to 14 digits that starts with the country code."
A_GROUP = "It takes the id of a group, like 17680561234-1479621234@g.us; leave it out otherwise."
PLACE = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,15})?;-?[0-9]{1,3}(\.[0-9]{1,15})?")


def person(phone: Any) -> str:
    """The chat id of somebody whose phone number or chat id this is. Raises ValidationError."""
    try:
        found = chat_ids.of_phone(str(phone))
    except chat_ids.BadChatId:
        found = ""
    if not found or chat_ids.is_group(found):
        raise serializers.ValidationError(A_PHONE)
    return found


class PhoneField(serializers.CharField):
    """A phone number in any usual way, or its chat id; becomes the chat id."""

    def to_internal_value(self, data: Any) -> str:
        return person(super().to_internal_value(data))


@extend_schema_field({"type": "string"})
class FileField(serializers.Field[Any, Any, Any, Any]):
    """A file: of a multipart form, `data:…;base64,…`, or an address from which it is fetched."""

    def to_internal_value(self, data: Any) -> UploadedFile | str:
        if isinstance(data, UploadedFile):
            return data
        if isinstance(data, str) and re.match(r"(data:|https?://)", data.strip(), re.IGNORECASE):
            return data.strip()
        raise serializers.ValidationError(
            "It takes the address of a file (https://…), data:image/jpeg;base64,…, or a file of a multipart form."
        )


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


class PhoneChangeSerializer(StrictSerializer):
    """The sandbox phone's new state: any of these."""

    accountStatus = choice(AccountStatus, required=False)
    substatus = choice(Substatus, required=False)
    reason = choice(LoadingReason, required=False)
    battery = serializers.IntegerField(
        min_value=0,
        max_value=100,
        required=False,
        help_text="Percent. At 20, 10 and 5 a connected phone says that it is low, by its `substatus`.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs


class PhoneEventSerializer(StrictSerializer):
    """Something that happens to the phone."""

    event = serializers.ChoiceField(
        choices=[(event, event) for event in PHONE_EVENTS],
        error_messages={"invalid_choice": f"Must be one of: {', '.join(PHONE_EVENTS)}."},
        help_text="`scan` the QR code · `log_out` · `disconnect` the phone from the internet, `connect` it again · "
        "`take_over`: another computer opens the session · `sync`: synchronisation begins, `synced`: it is over.",
    )


class PhoneSerializer(serializers.Serializer[Any]):
    """The sandbox phone's state; `accountStatus` as it is, also while the instance is not paid."""

    accountStatus = serializers.ChoiceField(source="account_status", choices=AccountStatus.choices)
    substatus = serializers.ChoiceField(choices=Substatus.choices)
    reason = serializers.SerializerMethodField(help_text="Why it is loading, if that is known.")
    battery = serializers.IntegerField(help_text="Percent.")
    phone = serializers.CharField()

    @extend_schema_field({"type": "string", "nullable": True, "enum": [*LoadingReason.values, None]})
    def get_reason(self, instance: Any) -> str | None:
        return instance.loading_reason or None
