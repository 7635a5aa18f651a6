"""A capture in the REST API: a row of the list, the whole request, and the result of a replay."""

import base64
import binascii
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chatapi.ui.body_reading import readable
from hooks.explain.verdicts import failed_phase, technical_error, verdict_of
from hooks.models import Outcome, Phase, Side, Verdict
from instances.api.serializers.hooks import (
    BASE64,
    TEXT,
    AnswerSerializer,
    Encoding,
    TextOrNull,
    TimesSerializer,
    answer_json,
    encode_body,
)
from instances.api.serializers.strict import StrictSerializer
from testing_tools.api.bin_serializers import HeadersField
from testing_tools.api.parameters import FILTER_HELP
from testing_tools.verification.actions.captures import UNDO_FOR
from testing_tools.verification.filters import FIELDS, MAX_LENGTH, MAX_TERMS, Filter
from testing_tools.verification.models import Capture, Family
from testing_tools.verification.reading.hook_signatures import SIGNATURE_STATES
from testing_tools.verification.reading.read_capture import read_capture
from testing_tools.verification.replays import METHODS, Replayed

MAX_WAIT = 30  # seconds for the next capture


class FilterField(serializers.CharField):
    """The filter of the bin's page. A term without effect is an error: ignored, it would match every capture."""

    def __init__(self, help_text: str = FILTER_HELP) -> None:
        super().__init__(
            required=False, allow_blank=True, default="", max_length=MAX_LENGTH, help_text=help_text
        )

    def run_validation(self, data: Any = serializers.empty) -> Any:
        found = Filter(super().run_validation(data))
        if found.ignored:
            raise serializers.ValidationError(
                f"These terms have no effect: {' '.join(found.ignored)}. Use up to {MAX_TERMS} terms of the form "
                f"field:value, with a value that the field has. The fields are: {', '.join(FIELDS)}."
            )
        return found


class ListQuerySerializer(StrictSerializer):
    """The parameters of the list."""

    q = FilterField()
    cursor = serializers.CharField(required=False, allow_blank=True)
    limit = serializers.CharField(required=False)


class NextQuerySerializer(StrictSerializer):
    """Which capture to wait for, and how long."""

    q = FilterField()
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False, default=0)
    wait = serializers.FloatField(min_value=0, max_value=MAX_WAIT, required=False, default=0)


class CaptureAnswerSerializer(serializers.Serializer[Capture]):
    """The response that the bin sent."""

    status = serializers.IntegerField()
    note = serializers.CharField(source="answer_note", help_text="Why, if it is not the configured one.")


class CaptureRowSerializer(serializers.ModelSerializer[Capture]):
    """One request stored by a bin, without its query, headers and body."""

    id = serializers.CharField(source="public_id")
    number = serializers.IntegerField(
        help_text="Counts the captures of its bin from 1, without gaps, in the order in which they were stored."
    )
    receivedAt = serializers.DateTimeField(source="at")
    method = serializers.CharField()
    path = serializers.CharField(help_text="The path after the bin's key, as sent.")
    httpVersion = serializers.CharField(source="http_version")
    remoteAddress = serializers.CharField(
        source="remote_address", allow_null=True, help_text="The sender's IP address."
    )
    kind = serializers.ChoiceField(
        choices=Family.choices, source="family", help_text="The kind of hook. `other`: not a hook."
    )
    label = serializers.CharField(  # type: ignore[assignment]  # a field of this name, not its label
        help_text="Its content in two or three words."
    )
    summary = serializers.CharField(help_text="Its content in one line.")
    attempt = serializers.CharField(help_text="The header `webhook-attempt`; empty if there is none.")
    size = serializers.IntegerField(help_text="Bytes of the body.")
    tooLarge = serializers.BooleanField(source="too_large", help_text="Whether the body was not stored.")
    answer = CaptureAnswerSerializer(source="*")
    note = serializers.CharField(help_text="The note that users wrote.")
    readAt = serializers.DateTimeField(
        source="read_at", allow_null=True, help_text="When a user first opened it on a page. Null: unread."
    )

    class Meta:
        model = Capture
        fields: tuple[str, ...] = (
            "id", "number", "receivedAt", "method", "path", "httpVersion", "remoteAddress", "kind", "label", "summary",
            "attempt", "size", "tooLarge", "answer", "note", "readAt",
        )  # fmt: skip
        read_only_fields = fields


