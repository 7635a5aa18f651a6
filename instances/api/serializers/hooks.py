"""A hook of the delivery log with its attempts: requests, responses and timings."""

import base64
from typing import Any

from django.db.models import prefetch_related_objects
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chatapi.ui.body_reading import cut_text, readable
from hooks.explain.sentences import explain, explain_hook
from hooks.explain.suggested_urls import suggested_url
from hooks.explain.verdicts import explanation_in_full, failed_phase, technical_error, verdict_of
from hooks.models import Attempt, Hook, Kind, Outcome, Phase, Side, SkipReason, State, Trigger, Verdict
from instances.actions.fixes import SETTINGS, suggested_fixes

TEXT, BASE64 = "text", "base64"


def encode_body(body: bytes | memoryview, *, is_cut: bool = False) -> tuple[str, str]:
    """Returns bytes as (string, encoding): text if they are UTF-8, else base64.

    With `is_cut` an incomplete character at the end of the text is left out.
    """
    try:
        return cut_text(bytes(body), is_cut=is_cut), TEXT
    except UnicodeDecodeError:
        return base64.b64encode(bytes(body)).decode(), BASE64


def stored_body(
    hook: Hook, body: bytes | memoryview, *, is_cut: bool = False
) -> tuple[str | None, str | None]:
    """The same for the body of a hook or of a response. (None, None) if it was deleted because of its age."""
    return (None, None) if hook.body_dropped_at and not body else encode_body(body, is_cut=is_cut)


class Encoding(serializers.ChoiceField):
    """The encoding of `body`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            choices=[TEXT, BASE64], help_text="`text`: UTF-8; `base64`: the bytes are not UTF-8.", **options
        )


class TextOrNull(serializers.CharField):
    """An empty string in the model is null in JSON."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)

    def to_representation(self, value: str) -> Any:
        return value or None


class ChoiceOrNull(serializers.ChoiceField):
    """The same for a choice."""

    def __init__(self, choices: type[Any], **options: Any) -> None:
        super().__init__(choices=choices.choices, allow_null=True, **options)

    def to_representation(self, value: str) -> Any:
        return value or None


class SuggestedUrl(TextOrNull):
    """The URL of the button “Use this URL”. `fixes` of the object: instances.actions.fixes.Fixes."""

    def __init__(self, help_text: str) -> None:
        super().__init__(source="fixes.suggested_url", help_text=help_text)


class SuggestedSetting(serializers.ChoiceField):
    """The setting of the button “Turn on …”. `fixes` of the object: the same."""

    def __init__(self, help_text: str) -> None:
        super().__init__(choices=SETTINGS, source="fixes.setting", allow_null=True, help_text=help_text)

    def to_representation(self, value: str) -> Any:
        return value or None


class RequestSerializer(serializers.Serializer[Any]):
    """The request of an attempt."""

    method = serializers.CharField()
    url = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField(allow_null=True)
    bodyEncoding = Encoding(allow_null=True)


class AnswerSerializer(serializers.Serializer[Any]):
    """The endpoint's response. The first 8 KB of its body are stored."""

    status = serializers.IntegerField()
    headers = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(), min_length=2, max_length=2),
        help_text="`[name, value]` pairs, in the order received.",
    )
    body = serializers.CharField(allow_null=True)
    bodyEncoding = Encoding(allow_null=True)
    decodedBody = serializers.CharField(
        allow_null=True,
        help_text="The body as text, if it is packed (gzip, deflate) or has another charset than UTF-8. Else null.",
    )
    decodedFrom = serializers.CharField(
        allow_null=True,
        help_text="What `decodedBody` was decoded from: `gzip, windows-1251`. Null if `decodedBody` is null.",
    )
    decodingNote = serializers.CharField(
        allow_null=True, help_text="What is missing from the text, and why. Null if nothing is."
    )
    size = serializers.IntegerField(
        help_text="The number of bytes received. Larger than `body` if `body` was cut off."
    )


