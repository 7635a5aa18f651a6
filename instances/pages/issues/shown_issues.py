"""An issue as pages show it: its sentence, its endpoint by name, and how many of its hooks can be resent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from hooks.explain.issues import explain_issues
from hooks.explain.sentences import Explanation
from hooks.log.counts import Count
from hooks.log.endpoint_numbers import limited
from hooks.log.issue_hooks import count_hooks
from hooks.models import Issue, Outcome
from instances.models import Instance

WITHOUT_RESPONSE = (Outcome.DNS, Outcome.REFUSED, Outcome.TLS, Outcome.BLOCKED)


class IssueRow(NamedTuple):
    """`missed` is the number of failed hooks, which a resend sends again; `log_url` lists them."""

    issue: Issue
    instance: Instance
    explanation: Explanation
    hooks: Count
    missed: Count
    acknowledged_by: str
    log_url: str

    @property
    def can_acknowledge(self) -> bool:
        return self.instance.may_change and self.issue.state == "open"

    @property
    def can_resend(self) -> bool:
        return self.instance.may_change and bool(self.missed)

    @property
    def endpoint_name(self) -> str:
        """The name of an endpoint that is not the first; the first is named like its instance."""
        endpoint = self.issue.endpoint
        return "" if endpoint.is_first else str(endpoint)


def rows_of(issues: Iterable[Issue], *, visible: QuerySet[Instance]) -> list[IssueRow]:
    """Returns those of these issues as rows whose instances are `visible`. Three queries for any number.

    `Instance.objects.visible_to(user)` also says which instances the user may change.
    """
    found = list(issues)
    keys = {issue.endpoint.instance_id for issue in found}
    with_owner = visible.select_related("owner__owner")
    instances = {one.pk: one for one in with_owner.filter(pk__in=keys)} if keys else {}
    explanations = explain_issues(found) if found else {}
    missed = count_hooks(found)
    return [
        IssueRow(
            issue=issue,
            instance=instances[issue.endpoint.instance_id],
            explanation=explanations[issue.pk],
            hooks=limited(issue.hooks),
            missed=missed.get(issue.pk, Count()),
            acknowledged_by=acknowledged_by(issue, instances[issue.endpoint.instance_id]),
            log_url=log_url(issue, instances[issue.endpoint.instance_id]),
        )
        for issue in found
        if issue.endpoint.instance_id in instances
    ]


def acknowledged_by(issue: Issue, instance: Instance) -> str:
    """Returns who acknowledged the issue; staff of the site are not named to users, and a program has no name."""
    user = issue.acknowledged_by
    if user is None:
        return "a program"
    return "staff of this site" if user.is_staff and user.pk != instance.owner.owner_id else user.email


def log_url(issue: Issue, instance: Instance) -> str:
    """Returns the delivery log, filtered to the issue's failed hooks as far as its filters can."""
    query = {
        "instance": str(instance.number),
        "state": "failed",
        "simulated": "no",
        "from": in_utc(issue.events_since),
    }
    if issue.resolved_at is not None:
        query["to"] = in_utc(issue.resolved_at)
    if issue.status:
        query["status"] = str(issue.status)
    elif issue.outcome in WITHOUT_RESPONSE:
        query["answer"] = "none"
    if not issue.endpoint.is_first or issue.endpoint.others:
        query["endpoint"] = str(issue.endpoint_id)
    return f"{reverse('log:list')}?{urlencode(query)}"


def in_utc(at: datetime) -> str:
    """Returns a time as the log's filter takes it."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat()
