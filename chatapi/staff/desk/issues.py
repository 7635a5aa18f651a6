"""The issues of all accounts: what fails, whose, since when, and a button that resends what failed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST, require_safe

from accounts.current_user import current_user
from chatapi.staff.base.search import instances_matching
from chatapi.staff.desk.links import customer_url
from chatapi.ui.menu import MAX_COUNT
from chatapi.ui.numbers import parse_digits
from chatapi.ui.redirects import redirect_back
from hooks.actions import issues as actions
from hooks.actions.hooks import NotPossible
from hooks.models import UNRESOLVED, Issue, IssueState
from instances.models import Instance
from instances.pages.issues.shown_issues import IssueRow, rows_of

PERMISSION = "hooks.view_hook"
RESEND = "hooks.resend_hook"
SHOWN = 50
# The values of `?state=` with their words.
STATES = {
    "": "Unresolved",
    IssueState.OPEN.value: "Open",
    IssueState.ACKNOWLEDGED.value: "Acknowledged",
    IssueState.RESOLVED.value: "Resolved",
}


def count_open() -> int:
    """Returns the number of open issues of all accounts, up to one more than the menu shows. One query."""
    return Issue.objects.filter(state=IssueState.OPEN, endpoint__removed_at=None)[: MAX_COUNT + 1].count()


def rows(found: Any) -> list[IssueRow]:
    """The issues as rows, with what staff may see: those of all accounts. Three queries."""
    return rows_of(found, visible=Instance.objects.all())


@require_safe
def issues(request: HttpRequest) -> HttpResponse:
    """The issues with the newest failure first; `?state=` and `?q=` select, `?before=` is the last issue's key.

    `q` finds instances as the search does: by number, phone, host, webhook URL, or the owner's e-mail address.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied("Your group does not have access to issues.")
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    text = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    found = Issue.objects.filter(endpoint__removed_at=None)
    found = found.filter(state=state) if state else found.filter(state__in=UNRESOLVED)
    if text:
        found = found.of_instances(Instance.objects.filter(instances_matching(text)))
    if before := last_of_page_before(request):
        same = Q(last_failed_at=before.last_failed_at, pk__lt=before.pk)
        found = found.filter(Q(last_failed_at__lt=before.last_failed_at) | same)
    page = list(
        found.select_related("endpoint", "acknowledged_by").order_by("-last_failed_at", "-pk")[: SHOWN + 1]
    )
    context = admin.site.each_context(request) | {
        "title": "Issues",
        "rows": rows(page[:SHOWN]),
        "older": page[SHOWN - 1].pk if len(page) > SHOWN else None,
        "states": STATES,
        "state": state,
        "issues_q": text,
        "is_first": before is None,
    }
    return TemplateResponse(request, "chatapi/staff/desk/issues.html", context)


def last_of_page_before(request: HttpRequest) -> Issue | None:
    key = parse_digits(request.GET.get("before"), max_digits=18)
    return None if key is None else Issue.objects.filter(pk=key).first()


@require_POST
def resend(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Creates the job that resends what the issue has missed; redirects to where the button was.

    The audit log records it for the instance, with the staff user.
    """
    if not request.user.has_perm(RESEND):
        raise PermissionDenied("Your group may not resend hooks.")
    issue = get_object_or_404(Issue.objects.select_related("endpoint__instance"), public_id=public_id)
    instance = issue.endpoint.instance
    own = Instance.objects.filter(pk=instance.pk)
    try:
        job = actions.resend_missed(issue, instances=own, acting_user=current_user(request))
    except NotPossible as reason:
        messages.error(request, str(reason))
    else:
        count = f"{job.planned:,}{'+' if job.planned_is_minimum else ''}"
        messages.success(
            request, f"{count} hook{'' if job.planned == 1 else 's'} of {instance} will be resent."
        )
    if request.POST.get("next"):
        return redirect_back(request, "admin:issues")
    return HttpResponseRedirect(customer_url(instance.owner_id, instance.number))
