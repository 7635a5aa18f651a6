"""A run of several simulated hooks in the REST API."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hooks.explain.verdicts import verdict_of
from hooks.models import Kind, Verdict
from instances.api.serializers.strict import choice_of
from testing_tools.api.simulation_serializers import SimulatedHookSerializer
from testing_tools.simulation.models import Plan, RunState
from testing_tools.simulation.runs import MAX_HOOKS, MAX_PAUSE, ShownRun, ShownStep


class NewRunSerializer(SimulatedHookSerializer):
    """Which hooks to send, and where. `kind` and `plan` are required."""

    plan = choice_of(
        [(plan.value, plan.label) for plan in Plan if plan != Plan.ONCE],
        help_text="`sequence`: the acks sent, delivered and viewed, in order; `backwards`: acks or three messages in "
        "the wrong order; `repeat`: `count` hooks, messages with ids of their own; `duplicates`: one hook `count` "
        "times, with one `webhook-id`, as if its responses had been lost.",
    )
    count = serializers.IntegerField(
        min_value=2,
        max_value=MAX_HOOKS,
        required=False,
        default=3,
        help_text="The number of hooks of `repeat` and `duplicates`. Default: 3.",
    )
    pause = serializers.FloatField(
        min_value=0,
        max_value=MAX_PAUSE,
        required=False,
        default=0,
        help_text="Seconds between two hooks. Default: 0.",
    )


class StepSerializer(serializers.Serializer[ShownStep]):
    """One request of a run."""

    number = serializers.IntegerField(source="step.number")
    label = serializers.CharField(source="step.label")  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=Kind.choices, source="step.kind")
    hookId = serializers.SerializerMethodField(
        method_name="get_hook_id", help_text="Its hook, see `readHook`. Null: it has not been sent."
    )
    attempt = serializers.IntegerField(source="step.attempt", help_text="The number of the hook's attempt.")
    verdict = serializers.SerializerMethodField(help_text="Null: it has no result yet.")

    def get_hook_id(self, shown: ShownStep) -> str | None:
        return f"hook_{shown.step.hook.hex}" if shown.step.hook else None

    @extend_schema_field(serializers.ChoiceField(choices=Verdict.choices, allow_null=True))
    def get_verdict(self, shown: ShownStep) -> str | None:
        return verdict_of(shown.attempt).value if shown.attempt else None


class RunSerializer(serializers.Serializer[ShownRun]):
    """Several simulated hooks, sent in a planned order."""

    id = serializers.SerializerMethodField()
    plan = serializers.ChoiceField(choices=Plan.choices, source="run.plan")
    state = serializers.ChoiceField(choices=RunState.choices, source="run.state")
    url = serializers.CharField(source="run.to_url")
    pause = serializers.FloatField(source="run.pause")
    createdAt = serializers.DateTimeField(source="run.created_at")
    nextAt = serializers.DateTimeField(source="run.next_at", help_text="When the next hook may be sent.")
    done = serializers.IntegerField(help_text="How many hooks have a result.")
    steps = StepSerializer(many=True)

    def get_id(self, shown: ShownRun) -> str:
        return f"run_{shown.run.public_id.hex}"
