"""The body of an alert, and its type, from which the OpenAPI document's schema is generated (api/hook_schemas.py)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, TypedDict

from django.conf import settings
from django.urls import reverse

from hooks.explain.sentences import Explanation
from hooks.log.counts import MAX_COUNT
from hooks.models import Issue, IssueState, Outcome
from instances.actions.fixes import SETTINGS, Fixes
from instances.models import Instance
from instances.payload_types import InstanceId
from instances.payloads import encode

SHOWN = 20  # issues of an alert that are described; the others are counted
TEST_TEXT = "This is a test of the alert webhook."

Time = Annotated[str, {"format": "date-time"}]


class AlertedIssue(TypedDict):
    """An issue: failed hooks of one endpoint with the same cause. REST has the same fields at `/api/v1/issues/`."""

    id: Annotated[str, "The issue's id, as in REST."]
    state: Annotated[str, {"enum": [IssueState.OPEN.value, IssueState.RESOLVED.value]}]
    instanceId: InstanceId
    instanceName: Annotated[str, "The instance's name, or its number."]
    endpointId: Annotated[str, "The id of the endpoint that fails."]
    outcome: Annotated[str, "How the attempts ended.", {"enum": Outcome.values}]
    status: Annotated[int | None, "The status code of the responses; null if it is not a part of the cause."]
    explanation: Annotated[str, "What happened."]
    nextStep: Annotated[str, "What to do about it."]
    suggestedUrl: Annotated[
        str | None, "The URL to set at the endpoint instead, which its server has named. Null: none."
    ]
    suggestedSetting: Annotated[
        str | None, "The setting to turn on, by its name. Null: none.", {"enum": [*SETTINGS, None]}
    ]
    hooks: Annotated[int, f"The hooks that failed with this cause, up to {MAX_COUNT:,}.", {"minimum": 0}]
    missed: Annotated[int, "Those of them that are failed now: a resend sends them again.", {"minimum": 0}]
    firstFailedAt: Time
    lastFailedAt: Time
    resolvedAt: Annotated[str | None, {"format": "date-time"}]
    page: Annotated[str, "The issue's page."]


class IssuesAlert(TypedDict):
    """New and resolved issues of an account. All that is due at one time is one alert."""

    type: Annotated[
        str, "`test`: sent by a button or a call; it has no issues.", {"enum": ["issues", "test"]}
    ]
    text: Annotated[str, "The alert in one sentence."]
    opened: Annotated[list[AlertedIssue], "Issues that are new or came back."]
    recovered: Annotated[list[AlertedIssue], "Issues whose endpoint has responded with 200 again."]
    more: Annotated[int, f"Further issues: `opened` and `recovered` have up to {SHOWN} each.", {"minimum": 0}]
    page: Annotated[str, "The page with all issues."]


def alert_body(text: str, opened: Sequence[AlertedIssue], recovered: Sequence[AlertedIssue]) -> bytes:
    """Returns the JSON of an alert about these issues."""
    body: IssuesAlert = {
        "type": "issues",
        "text": text,
        "opened": list(opened[:SHOWN]),
        "recovered": list(recovered[:SHOWN]),
        "more": len(opened[SHOWN:]) + len(recovered[SHOWN:]),
        "page": f"{settings.SITE_URL}{reverse('issues:list')}",
    }
    return encode(body)


def test_body() -> bytes:
    """Returns the JSON of a test alert."""
    body: IssuesAlert = {
        "type": "test",
        "text": TEST_TEXT,
        "opened": [],
        "recovered": [],
        "more": 0,
        "page": f"{settings.SITE_URL}{reverse('issues:list')}",
    }
    return encode(body)


def describe_issue(
    issue: Issue, instance: Instance, explanation: Explanation, missed: int, fixes: Fixes
) -> AlertedIssue:
    """Returns an issue as alerts have it; `missed` is the number of its hooks that are failed now."""
    return {
        "id": f"issue_{issue.public_id.hex}",
        "state": issue.state,
        "instanceId": str(instance.number),
        "instanceName": str(instance),
        "endpointId": str(issue.endpoint_id),
        "outcome": issue.outcome,
        "status": issue.status or None,
        "explanation": explanation.sentence,
        "nextStep": explanation.next_step,
        "suggestedUrl": fixes.suggested_url or None,
        "suggestedSetting": fixes.setting or None,
        "hooks": min(issue.hooks, MAX_COUNT),
        "missed": missed,
        "firstFailedAt": in_iso(issue.first_failed_at),
        "lastFailedAt": in_iso(issue.last_failed_at),
        "resolvedAt": in_iso(issue.resolved_at) if issue.resolved_at else None,
        "page": f"{settings.SITE_URL}{reverse('issues:issue', args=[issue.public_id])}",
    }


def in_iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
