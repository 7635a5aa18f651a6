"""A bin in the REST API, its configured response, and the links that share it."""

from typing import Any

from rest_framework import serializers

from instances.api.serializers.shares import (
    CreatedHookShareSerializer,
    HookShareSerializer,
    NewHookShareSerializer,
)
from instances.api.serializers.strict import StrictSerializer, choice_of
from testing_tools.verification import responses
from testing_tools.verification.cors import PREFLIGHT_STATUS
from testing_tools.verification.echo import MAX_PLACEHOLDERS
from testing_tools.verification.models import MAX_DELAY, Bin

CORS = (
    "Whether scripts of any site may call the bin: its responses have the headers of CORS, and a preflight gets "
    f"{PREFLIGHT_STATUS}."
)


class HeadersField(serializers.ListField):
    """Headers as `[name, value]` pairs, in order."""

    def __init__(self, **options: Any) -> None:
        text = serializers.CharField(allow_blank=True, trim_whitespace=False)
        pair = serializers.ListField(child=text, min_length=2, max_length=2)
        super().__init__(child=pair, **({"help_text": "`[name, value]` pairs, in order."} | options))


class NewBinSerializer(StrictSerializer):
    """Whose bin to open."""

    instance = serializers.CharField(
        required=False,
        max_length=100,
        help_text="The id of the instance that the bin belongs to. Default: the account's own bin, which belongs to no "
        "instance.",
    )


class BinAnswerSerializer(serializers.Serializer[Bin]):
    """The configured response of a bin."""

    status = serializers.IntegerField(source="answer_status")
    headers = HeadersField(source="answer_headers")
    body = serializers.CharField(source="answer_body")
    delay = serializers.FloatField(source="answer_delay", help_text="In seconds.")
    failFirst = serializers.IntegerField(
        source="fail_first",
        help_text=f"How many requests get {responses.FAILURE_STATUS} first, from the time it was configured.",
    )
    failsLeft = serializers.IntegerField(
        source="fails_left", help_text=f"How many of the next requests get {responses.FAILURE_STATUS}."
    )
    cors = serializers.BooleanField(source="answer_cors", help_text=CORS)


class BinSerializer(serializers.ModelSerializer[Bin]):
    """A bin: a URL that stores every request sent to it, and sends the configured response."""

    key = serializers.CharField()
    url = serializers.CharField(
        help_text="Takes any method, path suffix, query, headers and body. With `/503` at its end, that status is the "
        "response."
    )
    instanceId = serializers.SerializerMethodField(
        method_name="get_instance_id", help_text="The instance it belongs to. Null: the account's own bin."
    )
    createdAt = serializers.DateTimeField(source="created_at")
    lastNumber = serializers.IntegerField(
        source="captured", help_text="The number of its newest capture; 0 before the first one."
    )
    answer = BinAnswerSerializer(source="*")

    class Meta:
        model = Bin
        fields: tuple[str, ...] = ("key", "url", "instanceId", "createdAt", "lastNumber", "answer")
        read_only_fields = fields

    def get_instance_id(self, bin: Bin) -> str | None:
        return str(bin.instance.number) if bin.instance else None


class BinWithCountsSerializer(BinSerializer):
    """A bin with the number of its captures."""

    captures = serializers.SerializerMethodField(help_text="How many captures it keeps now.")
    dropped = serializers.SerializerMethodField(
        help_text="How many captures its limits have dropped so far: it keeps the newest 500, up to 64 MB, for 7 days."
    )

    class Meta(BinSerializer.Meta):
        fields = (*BinSerializer.Meta.fields, "captures", "dropped")

    def to_representation(self, bin: Bin) -> dict[str, Any]:
        self.kept, self.dropped_count = bin.counts()
        return super().to_representation(bin)

    def get_captures(self, bin: Bin) -> int:
        return self.kept

    def get_dropped(self, bin: Bin) -> int:
        return self.dropped_count


class BinAnswerChangeSerializer(StrictSerializer):
    """The fields of the response that can be configured. Fields that are not sent stay as they are."""

    status = serializers.IntegerField(
        min_value=responses.LIMITS["status"][0], max_value=responses.LIMITS["status"][1], required=False
    )
    headers = HeadersField(
        required=False,
        help_text=f"`[name, value]` pairs, in order, up to {responses.MAX_HEADERS}. Allowed: "
        f"{', '.join(sorted(responses.NAMED_HEADERS))}, access-control-…, webhook-…, x-….",
    )
    body = serializers.CharField(
        allow_blank=True,
        trim_whitespace=False,
        required=False,
        help_text=f"Text, up to {responses.MAX_BODY // 1024} KB. `{{{{hub.challenge}}}}` is replaced by the argument "
        "of that name in the request's query, escaped for JSON, XML or a form by the Content-Type; up to "
        f"{MAX_PLACEHOLDERS} placeholders.",
    )
    delay = serializers.FloatField(
        min_value=0, max_value=MAX_DELAY, required=False, help_text=f"In seconds, up to {MAX_DELAY}."
    )
    failFirst = serializers.IntegerField(
        source="fail_first",
        min_value=responses.LIMITS["fail_first"][0],
        max_value=responses.LIMITS["fail_first"][1],
        required=False,
        help_text=f"How many requests get {responses.FAILURE_STATUS} first. Counts from the next request, also if only "
        "another field is changed.",
    )
    cors = serializers.BooleanField(required=False, help_text=CORS)

    def validate_headers(self, pairs: list[list[str]]) -> tuple[tuple[str, str], ...]:
        return tuple((name, value) for name, value in pairs)


class BinChangeSerializer(StrictSerializer):
    """What a bin responds: a preset, or single fields."""

    preset = choice_of(
        [(name, preset.name) for name, preset in responses.PRESETS.items()],
        required=False,
        help_text="; ".join(f"`{name}`: {preset.name}" for name, preset in responses.PRESETS.items())
        + ". Replaces the whole response, except `cors`.",
    )
    answer = BinAnswerChangeSerializer(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) > 1:
            raise serializers.ValidationError({"preset": "Send `preset` or `answer`, not both."})
        return attrs


class ShareSerializer(HookShareSerializer):
    """A link that lets anyone read a bin, or one of its captures. Its URL is shown once, when it is created."""

    captureNumber = serializers.IntegerField(
        source="number", allow_null=True, help_text="The `number` of the shared capture. Null: the whole bin."
    )


class CreatedShareSerializer(CreatedHookShareSerializer, ShareSerializer):
    """A new link with its URL."""


class SharesSerializer(serializers.Serializer[Any]):
    """The valid links of a bin."""

    results = ShareSerializer(many=True)


class NewShareSerializer(NewHookShareSerializer):
    """What to share, and for how long."""

    capture = serializers.CharField(
        required=False, max_length=100, help_text="The `id` of one capture. Default: the whole bin."
    )