def answer_json(
    status: int, headers: list[list[str]], body: bytes, *, size: int, is_cut: bool
) -> dict[str, Any]:
    """The data of AnswerSerializer."""
    text, encoding = encode_body(body, is_cut=is_cut)
    read = readable(body, headers, is_cut=is_cut)
    return {
        "status": status,
        "headers": headers,
        "body": text,
        "bodyEncoding": encoding,
        "decodedBody": read.text if read.decoded_from else None,
        "decodedFrom": read.decoded_from or None,
        "decodingNote": read.note or None,
        "size": size,
    }


class TimesSerializer(serializers.Serializer[Any]):
    """Milliseconds from the start to the end of each phase. Null: the phase was not reached."""

    nameMs = serializers.FloatField(source="name_ms", allow_null=True, help_text="DNS lookup done.")
    connectMs = serializers.FloatField(source="connect_ms", allow_null=True, help_text="Connected.")
    tlsMs = serializers.FloatField(source="tls_ms", allow_null=True, help_text="TLS handshake done.")
    firstByteMs = serializers.FloatField(
        source="first_byte_ms", allow_null=True, help_text="First byte of the response received."
    )
    totalMs = serializers.FloatField(source="total_ms", help_text="Response complete.")


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One attempt to deliver a hook."""

    trigger = serializers.ChoiceField(choices=Trigger.choices)
    startedAt = serializers.DateTimeField(source="started_at")
    address = TextOrNull(help_text="The IP address it connected to. Null: none.")
    request = serializers.SerializerMethodField()
    answer = serializers.SerializerMethodField(help_text="Null: no response was received.")
    times = TimesSerializer(source="*")
    verdict = serializers.SerializerMethodField(
        help_text="`no_complete_response`: your server took the request and may have processed it, so expect the same "
        "`webhook-id` again. `not_reached`: it did not get the request."
    )
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    failedPhase = serializers.SerializerMethodField(
        method_name="get_failed_phase", help_text="The phase in which it failed. Null: all phases completed."
    )
    side = ChoiceOrNull(Side, help_text="The side that caused the failure. Null if it was delivered.")
    error = serializers.SerializerMethodField(help_text="The technical error. Null: none.")
    explanation = serializers.SerializerMethodField(help_text="What happened.")
    nextStep = serializers.SerializerMethodField(
        method_name="get_next_step", help_text="What to do about it. Empty if there is nothing to do."
    )
    suggestedUrl = serializers.SerializerMethodField(
        method_name="get_suggested_url",
        help_text="The URL that the response named instead: the target of a redirect, or the same URL with https://. "
        "Null: none that can be used.",
    )

    class Meta:
        model = Attempt
        fields = (
            "number", "trigger", "startedAt", "address", "request", "answer", "times", "verdict", "outcome",
            "failedPhase", "side", "error", "explanation", "nextStep", "suggestedUrl",
        )  # fmt: skip

    @extend_schema_field(RequestSerializer)
    def get_request(self, attempt: Attempt) -> dict[str, Any]:
        body, encoding = stored_body(attempt.hook, attempt.hook.body)
        return {
            "method": "POST",
            "url": attempt.url,
            "headers": dict(attempt.request_headers),
            "body": body,
            "bodyEncoding": encoding,
        }

    @extend_schema_field(AnswerSerializer(allow_null=True))
    def get_answer(self, attempt: Attempt) -> dict[str, Any] | None:
        if attempt.status is None:
            return None
        found = answer_json(
            attempt.status,
            attempt.response_headers,
            bytes(attempt.response_body),
            size=attempt.response_size,
            is_cut=attempt.is_response_cut,
        )
        body, encoding = stored_body(attempt.hook, attempt.response_body, is_cut=attempt.is_response_cut)
        return found | {"body": body, "bodyEncoding": encoding}

    def get_explanation(self, attempt: Attempt) -> str:
        return explanation_in_full(attempt)

    @extend_schema_field(serializers.ChoiceField(choices=Verdict.choices))
    def get_verdict(self, attempt: Attempt) -> str:
        return verdict_of(attempt).value

    @extend_schema_field(serializers.ChoiceField(choices=Phase.choices, allow_null=True))
    def get_failed_phase(self, attempt: Attempt) -> str | None:
        phase = failed_phase(attempt)
        return phase.value if phase else None

    def get_error(self, attempt: Attempt) -> str | None:
        return technical_error(attempt) or None

    def get_next_step(self, attempt: Attempt) -> str:
        return explain(attempt).next_step

    def get_suggested_url(self, attempt: Attempt) -> str | None:
        return suggested_url(attempt) or None


class HookSerializer(serializers.ModelSerializer[Hook]):
    """One event to be delivered to one endpoint."""

    id = serializers.CharField(source="webhook_id", help_text="The `webhook-id` of its requests.")
    instanceId = serializers.CharField(source="endpoint.instance.number")
    endpointId = serializers.CharField(source="endpoint_id", help_text="The endpoint that it is sent to.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    state = serializers.ChoiceField(choices=State.choices)
    explanation = serializers.SerializerMethodField(help_text="Its current state, in a sentence.")
    skipReason = ChoiceOrNull(
        SkipReason, source="skip_reason", help_text="Why it was not sent. Null unless skipped."
    )
    suggestedUrl = SuggestedUrl(
        "Set it as the endpoint's URL: the `suggestedUrl` of the newest attempt. Null: there is none, the endpoint has "
        "another URL since, or the hook is delivered."
    )
    suggestedSetting = SuggestedSetting(
        "Turn this setting on: because it is off, the hook was skipped or is not retried. Null: none."
    )
    messageId = TextOrNull(source="message", help_text="The id of its message.")
    chatId = TextOrNull(source="chat")
    simulated = serializers.BooleanField(help_text="Created by Webhook Simulation.")
    attemptsMade = serializers.IntegerField(source="attempts_made")
    attemptsAllowed = serializers.IntegerField(source="attempts_allowed")
    nextAttemptAt = serializers.DateTimeField(source="next_attempt_at", allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at")
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)
    body = serializers.SerializerMethodField(
        help_text="The exact body of its requests. Null if it was deleted because of its age."
    )
    bodyEncoding = serializers.SerializerMethodField(method_name="get_encoding")
    bodyDroppedAt = serializers.DateTimeField(
        source="body_dropped_at",
        allow_null=True,
        help_text="When its body and those of its responses were deleted because of their age. Such a hook cannot be "
        "resent.",
    )
    attempts = AttemptSerializer(many=True)

    class Meta:
        model = Hook
        fields = (
            "id", "instanceId", "endpointId", "kind", "state", "explanation", "skipReason", "suggestedUrl",
            "suggestedSetting", "messageId", "chatId", "simulated", "attemptsMade", "attemptsAllowed", "nextAttemptAt",
            "createdAt", "finishedAt", "body", "bodyEncoding", "bodyDroppedAt", "attempts",
        )  # fmt: skip

    def to_representation(self, hook: Hook) -> dict[str, Any]:
        prefetch_related_objects([hook], "attempts")  # no query if they are loaded
        newest = max(hook.attempts.all(), key=lambda attempt: (attempt.number, attempt.pk), default=None)
        shown: Any = hook
        shown.fixes = suggested_fixes(hook, hook.endpoint.instance, newest)
        return super().to_representation(hook)

    def get_explanation(self, hook: Hook) -> str:
        return explain_hook(hook)

    def get_body(self, hook: Hook) -> str | None:
        return stored_body(hook, hook.body)[0]

    @extend_schema_field(Encoding(allow_null=True))
    def get_encoding(self, hook: Hook) -> str | None:
        return stored_body(hook, hook.body)[1]