class SignatureSerializer(serializers.Serializer[Any]):
    """The check of `webhook-signature` with the secrets of the bin's instance."""

    state = serializers.ChoiceField(
        choices=SIGNATURE_STATES,
        help_text="`none`: not signed; `unchecked`: the bin belongs to no instance; `stale`: the timestamp is more "
        "than 5 minutes from the arrival.",
    )
    explanation = serializers.CharField(source="why")


class CaptureSerializer(CaptureRowSerializer):
    """One request stored by a bin, whole. Fetch it with its bin and the instance's endpoint."""

    query = serializers.CharField(help_text="As sent, without `?`.")
    headers = HeadersField(help_text="`[name, value]` pairs, with their order and case.")
    body = serializers.SerializerMethodField(help_text="Every byte of the body; empty if it was not stored.")
    bodyEncoding = serializers.SerializerMethodField(method_name="get_encoding")
    decodedBody = serializers.SerializerMethodField(
        method_name="get_decoded",
        help_text="The body as text, if it is packed (gzip, deflate) or has another charset than UTF-8. Else null.",
    )
    decodedFrom = serializers.SerializerMethodField(
        method_name="get_decoded_from",
        help_text="What `decodedBody` was decoded from: `gzip, windows-1251`. Null if `decodedBody` is null.",
    )
    decodingNote = serializers.SerializerMethodField(
        method_name="get_decoding_note",
        help_text="What is missing from the text, and why. Null if nothing is.",
    )
    signature = serializers.SerializerMethodField()
    explanation = serializers.SerializerMethodField(help_text="What it is, in a sentence.")

    class Meta(CaptureRowSerializer.Meta):
        fields = (
            *CaptureRowSerializer.Meta.fields, "query", "headers", "body", "bodyEncoding", "decodedBody", "decodedFrom",
            "decodingNote", "signature", "explanation",
        )  # fmt: skip

    def to_representation(self, capture: Capture) -> dict[str, Any]:
        body = bytes(capture.body)
        self.encoded = encode_body(body)
        self.decoded = readable(body, capture.headers)
        self.read = read_capture(capture)
        return super().to_representation(capture)

    def get_body(self, capture: Capture) -> str:
        return self.encoded[0]

    @extend_schema_field(Encoding())
    def get_encoding(self, capture: Capture) -> str:
        return self.encoded[1]

    def get_decoded(self, capture: Capture) -> str | None:
        return self.decoded.text if self.decoded.decoded_from else None

    def get_decoded_from(self, capture: Capture) -> str | None:
        return self.decoded.decoded_from or None

    def get_decoding_note(self, capture: Capture) -> str | None:
        return self.decoded.note or None

    @extend_schema_field(SignatureSerializer)
    def get_signature(self, capture: Capture) -> Any:
        return SignatureSerializer(self.read.signature).data

    def get_explanation(self, capture: Capture) -> str:
        return str(self.read.sentence)


class NextCaptureSerializer(serializers.Serializer[Any]):
    """The next capture, and the number to continue from."""

    capture = CaptureSerializer(allow_null=True, help_text="Null: none arrived in time.")
    lastNumber = serializers.IntegerField(help_text="Send it as `after` to get the one after this.")


class NoteSerializer(StrictSerializer):
    """The note of a capture."""

    note = serializers.CharField(max_length=500, allow_blank=True, help_text="Empty removes it.")


class FilterBodySerializer(StrictSerializer):
    """Which captures."""

    q = FilterField(help_text=f"{FILTER_HELP} Default: all captures.")


