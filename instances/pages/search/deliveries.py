"""The endpoints of the user's instances, and their issues."""

from __future__ import annotations

from django.db.models import F, Q
from django.http import HttpRequest
from django.urls import reverse

from chatapi.ui.numbers import parse_digits
from chatapi.ui.states import ISSUE_STATES, look
from hooks.explain.issues import explain_issues
from hooks.explain.sentences import Explanation
from hooks.models import Endpoint, Issue, parse_issue_id
from instances.models import Instance
from instances.pages.frame import InstanceFrame
from instances.pages.search.result_groups import SHOWN, Group, Row

ENDPOINT_ID_DIGITS = 18  # fits PostgreSQL's bigint
# An issue is found by its sentence, which is made of its newest attempt: this many are read.
ISSUES_SEARCHED = 100


def endpoints(request: HttpRequest, query: str) -> Group:
    """Returns the endpoints with every word in the name or the URL, and the one with this id. One query.

    The first endpoint of an instance is found with the instance by its URL; here only by its name and its id.
    """
    visible = Instance.objects.visible_to(InstanceFrame.of(request).user)
    matching = Q(first_of=None) | ~Q(name="")
    for word in query.split():
        matching &= Q(name__icontains=word) | Q(url__icontains=word)
    matching |= Q(pk=parse_digits(query, max_digits=ENDPOINT_ID_DIGITS))
    found = Endpoint.objects.present().of_instances(visible).filter(matching).select_related("instance")
    rows = [
        Row(
            str(endpoint),
            f"Endpoint of {endpoint.instance}",
            reverse("instances:endpoint", args=[endpoint.instance.number, endpoint.pk]),
            "webhook",
        )
        for endpoint in found[:SHOWN]
    ]
    return Group("Endpoints", rows)


def issues(request: HttpRequest, query: str) -> Group:
    """Returns the issue with this id; else those with every word in their sentence, instance, endpoint or state.

    Of the ISSUES_SEARCHED unresolved ones that have failed last, then resolved ones. Two queries.
    """
    visible = Instance.objects.visible_to(InstanceFrame.of(request).user)
    of_user = Issue.objects.of_instances(visible).select_related("endpoint__instance")
    public_id = parse_issue_id(query)
    if public_id is not None:
        found = list(of_user.filter(public_id=public_id))
    else:
        newest = of_user.order_by(F("resolved_at").desc(nulls_first=True), "-last_failed_at", "-pk")
        found = list(newest[:ISSUES_SEARCHED])
    explanations = explain_issues(found) if found else {}
    words = query.lower().split()
    matching = [
        issue
        for issue in found
        if public_id is not None
        or all(word in searched_text(issue, explanations[issue.pk]) for word in words)
    ]
    rows = [
        Row(
            explanations[issue.pk].sentence,
            " · ".join(names_of(issue.endpoint)),
            reverse("issues:issue", args=[issue.public_id]),
            "alert-triangle",
            look=look(ISSUE_STATES, issue.state),
        )
        for issue in matching[:SHOWN]
    ]
    return Group("Issues", rows, reverse("issues:list") if len(matching) > SHOWN else "")


def searched_text(issue: Issue, explanation: Explanation) -> str:
    number = str(issue.endpoint.instance.number)
    names = (explanation.sentence, *names_of(issue.endpoint), number, issue.get_state_display())
    return " ".join(names).lower()


def names_of(endpoint: Endpoint) -> list[str]:
    """Returns the name of the instance, and that of an endpoint that is not its first."""
    return [str(endpoint.instance)] if endpoint.is_first else [str(endpoint.instance), str(endpoint)]
