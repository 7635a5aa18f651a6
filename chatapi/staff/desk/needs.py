"""What a supporter has to act on, with the next step: "Needs you" on the support desk's first page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.core.cache import caches
from django.db.models import Count, Max, Min, Sum
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure

from accounts.guessing import SEND_GUESSING_MAIL
from accounts.models import Account
from accounts.notices import SEND_NOTICE
from chatapi.staff import health
from chatapi.staff.desk import issues as issue_pages
from chatapi.staff.desk.links import customer_url
from chatapi.ui.states import Look
from hooks.explain.issues import explain_issues
from hooks.log.endpoint_numbers import limited
from hooks.models import Endpoint, Issue, IssueState, PauseReason
from instances.actions.channel_links import MAIL_LOST_LINKS
from instances.maintenance.due_issues import count_overdue_mails
from instances.models import ReceiverState

SHOWN = 10  # of each kind
DAY = timedelta(days=1)
MAIL_TASKS = (SEND_GUESSING_MAIL, SEND_NOTICE, MAIL_LOST_LINKS)
MAX_MAILS = 1000
SITE_FINDINGS = "site-findings"  # in the cache of the process
CHECKED_FOR = 30  # s; the checks were most of the page's time
# The checks whose findings have rows of their own.
LISTED = ("lost-links",)

FAILING = Look("Failing", "red", "circle-x")
PAUSED = Look("Paused", "orange", "player-pause")
LINK_LOST = Look("Link lost", "red", "wifi-off")
MAIL = Look("Mail", "red", "mail")
LEVELS = {
    "error": Look("Error", "red", "circle-x"),
    "warning": Look("Warning", "orange", "alert-triangle"),
}


class Need(NamedTuple):
    """One row: what is wrong, with whom, since when, and what to do. `who` is empty for the site itself."""

    look: Look
    what: str
    next_step: str
    url: str
    link: str  # the words of the link to `url`
    who: str = ""
    since: datetime | None = None


class Needs(NamedTuple):
    """`more` are the kinds with further rows: words, and the page that lists all."""

    rows: list[Need]
    more: list[tuple[str, str]]


def needs_of(user: Any) -> Needs:
    """Returns what this user may see of what needs you: the site first, then customers. Bounded by kind."""
    rows: list[Need] = []
    more: list[tuple[str, str]] = []
    if user.has_perm(health.PERMISSION):
        rows += of_site()
        rows += of_mail()
    if user.has_perm(issue_pages.PERMISSION):
        failing = failing_customers()
        rows += failing[:SHOWN]
        if len(failing) > SHOWN:
            more.append(("All issues", reverse("admin:issues")))
    if user.has_perm("instances.view_instance"):
        lost = lost_links()
        rows += lost[:SHOWN]
        if len(lost) > SHOWN:
            more.append(("All lost links", reverse("admin:health")))
    if user.has_perm("hooks.view_endpoint"):
        paused = paused_endpoints()
        rows += paused[:SHOWN]
        if len(paused) > SHOWN:
            endpoints = reverse("admin:hooks_endpoint_changelist")
            more.append(("All paused endpoints", f"{endpoints}?health=paused"))
    return Needs(rows, more)


def of_site() -> list[Need]:
    """The errors and warnings of the checks that the health page carries out, found at most CHECKED_FOR ago."""
    page = reverse("admin:health")
    return [
        Need(LEVELS[level], problem, next_step, page, "Open checks", who=area)
        for level, problem, next_step, area in recent_findings()
    ]


def recent_findings() -> list[tuple[str, str, str, str]]:
    """Returns site_findings(), or those of less than CHECKED_FOR ago."""
    known: list[tuple[str, str, str, str]] | None = caches["process"].get(SITE_FINDINGS)
    if known is None:
        known = site_findings()
        caches["process"].set(SITE_FINDINGS, known, CHECKED_FOR)
    return known


def site_findings() -> list[tuple[str, str, str, str]]:
    """Returns (level, problem, next step, area) of each error and warning. Over 40 queries."""
    return [
        (finding.level.word, finding.problem, finding.next_step, str(result.check.area))
        for finding, result in health.checks_context()["found"]
        if finding.level.word in LEVELS and result.check.name not in LISTED
    ]


def of_mail() -> list[Need]:
    """Mails that could not be sent: failed tasks of the last day, and mails about issues that wait for too long."""
    now = timezone.now()
    failed = Failure.objects.filter(func__in=MAIL_TASKS, stopped__gt=now - DAY)
    number = failed[:MAX_MAILS].count() + count_overdue_mails(now, MAX_MAILS)
    if not number:
        return []
    mails = "1 mail" if number == 1 else f"{number} mails"
    return [
        Need(
            MAIL,
            f"{mails} could not be sent in the last 24 hours.",
            "Check EMAIL_URL and the mail server with manage.py doctor.",
            reverse("admin:django_q_failure_changelist"),
            "Failed tasks",
            since=failed.aggregate(at=Min("stopped"))["at"],
        )
    ]


def failing_customers() -> list[Need]:
    """Accounts with open issues, those with the most failed hooks first, each with its largest issue. Four queries."""
    is_open = Issue.objects.filter(state=IssueState.OPEN, endpoint__removed_at=None)
    owner = "endpoint__instance__owner"
    totals = list(
        is_open.order_by()
        .values(owner)
        .annotate(
            issues=Count("pk"), failed=Sum("hooks"), since=Min("first_failed_at"), last=Max("last_failed_at")
        )
        .order_by("-failed", "-last")[: SHOWN + 1]
    )
    keys = [total[owner] for total in totals]
    accounts = Account.objects.select_related("owner").in_bulk(keys)
    largest = {
        issue.endpoint.instance.owner_id: issue
        for issue in is_open.filter(**{f"{owner}__in": keys})
        .order_by(owner, "-hooks", "-pk")
        .distinct(owner)
        .select_related("endpoint__instance")
    }
    explanations = explain_issues(largest.values()) if largest else {}
    return [
        failing_customer(total, accounts[key], explanations[largest[key].pk])
        for key, total in zip(keys, totals, strict=True)
        if key in largest and key in accounts  # resolved or deleted meanwhile
    ]


def failing_customer(total: dict[str, Any], account: Account, explanation: Any) -> Need:
    others = total["issues"] - 1
    more = "" if not others else " and 1 other issue" if others == 1 else f" and {others} other issues"
    failed = limited(total["failed"])
    return Need(
        FAILING,
        f"{failed.words} hook{'' if failed == 1 else 's'} failed{more}: {explanation.sentence}",
        explanation.next_step,
        customer_url(account.pk),
        "Open customer",
        who=str(account),
        since=total["since"],
    )


def lost_links() -> list[Need]:
    """Instances whose messenger does not accept their credentials any more, lost last first. One query."""
    lost = ReceiverState.objects.filter(lost_at__isnull=False).select_related("instance__owner__owner")
    return [
        Need(
            LINK_LOST,
            f"{state.instance}: {state.lost_reason}",
            "The owner has a mail about it. Ask them to link the account again.",
            customer_url(state.instance.owner_id, state.instance.number),
            "Open customer",
            who=str(state.instance.owner),
            since=state.lost_at,
        )
        for state in lost.order_by("-lost_at")[: SHOWN + 1]
    ]


def paused_endpoints() -> list[Need]:
    """Endpoints that were paused because everything failed for a day, the last one first. One query."""
    paused = Endpoint.objects.paused().filter(pause_reason=PauseReason.FAILING)
    return [
        Need(
            PAUSED,
            f"{endpoint.instance}: delivery to {endpoint} is paused, {PauseReason.FAILING.label}.",
            "Ask the owner to repair the endpoint and resume delivery. Waiting hooks are then sent.",
            customer_url(endpoint.instance.owner_id, endpoint.instance.number),
            "Open customer",
            who=str(endpoint.instance.owner),
            since=endpoint.paused_at,
        )
        for endpoint in paused.order_by("-paused_at").select_related("instance__owner__owner")[: SHOWN + 1]
    ]
