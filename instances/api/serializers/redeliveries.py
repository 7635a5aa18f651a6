"""A redelivery: a job that resends hooks, and the parameters that create one."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hooks.actions import redelivery
from hooks.log.counts import MAX_COUNT
from hooks.models import JobState, Kind, Outcome, Redelivery, State, parse_webhook_id
from instances.api.filters import MESSAGE_HELP, RESPONSE_CLASSES, RESPONSE_HELP
from instances.api.serializers.strict import StrictSerializer, choice
from instances.chat_ids import CHAT_ID_LENGTH, MESSAGE_ID_LENGTH

HOOKS_MOST = 1000


def several(choices: type[Any], meaning: str) -> serializers.ListField:
    return serializers.ListField(
        child=choice(choices), required=False, allow_empty=False, max_length=20, help_text=meaning
    )


class NewRedeliverySerializer(StrictSerializer):
    """Which hooks to resend. A hook must match every filter given; at least one filter is required."""

    instance = serializers.CharField(required=False, help_text="The instance's id. Default: all instances.")
    endpoint = serializers.RegexField(
        r"^[0-9]{1,18}\Z",
        required=False,
        help_text="The endpoint's id. Default: all endpoints.",
        error_messages={"invalid": "Must be the id of an endpoint: digits only."},
    )
    hooks = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, allow_empty=False, max_length=HOOKS_MOST,
        help_text=f"Ids of hooks, up to {HOOKS_MOST}.",
    )  # fmt: skip
    state = several(State, "The hook's state. Unfinished hooks are never resent.")
    kind = several(Kind, "The kind of its event.")
    outcome = several(Outcome, "How its last attempt ended.")
    answer = serializers.ListField(
        child=serializers.ChoiceField(
            choices=RESPONSE_CLASSES,
            error_messages={"invalid_choice": f"Must be one of: {', '.join(RESPONSE_CLASSES)}."},
        ),
        required=False, allow_empty=False, max_length=20,
        help_text=RESPONSE_HELP,
    )  # fmt: skip
    status = serializers.IntegerField(
        min_value=100, max_value=599, required=False, help_text="The status code of the last response."
    )
    message = serializers.CharField(max_length=MESSAGE_ID_LENGTH, required=False, help_text=MESSAGE_HELP)
    chat = serializers.CharField(
        max_length=CHAT_ID_LENGTH, required=False, help_text="The complete id of the chat."
    )
    host = serializers.CharField(max_length=255, required=False, help_text="The host of the last attempt.")
    simulated = serializers.BooleanField(required=False, help_text="Whether the hook is simulated.")
    createdAfter = serializers.DateTimeField(
        required=False, help_text="Created at this time or later, ISO 8601."
    )
    createdBefore = serializers.DateTimeField(required=False, help_text="Created before this time, ISO 8601.")
    dryRun = serializers.BooleanField(
        required=False, default=False, help_text="If true, only counts the hooks and changes nothing."
    )

    def validate_hooks(self, ids: list[str]) -> list[str]:
        public_ids = [parse_webhook_id(value) for value in ids]
        found = [public_id.hex for public_id in public_ids if public_id is not None]
        if len(found) < len(ids):
            raise serializers.ValidationError("Must be ids of hooks: hook_…")
        return found

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.keys() - {"dryRun"}:
            raise serializers.ValidationError(
                "Give at least one filter. Without one, every hook would be resent."
            )
        return attrs


class PreviewSerializer(serializers.Serializer[Any]):
    """The number of matching hooks, before anything is resent."""

    count = serializers.IntegerField(source="ready", help_text="Hooks that would be resent.")
    # underWay and noAddress: their names in REST since 0.1.0
    underWay = serializers.IntegerField(
        source="unfinished", help_text="Matching hooks that are not finished yet."
    )
    bodyDropped = serializers.IntegerField(
        source="body_dropped",
        help_text="Matching hooks whose bodies were already deleted because of their age.",
    )
    noAddress = serializers.IntegerField(
        source="without_url", help_text="Matching hooks whose endpoint has no URL."
    )
    more = serializers.BooleanField(
        help_text=f"Whether more hooks match: up to {MAX_COUNT:,} finished hooks and as many others are counted, and "
        "each number is a minimum."
    )


class StatesSerializer(serializers.Serializer[Any]):
    """How many hooks are in each state; every state is a key."""

    def get_fields(self) -> dict[str, Any]:
        return {state.value: serializers.IntegerField() for state in State}


class RedeliverySerializer(serializers.ModelSerializer[Redelivery]):
    """A job that resends finished hooks under their old `webhook-id`."""

    id = serializers.SerializerMethodField()
    state = serializers.ChoiceField(
        choices=JobState.choices, help_text="`finished`: all its hooks have been queued again."
    )
    filter = serializers.DictField(help_text="Which hooks it resends.")
    planned = serializers.IntegerField(help_text="The number of hooks counted before the start.")
    plannedIsMinimum = serializers.BooleanField(
        source="planned_is_minimum",
        help_text="Whether more hooks than `planned` match. The job counts them exactly when it starts.",
    )
    done = serializers.IntegerField(help_text="Hooks queued again so far.")
    refused = serializers.IntegerField(
        help_text="Hooks not resent because they had changed or no longer had a URL."
    )
    now = serializers.SerializerMethodField(help_text="The current states of the hooks it has resent.")
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)

    class Meta:
        model = Redelivery
        fields = (
            "id", "state", "filter", "planned", "plannedIsMinimum", "done", "refused", "now", "createdAt", "startedAt",
            "finishedAt",
        )  # fmt: skip

    def get_id(self, job: Redelivery) -> str:
        return f"redelivery_{job.public_id.hex}"

    @extend_schema_field(StatesSerializer)
    def get_now(self, job: Redelivery) -> dict[str, int]:
        return redelivery.outcomes(job)
