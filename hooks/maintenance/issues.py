"""Groups failed attempts into issues, and resolves the issues whose endpoint responds 200 again; runs every minute.

A run reads the failed attempts that were recorded since the run before the last, by an index that has no others, so
deliveries cost it nothing. Attempts get their ids before they are committed: the last run may have missed one, which
this one reads. The mark advances only over ids whose transactions have ended, however long that takes. So each failure
is read at least twice, and everything written follows from rows: hooks are counted again, not added. All of a run is
one transaction, so nothing is left of one that is killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from hooks.log.index_order import execute_in_index_order
from hooks.log.issue_hooks import FAILED_OR_RETRYING, count_hooks
from hooks.models import CAUSE_HAS_STATUS, UNRESOLVED, Attempt, Issue, IssueMark, IssueState
from hooks.models.endpoints import HOST_OF_URL

NEW_SITE = timedelta(hours=1)  # since its first attempt
# A failure so soon after the issue was resolved reopens it: an endpoint in trouble for hours is one row.
REOPEN_WITHIN = timedelta(hours=1)
# An endpoint that has delivered hooks between its failures, such as one that fails acks only, is not well at the next
# success: its issue is resolved after so long without a failure.
QUIET = timedelta(minutes=10)
SUCCESSES = 20  # deliveries that are compared to find the first and the last one after a failure …
# … among so many. An old hook that was resent in vain may have a million newer ones, delivered before its failure:
# without the first delivery after it, the issue is resolved after QUIET.
EXAMINED = 10_000

# Status codes of an endpoint's issues of the last hour with one outcome. If there are more, all of them are one issue:
# an endpoint that responds with a random code each time is one row and one mail, not hundreds.
MAX_STATUSES = 5

# Only attempts at the endpoint's present URL count: not those at a bin during a verification, nor at a URL that was
# replaced. The laterals keep the order of the two lookups: the planner knows neither how many attempts are new, nor
# how many of them failed, and would read all hooks.
NEW_FAILURES = """
SELECT h.endpoint_id, a.outcome, CASE WHEN a.outcome = ANY (%(with_status)s) THEN coalesce(a.status, 0) ELSE 0 END,
    min(a.started_at), max(a.started_at), min(h.id), min(h.created_at), max(a.id)
FROM (
    SELECT id, hook_id, outcome, status, started_at, url FROM hooks_attempt
    WHERE id > %(after)s AND id <= %(newest)s AND outcome <> 'ok' ORDER BY id
) AS a
CROSS JOIN LATERAL (
    SELECT id, endpoint_id, created_at FROM hooks_hook WHERE id = a.hook_id AND NOT simulated LIMIT 1
) AS h
JOIN hooks_endpoint e ON e.id = h.endpoint_id AND e.url = a.url AND NOT e.is_listener AND e.removed_at IS NULL
GROUP BY 1, 2, 3
"""
# `failing_since` says without a look at hooks whether the endpoint may have responded 200 since. It is also empty
# after a change of the URL, so a delivery must be found, at the URL's host: a bin's 200 during a verification says
# nothing about the endpoint.
DELIVERED = """
    SELECT h.finished_at FROM (
        SELECT finished_at, last_outcome, last_host, simulated FROM hooks_hook
        WHERE endpoint_id = i.endpoint_id AND last_answer = ANY (ARRAY['200']) AND last_answer <> ''
            AND id >= i.first_hook
        ORDER BY last_answer, id {order} LIMIT %(examined)s
    ) AS h
    WHERE h.last_outcome = 'ok' AND NOT h.simulated AND h.finished_at > i.first_failed_at
        AND h.last_host = left(btrim(substring(e.url FROM %(host)s), '[]'), 255)
    LIMIT %(successes)s
"""
RECOVERED = f"""
SELECT i.id, latest.at FROM hooks_issue i JOIN hooks_endpoint e ON e.id = i.endpoint_id
CROSS JOIN LATERAL (SELECT max(finished_at) AS at FROM ({DELIVERED.format(order="DESC")}) AS of_latest) AS latest
CROSS JOIN LATERAL (SELECT min(finished_at) AS at FROM ({DELIVERED.format(order="")}) AS of_first) AS first
WHERE i.state = ANY (%(unresolved)s) AND (e.failing_since IS NULL OR e.failing_since > i.last_failed_at)
    AND latest.at > i.last_failed_at AND (first.at > i.last_failed_at OR i.last_failed_at < %(quiet_since)s)
"""
DROP_OF_DELETED = """
DELETE FROM hooks_issue i WHERE NOT EXISTS (SELECT FROM hooks_endpoint e WHERE e.id = i.endpoint_id)
"""


# The newest attempt, and the first transaction that has not begun, and the first one that has not ended: of the others'
# transactions, which write.
POSITION = """
SELECT (SELECT coalesce(max(id), 0) FROM hooks_attempt), pg_snapshot_xmax(s)::text::bigint,
    coalesce((SELECT min(x::text::bigint) FROM pg_snapshot_xip(s) AS x), pg_snapshot_xmax(s)::text::bigint)
