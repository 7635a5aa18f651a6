"""What users do with issues: acknowledge one, and resend what it has missed."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from hooks.actions import redelivery
from hooks.actions.hooks import NotPossible
from hooks.audit import ActingUser, report_endpoint
from hooks.log.issue_hooks import filter_of
from hooks.models import Issue, IssueState, Redelivery


@transaction.atomic
def acknowledge(issue: Issue, *, acting_user: ActingUser) -> Issue:
    """Mark an open issue as being worked on; it is no longer counted in the menu, nor mailed.

    Raises NotPossible if it is not open.
    """
    row = (
        Issue.objects.select_for_update(no_key=True, of=("self",)).select_related("endpoint").get(pk=issue.pk)
    )
    if row.state != IssueState.OPEN:
        raise NotPossible(f"The issue is {row.get_state_display().lower()} already.")
    row.state, row.acknowledged_at = IssueState.ACKNOWLEDGED, timezone.now()
    row.acknowledged_by_id = acting_user.pk if acting_user else None
    row.save(update_fields=["state", "acknowledged_at", "acknowledged_by"])
    report_endpoint("issue.acknowledged", row.endpoint, acting_user=acting_user, issue=row.public_id.hex)
    return row


def resend_missed(issue: Issue, *, instances: QuerySet[Any], acting_user: ActingUser) -> Redelivery:
    """Create the job that resends the issue's failed hooks. `instances` are those that the user may change.

    Raises:
        NotPossible: none can be resent.
        redelivery.AlreadyPlanned: an open job resends them. Its period may be another one: the issue may have got an
            older hook, or have been resolved since.
    """
    own = instances.filter(pk=issue.endpoint.instance_id)
    cause = ("endpoint", "states", "outcomes", "status", "simulated", "kinds", "host", "hooks")
    return redelivery.plan(own, wanted=filter_of(issue), acting_user=acting_user, same_if_equal=cause)