class DeletedSerializer(serializers.Serializer[Any]):
    """What was deleted."""

    removed = serializers.IntegerField(help_text="The number of captures deleted.")
    deletedAt = serializers.DateTimeField(
        help_text=f"Restores them within {UNDO_FOR.seconds // 60} minutes, see `restoreCaptures`."
    )


class RestoreSerializer(StrictSerializer):
    """Which deletion to undo."""

    deletedAt = serializers.DateTimeField(help_text="`deletedAt` of its response.")


class RestoredSerializer(serializers.Serializer[Any]):
    """What was restored."""

    restored = serializers.IntegerField(help_text="The number of captures restored.")


class NewReplaySerializer(StrictSerializer):
    """Where to send a capture, and what to change. Fields that are not sent are as captured."""

    url = serializers.CharField(
        max_length=4000,
        help_text="Any URL that a hook may go to. It is sent now, and redirects are not followed.",
    )
    method = serializers.CharField(required=False, max_length=20, help_text=f"One of {', '.join(METHODS)}.")
    headers = HeadersField(
        required=False,
        help_text="`[name, value]` pairs instead of the captured headers. `Host`, `Content-Length` and headers of the "
        "connection are never sent as given.",
    )
    body = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    bodyEncoding = Encoding(required=False, default=TEXT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        encoding, body = attrs.pop("bodyEncoding"), attrs.get("body")
        if body is None:
            return attrs
        try:
            attrs["body"] = base64.b64decode(body, validate=True) if encoding == BASE64 else body.encode()
        except (binascii.Error, ValueError):
            raise serializers.ValidationError({"body": "Must be base64, as `bodyEncoding` says."}) from None
        return attrs


class SentRequestSerializer(serializers.Serializer[Any]):
    """The request that was sent."""

    method = serializers.CharField()
    url = serializers.CharField()
    headers = HeadersField(help_text="`[name, value]` pairs. libcurl adds `Host` and `Content-Length`.")
    body = serializers.CharField()
    bodyEncoding = Encoding()


class ReplaySerializer(serializers.Serializer[Any]):
    """The result of a replay, in the form of an attempt of a hook. It is not stored."""

    request = SentRequestSerializer()
    address = TextOrNull(help_text="The IP address and the port it connected to. Null: none.")
    answer = AnswerSerializer(allow_null=True, help_text="Null: no response was received.")
    times = TimesSerializer()
    verdict = serializers.ChoiceField(choices=Verdict.choices)
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    failedPhase = serializers.ChoiceField(
        choices=Phase.choices,
        allow_null=True,
        help_text="The phase in which it failed. Null: all phases completed.",
    )
    side = serializers.ChoiceField(
        choices=Side.choices,
        allow_null=True,
        help_text="The side that caused the failure. Null: none failed.",
    )
    error = serializers.CharField(allow_null=True, help_text="The technical error. Null: none.")
    explanation = serializers.CharField(help_text="What happened.")
    nextStep = serializers.CharField(help_text="What to do about it. Empty if there is nothing to do.")


def replay_json(replayed: Replayed) -> dict[str, Any]:
    """The data of ReplaySerializer."""
    request, response, explanation = replayed.request, replayed.response, replayed.explanation
    body, encoding = encode_body(request.body)
    phase = failed_phase(response)
    return {
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": [list(pair) for pair in request.headers],
            "body": body,
            "bodyEncoding": encoding,
        },
        "address": response.address or None,
        "answer": None
        if response.status is None
        else answer_json(
            response.status, response.headers, response.body, size=response.size, is_cut=replayed.is_cut
        ),
        "times": TimesSerializer(response).data,
        "verdict": verdict_of(response).value,
        "outcome": Outcome(response.outcome).value,
        "failedPhase": phase.value if phase else None,
        "side": replayed.side or None,
        "error": technical_error(response) or None,
        "explanation": explanation.sentence,
        "nextStep": explanation.next_step,
    }