FROM pg_current_snapshot() AS s
"""


class Position(NamedTuple):
    """Where the attempts end now. `begun` and `ended` are ids of transactions: all before them have begun, or ended."""

    newest: int
    begun: int
    ended: int


class Failures(NamedTuple):
    """The new failed attempts of one endpoint with one cause."""

    endpoint_id: int
    outcome: str
    status: int
    first_at: datetime
    last_at: datetime
    first_hook: int
    events_since: datetime
    last_attempt: int


@transaction.atomic
def update() -> str:
    """Open, update and resolve issues; returns a summary for the task's result. Does nothing while another run does."""
    mark = lock_mark()
    if mark is None:
        return "another run is at work"
    position = read_position()
    failures = new_failures(after=mark.counted_up_to, newest=position.newest)
    advance(mark, position)
    now = timezone.now()
    touched = [record(found, now=now) for found in group_statuses(failures, now=now)]
    write_counts(touched)
    resolved = resolve_recovered(now)
    dropped = drop_old(now)
    return f"{len(touched)} with failures, {resolved} resolved, {dropped} dropped"


def lock_mark() -> IssueMark | None:
    """Returns the mark, locked; None if another run has it. The first run of all starts at `first_of_all`."""
    if not IssueMark.objects.exists():
        position = read_position()
        first = IssueMark(
            pk=1,
            counted_up_to=first_of_all(position),
            newest=position.newest,
            begun=position.begun,
        )
        IssueMark.objects.bulk_create([first], ignore_conflicts=True)
    return IssueMark.objects.select_for_update(skip_locked=True, no_key=True).first()


def first_of_all(position: Position) -> int:
    """Returns after which attempt the first run reads. On a site that had attempts before, the newest.

    A site that has just been installed may have failed to deliver its first hooks before the first run. One that was
    upgraded has a log of months, whose failures may be of no interest any more.
    """
    oldest = Attempt.objects.order_by("id").values_list("started_at", flat=True).first()
    return position.newest if oldest and oldest < timezone.now() - NEW_SITE else 0


def read_position() -> Position:
    with connection.cursor() as cursor:
        cursor.execute(POSITION)
        return Position(*cursor.fetchone())


def advance(mark: IssueMark, position: Position) -> None:
    """Move the mark to the attempts of the last run, unless a transaction of that time may still commit older ones.

    The ids of transactions start again in another database cluster, to which a backup was restored: all have ended.
    """
    if position.ended < mark.begun <= position.begun:
        return
    mark.counted_up_to, mark.newest = mark.newest, max(position.newest, mark.newest)
    mark.begun = position.begun
    mark.save()


def new_failures(*, after: int, newest: int) -> list[Failures]:
    """Returns the failed attempts with ids from `after` to `newest`, grouped by endpoint and cause. One query."""
    values = {
        "after": after,
        "newest": newest,
        "with_status": [outcome.value for outcome in CAUSE_HAS_STATUS],
    }
    with connection.cursor() as cursor:
        execute_in_index_order(cursor, NEW_FAILURES, values)
        return [Failures(*row) for row in cursor.fetchall()]


def group_statuses(failures: Sequence[Failures], *, now: datetime) -> list[Failures]:
    """Returns the failures, with those of an endpoint that has responded with too many status codes as one. One query.

    Their status is 0, and the endpoint's unresolved issues with one of the codes become one issue.
    """
    with_status: dict[tuple[int, str], list[Failures]] = {}
    grouped = []
    for found in failures:
        if found.outcome in CAUSE_HAS_STATUS:
            with_status.setdefault((found.endpoint_id, found.outcome), []).append(found)
        else:
            grouped.append(found)
    recent = Issue.objects.filter(
        Q(state__in=UNRESOLVED) | Q(resolved_at__gt=now - REOPEN_WITHIN),
        endpoint_id__in={endpoint for endpoint, _ in with_status},
        outcome__in=CAUSE_HAS_STATUS,
    )
    issues: dict[tuple[int, str], list[Issue]] = {}
    for issue in recent.select_for_update(no_key=True).order_by("pk") if with_status else ():
        issues.setdefault((issue.endpoint_id, issue.outcome), []).append(issue)
    for key, several in with_status.items():
        of_cause = issues.get(key, [])
        statuses = {found.status for found in several} | {issue.status for issue in of_cause}
        if 0 in statuses or len(statuses) > MAX_STATUSES:
            merge_issues(of_cause)
            several = [merge_failures(several)]
        grouped += several
    return grouped


def merge_failures(several: Sequence[Failures]) -> Failures:
    return several[0]._replace(
        status=0,
        first_at=min(found.first_at for found in several),
        last_at=max(found.last_at for found in several),
        first_hook=min(found.first_hook for found in several),
        events_since=min(found.events_since for found in several),
        last_attempt=max(found.last_attempt for found in several),
    )


