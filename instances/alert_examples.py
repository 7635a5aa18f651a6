"""Examples of alerts, with the exact bytes that instances/alert_payloads.py creates. Nothing is saved."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hooks.explain.sentences import explain_outcome
from hooks.models import Endpoint, Issue, IssueState, Outcome
from instances.actions.fixes import GUARANTEED, Fixes
from instances.alert_payloads import AlertedIssue, alert_body, describe_issue, test_body
from instances.models import Instance

FIRST_FAILURE = datetime(2030, 1, 1, 14, 2, 11, tzinfo=UTC)


def example_issue(instance: Instance, state: IssueState) -> AlertedIssue:
    resolved_at = FIRST_FAILURE + timedelta(minutes=20) if state == IssueState.RESOLVED else None
    issue = Issue(
        public_id=UUID("0192f4c65d7b7c33a1e04be1f1d6e1aa"),
        endpoint=Endpoint(pk=1000, url="https://example.com/hook"),
        outcome=Outcome.NOT_200.value,
        status=500,
        state=state.value,
        first_failed_at=FIRST_FAILURE,
        last_failed_at=FIRST_FAILURE + timedelta(minutes=7),
        hooks=41,
        resolved_at=resolved_at,
    )
    instance.name = "Shop"
    explanation = explain_outcome(Outcome.NOT_200, url=issue.endpoint.url, status=issue.status)
    return describe_issue(issue, instance, explanation, 41, Fixes(setting=GUARANTEED))


def opened(instance: Instance) -> bytes:
    """The alert about a new issue."""
    return alert_body("Hooks of Shop fail", [example_issue(instance, IssueState.OPEN)], [])


def recovered(instance: Instance) -> bytes:
    """The alert about its recovery."""
    return alert_body("Hooks of Shop are delivered again", [], [example_issue(instance, IssueState.RESOLVED)])


def tested(_: Instance) -> bytes:
    """A test alert."""
    return test_body()
