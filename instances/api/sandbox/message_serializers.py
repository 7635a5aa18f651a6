"""Messages, calls and receipts of the sandbox."""

import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.utils.serializer_helpers import BindingDict

from instances import chat_ids
from instances.actions.sending.accept import TEXT_LIMIT, VCARD_LIMIT
from instances.api.sandbox.fields import (
    FileField,
    FormFileField,
    PhoneField,
    check_characters_at_once,
    parse_phone,
)
from instances.api.serializers.strict import StrictSerializer, choice
from instances.models import (
    FILE_TYPES,
    Ack,
    MessageType,
)

GROUP_ERROR = "Must be the id of a group, like 17680561234-1479621234@g.us. Omit it for a direct message."


COORDINATES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,15})?;-?[0-9]{1,3}(\.[0-9]{1,15})?")


FORM_FILE_HELP = "Instead of `body`. It is stored for 30 days; its link becomes the message's `body`."


class ContentSerializer(StrictSerializer):
    """The type and the content of a message, or a file."""

    type = choice(
        MessageType, required=False, help_text="Default: `chat`; with a `file`, the type of the file."
    )
    body = serializers.CharField(
        max_length=VCARD_LIMIT, allow_blank=True, trim_whitespace=False, required=False, default="",
        help_text="A text, the URL of a file with its extension, `lat;lng`, or a vCard. A text may have 65536 bytes, a "
        "vCard 1048576. Required, except for a missed call and with a `file`.",
    )  # fmt: skip
    file = FileField(
        required=False,
        help_text="Instead of `body`: a file of a multipart form, `data:image/jpeg;base64,…` (JSON is limited to 2 "
        "MB), or a URL to fetch it from. It is stored for 30 days; its link becomes the message's `body`.",
    )
    filename = serializers.CharField(
        max_length=200,
        allow_blank=True,
        required=False,
        default="",
        help_text="The name of the `file`, such as photo.jpg.",
    )
    caption = serializers.CharField(
        max_length=4096, allow_null=True, trim_whitespace=False, required=False, default=None,
        help_text="Shown below an image, video or file.",
    )  # fmt: skip
    quotedMsgId = serializers.CharField(
        required=False,
        default=None,
        help_text="The id of the message it quotes, of this instance.",
    )
    isForwarded = serializers.IntegerField(
        min_value=0, max_value=127, required=False, default=0, help_text="How often it was forwarded."
    )
    time = serializers.IntegerField(
        min_value=0, max_value=4_102_444_800, required=False, default=None,
        help_text="Unix seconds. Default: now. Use an old time to test `ignoreOldMessages`.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("file") is None:
            attrs["type"] = attrs.get("type") or MessageType.CHAT
            wrong = body_error(attrs["type"], attrs["body"])
            if wrong:
                raise serializers.ValidationError({"body": wrong})
        elif attrs["body"]:
            raise serializers.ValidationError(
                {"body": "Omit it if you send a file. Use `caption` for a text."}
            )
        elif attrs.get("type") and attrs["type"] not in FILE_TYPES:
            raise serializers.ValidationError(
                {"file": f"A message of type {attrs['type']} cannot have a file."}
            )
        return attrs


def body_error(type: str, body: str) -> str:
    """What is wrong with the body of a message of this type. Empty if it is valid."""
    if type == MessageType.CALL_LOG:
        return ""
    limit = VCARD_LIMIT if type == MessageType.VCARD else TEXT_LIMIT
    if len(body.encode()) > limit:
        return f"Must be at most {limit} bytes in a message of type {type}."
    if not body.strip():
        return f"Must not be empty in a message of type {type}."
    if type in FILE_TYPES and not is_file_url(body):
        return f"Must be the URL of a file with its extension in a message of type {type}: https://example.com/a.jpg."
    if type == MessageType.LOCATION and not is_location(body):
        return "Must be latitude and longitude in degrees, separated by a semicolon: 52.5200;13.4050."
    if type == MessageType.VCARD and not body.lstrip().upper().startswith("BEGIN:VCARD"):
        return "Must be a vCard: BEGIN:VCARD, lines, END:VCARD."
    return ""


def is_file_url(body: str) -> bool:
    try:
        parts = urlsplit(body)
    except ValueError:
        return False
    extension = re.search(r"/[^/]+\.[A-Za-z0-9]{1,9}$", parts.path)
    return parts.scheme in ("http", "https") and bool(parts.netloc and extension)


def is_location(body: str) -> bool:
    if not COORDINATES.fullmatch(body):
        return False
    latitude, longitude = (float(part) for part in body.split(";"))
    return abs(latitude) <= 90 and abs(longitude) <= 180


@cache
def shared_fields(serializer: type[StrictSerializer]) -> BindingDict:
    """The fields of all serializers of this class. DRF copies them for each; they keep nothing of a request."""
    found: BindingDict = serializers.Serializer.fields.func(serializer())  # type: ignore[attr-defined]
    for field in found.values():
        check_characters_at_once(field)
    return found


class NewSandboxMessageSerializer(ContentSerializer):
    """A message that a contact sends to the instance."""

    @property
    def fields(self) -> BindingDict:
        return shared_fields(type(self))

    name = serializers.CharField(
        max_length=200,
        allow_blank=True,
        required=False,
        default="",
        help_text="The contact's name in the phone's address book.",
    )
    chatId = serializers.CharField(required=False, default=None, help_text="The group, if it is sent to one.")

    def get_fields(self) -> dict[str, Any]:
        # `from` is a keyword in Python, so it cannot be a class attribute.
        sender = serializers.CharField(
            help_text="The contact: a phone number in digits with its country code."
        )
        return {"from": sender, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wrong: dict[str, Any] = {}
        try:
            attrs["from"] = parse_phone(attrs["from"])
        except serializers.ValidationError as error:
            wrong["from"] = error.detail
        try:
            where = chat_ids.of_chat(attrs["chatId"]) if attrs["chatId"] else attrs["from"]
        except chat_ids.BadChatId:
            where = ""
        if attrs["chatId"] and where != attrs["from"] and not chat_ids.is_group(where):
            wrong["chatId"] = GROUP_ERROR
        try:
            attrs = super().validate(attrs)
        except serializers.ValidationError as error:
            wrong |= dict(error.detail)  # type: ignore[arg-type]  # a dict, as we raise it
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


class NewSandboxMessageFormSerializer(NewSandboxMessageSerializer):
    """The same message as a form."""

    file = FormFileField(required=False, help_text=FORM_FILE_HELP)


# The fields of a text without options.
FIELDS_OF_TEXT = frozenset({"from", "name", "type", "body"})


@cache
def message_serializer() -> tuple[NewSandboxMessageSerializer, dict[str, Any]]:
    """A serializer that keeps nothing of a request, and the values of the fields that are not sent."""
    serializer = NewSandboxMessageSerializer()
    optional = {name: field for name, field in serializer.fields.items() if not field.required}
    return serializer, {
        name: field.get_default() for name, field in optional.items() if field.default is not empty
    }


def read_text(data: Any) -> dict[str, Any] | None:
    """The validated data of NewSandboxMessageSerializer if it is a text without options; None if it has an error.

    By the serializer's own fields and rules, without its loops over the fields that were not sent.
    """
    if type(data) is not dict or "from" not in data or not data.keys() <= FIELDS_OF_TEXT:
        return None
    serializer, defaults = message_serializer()
    fields = serializer.fields
    try:
        given = {name: fields[name].run_validation(value) for name, value in data.items()}
        attrs = serializer.validate(defaults | given)
    except serializers.ValidationError:
        return None
    return attrs if attrs["type"] == MessageType.CHAT else None


class NewCallSerializer(StrictSerializer):
    """A missed call."""

    name = serializers.CharField(
        max_length=200, allow_blank=True, required=False, default="", help_text="The contact's name."
    )

    def get_fields(self) -> dict[str, Any]:
        return {
            "from": PhoneField(help_text="The contact: a phone number in digits with its country code."),
            **super().get_fields(),
        }


class NewPhoneMessageSerializer(ContentSerializer):
    """A message typed on the instance's own phone."""

    chatId = serializers.CharField(
        help_text="The receiver: a chat id, or a phone number with its country code.", max_length=100
    )

    def validate_chatId(self, value: str) -> str:
        try:
            return chat_ids.of_chat(value)
        except chat_ids.BadChatId as error:
            raise serializers.ValidationError(str(error)) from None


class NewPhoneMessageFormSerializer(NewPhoneMessageSerializer):
    """The same message as a form."""

    file = FormFileField(required=False, help_text=FORM_FILE_HELP)


class MessageSerializer(serializers.Serializer[Any]):
    """A message in the format of hooks and the wire contract (M). Only outgoing messages have `ack`."""

    id = serializers.CharField(help_text="`{fromMe}_{chatId}_{HEX}`, in groups `…_{author}` too.")
    body = serializers.CharField()
    fromMe = serializers.BooleanField()
    self = serializers.IntegerField(help_text="0: sent by the phone, 1: by the API.")
    isForwarded = serializers.IntegerField()
    author = serializers.CharField()
    time = serializers.IntegerField(help_text="Unix seconds.")
    chatId = serializers.CharField()
    messageNumber = serializers.IntegerField(help_text="Counts per instance, without gaps.")
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
    """The receipt for a message that the instance has sent."""

    messageId = serializers.CharField(max_length=200, help_text="The `id` in the reply of sendMessage.")
    status = serializers.ChoiceField(
        choices=[(label, label) for label in Ack.labels],
        error_messages={"invalid_choice": f"Must be one of: {', '.join(Ack.labels)}."},
    )

    def get_fields(self) -> dict[str, Any]:
        who = PhoneField(
            required=False,
            default="",
            help_text="In a group: the member who received or read it. Default: all members. The group's ack follows "
            "the last member's receipt.",
        )
        return {**super().get_fields(), "from": who}


class ReceiptSerializer(serializers.Serializer[Any]):
    """The message's status after the receipt."""

    messageId = serializers.CharField()
    status = serializers.ChoiceField(choices=[(label, label) for label in Ack.labels])
    changed = serializers.BooleanField(
        help_text="False if the message already had this status or a later one: a status never goes back."
    )