def merge_issues(issues: Sequence[Issue]) -> None:
    """Make the unresolved ones of these issues, which are locked, one issue for all status codes: the oldest of them.

    It is open if one of them is. Resolved ones stay as they are, but an issue for all status codes is reopened.
    """
    unresolved = [issue for issue in issues if not issue.is_resolved]
    if not unresolved:
        return
    kept = next((issue for issue in unresolved if not issue.status), unresolved[0])
    kept.status = 0
    kept.first_failed_at = min(issue.first_failed_at for issue in unresolved)
    kept.last_failed_at = max(issue.last_failed_at for issue in unresolved)
    kept.first_hook = min(issue.first_hook for issue in unresolved)
    kept.events_since = min(issue.events_since for issue in unresolved)
    kept.last_attempt = max(issue.last_attempt for issue in unresolved)
    if any(issue.state == IssueState.OPEN for issue in unresolved):
        kept.state, kept.acknowledged_at, kept.acknowledged_by = IssueState.OPEN, None, None
    Issue.objects.filter(pk__in=[issue.pk for issue in unresolved if issue is not kept]).delete()
    kept.save()


def record(found: Failures, *, now: datetime) -> Issue:
    """Update, reopen or open the issue of these failures; returns it."""
    is_from_future = found.last_at > now  # by a clock that was set back since
    found = found._replace(first_at=min(found.first_at, now), last_at=min(found.last_at, now))
    newest_first = F("resolved_at").desc(nulls_first=True), "-pk"  # the unresolved one, or the last resolved
    issue = issues_of_cause(found).select_for_update(no_key=True).order_by(*newest_first).first()
    if issue is None:
        return open_issue(found, now=now)
    # If no failure is later, the last run has counted them, and the issue was resolved since.
    is_later = found.last_attempt > issue.last_attempt or (
        found.last_at > issue.last_failed_at and not is_from_future
    )
    if not is_later:
        found = found._replace(last_at=issue.last_failed_at)
    if issue.resolved_at is not None and is_later:
        if found.last_at - issue.resolved_at > REOPEN_WITHIN:
            return open_issue(without_former(found, issue.resolved_at), now=now)
        issue.state, issue.resolved_at, issue.opened_at = IssueState.OPEN, None, now
        issue.acknowledged_at = issue.acknowledged_by = None
    if found.first_hook < issue.first_hook:
        include_older(issue, found)
    issue.first_failed_at = min(issue.first_failed_at, found.first_at)
    issue.last_failed_at = max(issue.last_failed_at, found.last_at)
    issue.last_attempt = max(issue.last_attempt, found.last_attempt)
    issue.save()
    return issue


def issues_of_cause(found: Failures) -> QuerySet[Issue]:
    return Issue.objects.filter(endpoint_id=found.endpoint_id, outcome=found.outcome, status=found.status)


def without_former(found: Failures, resolved_at: datetime) -> Failures:
    """Returns the failures without those of the issue with the same cause that was resolved at this time."""
    return found._replace(
        first_at=max(found.first_at, resolved_at), events_since=max(found.events_since, resolved_at)
    )


def include_older(issue: Issue, found: Failures) -> None:
    """Count an older hook of these failures too: a retried or resent one, or one that was committed late.

    Hooks before the last resolved issue with this cause belong to that one.
    """
    issue.first_hook = found.first_hook
    former = issues_of_cause(found).exclude(pk=issue.pk).aggregate(at=Max("resolved_at"))["at"]
    events_since = max(found.events_since, former) if former else found.events_since
    issue.events_since = min(issue.events_since, events_since)


def open_issue(found: Failures, *, now: datetime) -> Issue:
    return Issue.objects.create(
        endpoint_id=found.endpoint_id,
        outcome=found.outcome,
        status=found.status,
        first_failed_at=found.first_at,
        last_failed_at=found.last_at,
        first_hook=found.first_hook,
        events_since=found.events_since,
        last_attempt=found.last_attempt,
        opened_at=now,
    )


def write_counts(issues: Sequence[Issue]) -> None:
    """Count the hooks that failed with the cause of each issue. The number never falls: resent hooks failed too."""
    counts = count_hooks(issues, FAILED_OR_RETRYING)
    for issue in issues:
        number = int(counts[issue.pk]) + counts[issue.pk].more
        if number > issue.hooks:
            Issue.objects.filter(pk=issue.pk).update(hooks=number)


def resolve_recovered(now: datetime) -> int:
    """Resolve the issues whose endpoint has responded 200 after the last failure; returns how many."""
    values = {
        "host": HOST_OF_URL,
        "successes": SUCCESSES,
        "examined": EXAMINED,
        "unresolved": list(UNRESOLVED),
        "quiet_since": now - QUIET,
    }
    with connection.cursor() as cursor:
        execute_in_index_order(cursor, RECOVERED, values)
        recovered = cursor.fetchall()
    for key, at in recovered:
        Issue.objects.filter(pk=key, state__in=UNRESOLVED).update(state=IssueState.RESOLVED, resolved_at=at)
    return len(recovered)


def drop_old(now: datetime) -> int:
    """Delete the issues whose hooks are no longer in the log, and those of deleted endpoints; returns how many."""
    before = now - timedelta(days=settings.HOOKS_KEEP_DAYS)
    number, _ = Issue.objects.filter(last_failed_at__lt=before).delete()
    with connection.cursor() as cursor:
        cursor.execute(DROP_OF_DELETED)
        return number + int(cursor.rowcount)
