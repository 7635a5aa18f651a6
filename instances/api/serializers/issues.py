"""An issue: failed hooks of one endpoint with the same cause."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from hooks.explain.issues import explain_issue, newest_attempts
from hooks.log.counts import MAX_COUNT
from hooks.log.issue_hooks import count_hooks
from hooks.models import Issue, IssueState, Outcome
from instances.actions.fixes import fixes_of_issues
from instances.api.serializers.hooks import SuggestedSetting, SuggestedUrl


class IssueListSerializer(serializers.ListSerializer[Any]):
    """Explains and counts the issues of a page together: three queries for any number."""

    def to_representation(self, data: Any) -> Any:
        return super().to_representation(with_words(list(data)))


def with_words(issues: list[Issue]) -> list[Issue]:
    """Returns the issues with `explanation`, `fixes` and `missed`, which the serializer shows."""
    newest, missed = newest_attempts(issues), count_hooks(issues)
    fixes = fixes_of_issues(issues, newest)
    for issue in issues:
        shown: Any = issue
        shown.explanation = explain_issue(issue, newest.get(issue.pk))
        shown.fixes, shown.missed = fixes[issue.pk], missed[issue.pk]
    return issues


class IssueSerializer(serializers.ModelSerializer[Issue]):
    """Failed hooks of one endpoint with the same cause, from the first failure until it responds with 200 again."""

    id = serializers.SerializerMethodField()
    state = serializers.ChoiceField(
        choices=IssueState.choices,
        help_text="`resolved`: the endpoint has responded with 200 after the last failure.",
    )
    instanceId = serializers.CharField(source="endpoint.instance.number")
    endpointId = serializers.CharField(source="endpoint_id")
    outcome = serializers.ChoiceField(choices=Outcome.choices, help_text="How the attempts ended.")
    status = serializers.SerializerMethodField(
        help_text="The status code of the responses; null if it is not a part of the cause."
    )
    explanation = serializers.CharField(source="explanation.sentence", help_text="What happened.")
    nextStep = serializers.CharField(source="explanation.next_step", help_text="What to do about it.")
    suggestedUrl = SuggestedUrl("That of the hook of its newest failed attempt. Null: none.")
    suggestedSetting = SuggestedSetting("That of the same hook. Null: none.")
    hooks = serializers.SerializerMethodField(
        help_text=f"The hooks that failed with this cause, up to {MAX_COUNT:,}. Each counts once, however often it was "
        "retried."
    )
    missed = serializers.IntegerField(
        help_text=f"Those of them that are failed now, up to {MAX_COUNT:,}: a resend sends them again."
    )
    firstFailedAt = serializers.DateTimeField(source="first_failed_at")
    lastFailedAt = serializers.DateTimeField(source="last_failed_at")
    acknowledgedAt = serializers.DateTimeField(source="acknowledged_at", allow_null=True)
    resolvedAt = serializers.DateTimeField(source="resolved_at", allow_null=True)

    class Meta:
        model = Issue
        list_serializer_class = IssueListSerializer
        fields = (
            "id", "state", "instanceId", "endpointId", "outcome", "status", "explanation", "nextStep",
            "suggestedUrl", "suggestedSetting", "hooks", "missed", "firstFailedAt", "lastFailedAt", "acknowledgedAt",
            "resolvedAt",
        )  # fmt: skip

    def get_id(self, issue: Issue) -> str:
        return f"issue_{issue.public_id.hex}"

    def get_status(self, issue: Issue) -> int | None:
        return issue.status or None

    def get_hooks(self, issue: Issue) -> int:
        return min(issue.hooks, MAX_COUNT)
