"""A job that sends hooks again, and what one is asked for with."""

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hooks.actions import redelivery
from hooks.log.selection import ANSWERS, Filter
from hooks.models import JobState, Kind, Outcome, Redelivery, State
from instances.api.serializers.strict import StrictSerializer, choice

HOOKS_MOST = 1000
ANSWER_CLASSES = [name for name in ANSWERS if name != "not-200"]


def several(choices: type[Any], meaning: str) -> serializers.ListField:
    return serializers.ListField(
        child=choice(choices), required=False, allow_empty=False, max_length=20, help_text=meaning
    )


class NewRedeliverySerializer(StrictSerializer):
    """Which hooks to send again: all the filters that are given must hold, and at least one must be given."""

    instance = serializers.CharField(required=False, help_text="The instance's id; without it all instances.")
    hooks = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, allow_empty=False, max_length=HOOKS_MOST,
        help_text=f"Ids of hooks, up to {HOOKS_MOST}.",
    )  # fmt: skip
    state = several(State, "Where the hook stands; those under way are never sent again.")
    kind = several(Kind, "What it tells of.")
    outcome = several(Outcome, "How its last attempt ended.")
    answer = serializers.ListField(
        child=serializers.ChoiceField(
            choices=ANSWER_CLASSES,
            error_messages={"invalid_choice": f"It takes one of: {', '.join(ANSWER_CLASSES)}."},
        ),
        required=False, allow_empty=False, max_length=20,
        help_text="Class of the last answer; `none`: nothing was answered.",
    )  # fmt: skip
    status = serializers.IntegerField(
        min_value=100, max_value=599, required=False, help_text="The last answer."
    )
    message = serializers.CharField(
        max_length=200, required=False, help_text="The id of the message it is about, whole."
    )
    chat = serializers.CharField(max_length=100, required=False, help_text="The id of the chat, whole.")
    host = serializers.CharField(max_length=255, required=False, help_text="Host of the last attempt.")
    simulated = serializers.BooleanField(required=False, help_text="Made by hand or not.")
    createdAfter = serializers.DateTimeField(required=False, help_text="From this time on, ISO 8601.")
    createdBefore = serializers.DateTimeField(required=False, help_text="Before this time, ISO 8601.")
    dryRun = serializers.BooleanField(
        required=False, default=False, help_text="True: only count, and change nothing."
    )

    def validate_hooks(self, ids: list[str]) -> list[str]:
        try:
            return [uuid.UUID(value.removeprefix("hook_")).hex for value in ids]
        except ValueError:
            raise serializers.ValidationError("It takes ids of hooks, hook_…") from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.keys() - {"dryRun"}:
            raise serializers.ValidationError("Give at least one filter: without any it would be every hook.")
        return attrs


def as_filter(given: dict[str, Any]) -> Filter:
    """What NewRedeliverySerializer has validated, as hooks.selection knows it; `instance` is not part of it."""
    names = {
        "hooks": "hooks", "state": "states", "kind": "kinds", "outcome": "outcomes", "answer": "answers",
        "status": "status", "message": "message", "chat": "chat", "simulated": "simulated",
    }  # fmt: skip
    found: Filter = {names[name]: given[name] for name in names if name in given}
    if "host" in given:
        found["host"] = given["host"].lower()
    for name, key in (("createdAfter", "created_after"), ("createdBefore", "created_before")):
        if name in given:
            found[key] = given[name].isoformat()
    return found


class PreviewSerializer(serializers.Serializer[Any]):
    """The count before."""

    count = serializers.IntegerField(source="ready", help_text="Hooks that would be sent again.")
    underWay = serializers.IntegerField(source="under_way", help_text="Fit, but have not finished yet.")
    bodyDropped = serializers.IntegerField(
        source="body_dropped", help_text="Fit, but are so old that their bodies were dropped."
    )
    noAddress = serializers.IntegerField(
        source="no_address", help_text="Fit, but their instance has no webhook address."
    )


class StatesSerializer(serializers.Serializer[Any]):
    """How many hooks are in each state; every state is a key."""

    def get_fields(self) -> dict[str, Any]:
        return {state.value: serializers.IntegerField() for state in State}


class RedeliverySerializer(serializers.ModelSerializer[Redelivery]):
    """A job that sends finished hooks again, under their old `webhook-id`."""

    id = serializers.SerializerMethodField()
    state = serializers.ChoiceField(
        choices=JobState.choices, help_text="`finished`: all its hooks are on their way or have arrived."
    )
    filter = serializers.DictField(help_text="Which hooks it takes.")
    planned = serializers.IntegerField(help_text="The count before.")
    done = serializers.IntegerField(help_text="Put on their way so far.")
    refused = serializers.IntegerField(
        help_text="Not sent after all: they had changed, or had no address any more."
    )
    now = serializers.SerializerMethodField(help_text="Where the hooks that it has sent stand now.")
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)

    class Meta:
        model = Redelivery
        fields = (
            "id", "state", "filter", "planned", "done", "refused", "now", "createdAt", "startedAt", "finishedAt",
        )  # fmt: skip

    def get_id(self, job: Redelivery) -> str:
        return f"redelivery_{job.public_id.hex}"

    @extend_schema_field(StatesSerializer)
    def get_now(self, job: Redelivery) -> dict[str, int]:
        return redelivery.outcomes(job)
