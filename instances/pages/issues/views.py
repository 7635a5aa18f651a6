"""The issues of all instances of a user, and one issue with its last failed attempts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import current_user
from chatapi.ui.frame import user_of
from chatapi.ui.menu import MAX_COUNT
from chatapi.ui.redirects import redirect_back
from hooks.actions import issues as actions
from hooks.actions.hooks import NotPossible
from hooks.actions.redelivery import AlreadyPlanned
from hooks.log.issue_hooks import FAILED_OR_RETRYING, filter_of
from hooks.log.newest import newest_hooks
from hooks.models import UNRESOLVED, Attempt, Hook, Issue, IssueQuerySet, IssueState, Outcome
from instances.models import Instance
from instances.pages import access
from instances.pages.frame import InstanceFrame
from instances.pages.issues.shown_issues import rows_of
from instances.pages.log.attempts import show
from instances.pages.log.fixes import fixes_of
from instances.pages.log.scope import scope_of
from instances.pages.redelivery.views import redirect_to_open_job

UNRESOLVED_SHOWN = 100
RESOLVED_SHOWN = 30
ATTEMPTS_SHOWN = 10


def visible_issues(request: HttpRequest) -> IssueQuerySet:
    visible = Issue.objects.of_instances(Instance.objects.visible_to(request.user))
    return visible.select_related("endpoint", "acknowledged_by")


def count_open(request: HttpRequest) -> int:
    """Returns the number of open issues for the menu, up to one more than it shows. One query."""
    issues = Issue.objects.of_instances(Instance.objects.visible_to(user_of(request)))
    return issues.filter(state=IssueState.OPEN)[: MAX_COUNT + 1].count()


@require_safe
@login_required
def issue_list(request: HttpRequest) -> HttpResponse:
    """The unresolved issues, newest failure first, and the last resolved ones; `?instance=` selects one instance."""
    scope = scope_of(request)
    context: dict[str, Any] = {"instance": scope.instance if scope else None}
    if scope is not None:
        found = visible_issues(request).of_instances(scope.instances)
        unresolved = found.filter(state__in=UNRESOLVED).order_by("-last_failed_at", "-pk")
        resolved = found.filter(state=IssueState.RESOLVED).order_by("-resolved_at", "-pk")
        shown = [*unresolved[: UNRESOLVED_SHOWN + 1], *resolved[:RESOLVED_SHOWN]]
        rows = rows_of(shown, visible=Instance.objects.visible_to(request.user))
        open_rows = [row for row in rows if not row.issue.is_resolved]
        context |= {
            "unresolved": open_rows[:UNRESOLVED_SHOWN],
            "resolved": [row for row in rows if row.issue.is_resolved],
            "more": len(open_rows) > UNRESOLVED_SHOWN,
        }
    return render(request, "instances/pages/issues/list.html", context)


@require_safe
@login_required
def issue(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One issue with its facts, and the newest failed attempts of its hooks."""
    found = get_object_or_404(visible_issues(request), public_id=public_id)
    [row] = rows_of([found], visible=Instance.objects.visible_to(request.user))
    InstanceFrame.of(request).show(row.instance)
    hooks = {hook.pk: hook for hook in newest_failed(found)}
    failed = Attempt.objects.filter(hook__in=list(hooks)).exclude(outcome=Outcome.OK)
    attempts = list(failed.order_by("-started_at", "-id")[:ATTEMPTS_SHOWN])
    newest, hook = (attempts[0], hooks[attempts[0].hook_id]) if attempts else (None, None)
    if hook is not None:
        hook.endpoint = found.endpoint
    context = {
        "row": row,
        "instance": row.instance,
        "attempts": [(attempt, hooks[attempt.hook_id]) for attempt in attempts],
        "newest": show(newest, hook) if newest and hook else None,
        "fixes": fixes_of(hook, row.instance, newest) if hook else None,
    }
    return render(request, "instances/pages/issues/issue.html", context)


def newest_failed(issue: Issue) -> list[Hook]:
    """Returns the newest hooks that have failed with the issue's cause and were not delivered since."""
    wanted = filter_of(issue, FAILED_OR_RETRYING)
    return newest_hooks(Hook.objects.all(), wanted, [issue.endpoint_id], ATTEMPTS_SHOWN)


def changeable_issue(request: HttpRequest, public_id: UUID) -> Issue:
    """The issue, for a change. Raises Http404 for a stranger, and PermissionDenied for a viewer."""
    found = get_object_or_404(
        visible_issues(request).select_related("endpoint__instance"), public_id=public_id
    )
    access.require_change(request.user, found.endpoint.instance)
    return found


@require_POST
@login_required
def acknowledge(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = changeable_issue(request, public_id)
    try:
        actions.acknowledge(found, acting_user=current_user(request))
    except NotPossible as reason:  # its state changed after the page was rendered
        messages.error(request, str(reason))
    else:
        messages.success(request, "The issue is acknowledged.")
    return redirect_back(request, "issues:list")


@require_POST
@login_required
def resend(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Creates the job that resends what the issue has missed, and redirects to it."""
    found = changeable_issue(request, public_id)
    instances = Instance.objects.changeable_by(request.user)
    try:
        job = actions.resend_missed(found, instances=instances, acting_user=current_user(request))
    except AlreadyPlanned as planned:
        return redirect_to_open_job(request, planned.job)
    except NotPossible as reason:
        messages.error(request, str(reason))
        return redirect("issues:issue", public_id)
    return redirect("log:redelivery", job.public_id)
