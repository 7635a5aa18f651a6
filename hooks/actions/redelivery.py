"""Redelivery jobs: they resend finished hooks with their `webhook-id`, in portions.

At most MOST_WAITING hooks of a job wait in a lane at any time, and they take turns with new events. So a job of a
million hooks neither overloads an endpoint nor delays its events, and a pause or a cancel takes effect within a
second. The task is hooks.tasks.redeliver.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from hooks.actions.hooks import NotPossible
from hooks.audit import ActingUser, report
from hooks.log import statistics
from hooks.log.counts import MAX_COUNT
from hooks.log.index_order import in_index_order, newest_key_of_each, newest_sql
from hooks.log.selection import Filter, matching, sendable
from hooks.models import (
    OPEN_JOBS,
    UNFINISHED,
    Endpoint,
    Hook,
    JobState,
    Redelivery,
    RedeliveryPart,
    State,
)
from hooks.outbox import wake
from hooks.urls import destination

FINISHED = [state for state in State if state not in UNFINISHED]
MOST_WAITING = 100  # hooks of one job that wait in one lane at the same time
WORKING = (JobState.PLANNED, JobState.RUNNING)

# Each is due a microsecond after the one before, so the hooks are due in the order of their events. Counted from the
# statement's start: clock_timestamp() differs from row to row, in whatever order the join visits them.
RESEND = """
UPDATE hooks_hook h SET
    state = 'retrying', skip_reason = '', trigger = 'resend', finished_at = NULL, redelivery_id = %(job)s,
    next_attempt_at = statement_timestamp() + u.place * interval '1 microsecond',
    attempts_allowed = h.attempts_made + %(allowed)s
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS u (id, place)
WHERE h.id = u.id AND h.id = ANY(%(ids)s)
"""


class AlreadyPlanned(NotPossible):
    """An open job resends these hooks: a second click, or another member's. `job` is that job."""

    def __init__(self, job: Redelivery) -> None:
        super().__init__(
            f"redelivery_{job.public_id.hex} resends these hooks already. Wait until it is finished, or cancel it."
        )
        self.job = job


class Preview(NamedTuple):
    """How many hooks match a filter: `ready` would be resent; the others match but can't be resent.

    `more`: more hooks match than were counted, so each number is a minimum.
    """

    ready: int
    unfinished: int
    body_dropped: int
    without_url: int
    more: bool = False


# What the matching finished hooks of each endpoint are, MAX_COUNT of them and one more.
COUNT_FINISHED = """
SELECT endpoint_id, body_dropped, has_url, count(*) FROM (
    SELECT endpoint_id, body_dropped_at IS NOT NULL AS body_dropped, to_url <> '' AS has_url
    FROM ({matching}) AS found LIMIT %s
) AS counted GROUP BY 1, 2, 3
"""
# Reads no row if an index has all of the filter.
COUNT = "SELECT count(*) FROM (SELECT FROM ({matching}) AS found LIMIT %s) AS counted"


def endpoint_ids(instances: QuerySet[Any]) -> list[int]:
    endpoints = Endpoint.objects.filter(instance__in=instances.order_by().values("pk"))
    return list(endpoints.order_by("pk").values_list("pk", flat=True))


def preview(instances: QuerySet[Any], wanted: Filter) -> Preview:
    """Counts the hooks before the job is created: up to MAX_COUNT finished hooks, and as many others.

    Four queries, each by an index of the endpoints. `instances` are those whose hooks the caller may change.
    """
    now = timezone.now()
    keys = endpoint_ids(instances)
    without_url = set(
        Endpoint.objects.filter(destination.endpoint_has_no_url(now), pk__in=keys).values_list(
            "pk", flat=True
        )
    )
    ready = body_dropped = no_url = 0
    finished = in_states(wanted, FINISHED)
    for endpoint, is_dropped, has_url, number in count(COUNT_FINISHED, keys, finished):
        if is_dropped:
            body_dropped += number
        elif endpoint in without_url and not has_url:
            no_url += number
        else:
            ready += number
    # counted apart: a backlog of a million hooks does not hide those that can be resent
    unfinished = sum(number for (number,) in count(COUNT, keys, in_states(wanted, UNFINISHED)))
    more = max(ready + body_dropped + no_url, unfinished) > MAX_COUNT
    return Preview(ready, unfinished, body_dropped, no_url, more)


def in_states(wanted: Filter, states: Sequence[State]) -> Filter:
    """Returns the filter with only those of its states that are among `states`."""
    asked = wanted.get("states", states)
    return wanted | {"states": [state.value for state in states if state in asked]}


def count(sql: str, keys: list[int], wanted: Filter) -> list[tuple[Any, ...]]:
    """Returns the rows of COUNT_FINISHED or COUNT for the hooks that match. One query; none if no state is left."""
    if not wanted["states"]:
        return []
    columns = ("body_dropped_at", "to_url") if sql == COUNT_FINISHED else ()
    matching, values = newest_sql(keys, wanted, limit=MAX_COUNT + 1, columns=columns, merged=False)
    with in_index_order(wanted), connection.cursor() as cursor:
        cursor.execute(sql.format(matching=matching), [*values, MAX_COUNT + 1])
        return cursor.fetchall()


def plan(
    instances: QuerySet[Any],
    *,
    wanted: Filter,
    acting_user: ActingUser,
    same_if_equal: Collection[str] | None = None,
) -> Redelivery:
    """Create the job; it starts within two seconds.

    The job resends the hooks that exist now, if they still match then. `planned` is the preview's count; if that is a
    minimum, the job counts them exactly when it starts. `same_if_equal` names the keys of the filter that another open
    job must share to be the same; by default all.

    Raises:
        NotPossible: no hook can be resent.
        AlreadyPlanned: an open job is the same and covers as many instances; of two concurrent calls, one creates it.
    """
    counted = preview(instances, wanted)
    if not counted.ready and not counted.more:
        raise NotPossible(
            "No matching hook can be resent. It must be finished, still have its body, and have a webhook URL."
        )
    with transaction.atomic():
        newest = newest_key_of_each(endpoint_ids(instances), in_states(wanted, FINISHED))
        # The lock: of two concurrent calls, the later one finds the job of the other.
        list(Endpoint.objects.select_for_update(no_key=True).filter(pk__in=sorted(newest)[:1]).order_by())
        same = find_same(wanted, same_if_equal, lanes=set(newest))
        if same is not None:
            raise AlreadyPlanned(same)
        job = Redelivery.objects.create(
            filter=wanted,
            up_to=max(newest.values(), default=0),
            planned=counted.ready,
            planned_is_minimum=counted.more,
            created_by_id=acting_user.pk if acting_user else None,
        )
        RedeliveryPart.objects.bulk_create(
            [RedeliveryPart(job=job, endpoint_id=lane) for lane in sorted(newest)]
        )
        report_job(
            job,
            action="redelivery.planned",
            acting_user=acting_user,
            detail={"hooks": counted.ready, "filter": wanted},
        )
    return job


def find_same(wanted: Filter, keys: Collection[str] | None, *, lanes: set[int]) -> Redelivery | None:
    """Returns an open job with the same values of these keys of its filter, for these lanes or more. Two queries."""
    open_jobs = Redelivery.objects.filter(state__in=OPEN_JOBS, parts__endpoint__in=lanes).distinct()
    for job in open_jobs.prefetch_related("parts"):
        found: Filter = job.filter
        compared = keys if keys is not None else {*found, *wanted}
        if all(found.get(key) == wanted.get(key) for key in compared) and lanes <= {
            part.endpoint_id for part in job.parts.all()
        }:
            return job
    return None


def count_exactly(job: Redelivery) -> None:
    """Count the hooks of a job that was planned with a minimum, before it resends the first. Takes seconds.

    Hooks that another job resends meanwhile may be counted; the job then shows them as not resent.
    """
    now = timezone.now()
    planned = 0
    for part in job.parts.select_related("endpoint"):
        hooks = matching(
            sendable(Hook.objects.filter(endpoint_id=part.endpoint_id, pk__lte=job.up_to)), job.filter
        )
        planned += (hooks if part.endpoint.effective_url(now) else hooks.exclude(to_url="")).count()
    Redelivery.objects.filter(pk=job.pk).update(planned=planned, planned_is_minimum=False)
    job.planned, job.planned_is_minimum = planned, False


def report_job(
    job: Redelivery, *, action: str, acting_user: ActingUser, detail: Mapping[str, Any] | None = None
) -> None:
    """Report an action on a job once; a job over several instances is reported for the first."""
    for instance_id in job.parts.order_by("pk").values_list("endpoint__instance_id", flat=True)[:1]:
        report(
            action, acting_user=acting_user, instance_id=instance_id, job=job.public_id.hex, **(detail or {})
        )


def change_state(
    job: Redelivery,
    *,
    of: tuple[JobState, ...],
    to: JobState,
    refusal: str,
    action: str,
    acting_user: ActingUser,
) -> Redelivery:
    with transaction.atomic():
        row = Redelivery.objects.select_for_update(no_key=True).get(pk=job.pk)
        if row.state not in of:
            raise NotPossible(refusal.format(state=row.get_state_display().lower()))
        row.state = to
        row.finished_at = timezone.now() if to == JobState.CANCELLED else None
        row.save(update_fields=["state", "finished_at"])
        report_job(row, action=action, acting_user=acting_user)
    return row


def pause(job: Redelivery, *, acting_user: ActingUser) -> Redelivery:
    """Pause the job until resume(). The hooks already queued (up to MOST_WAITING in each lane) are still sent."""
    return change_state(
        job,
        of=WORKING,
        to=JobState.PAUSED,
        refusal="The job is {state}: there is nothing to pause.",
        action="redelivery.paused",
        acting_user=acting_user,
    )


def resume(job: Redelivery, *, acting_user: ActingUser) -> Redelivery:
    """Resume a paused job where it stopped."""
    return change_state(
        job,
        of=(JobState.PAUSED,),
        to=JobState.RUNNING,
        refusal="The job is {state}, not paused.",
        action="redelivery.resumed",
        acting_user=acting_user,
    )


def cancel(job: Redelivery, *, acting_user: ActingUser) -> Redelivery:
    """Cancel the job; hooks not yet resent stay unchanged."""
    return change_state(
        job,
        of=(*WORKING, JobState.PAUSED),
        to=JobState.CANCELLED,
        refusal="The job is {state} already.",
        action="redelivery.cancelled",
        acting_user=acting_user,
    )


def is_wanted() -> bool:
    """Returns whether a job is planned or running."""
    return Redelivery.objects.filter(state__in=WORKING).exists()


def work() -> int | None:
    """Do one round: a portion for every part with room. Returns how many hooks were examined, None without a job."""
    jobs = list(Redelivery.objects.filter(state__in=WORKING).order_by("id"))
    if not jobs:
        return None
    return sum(work_on(job) for job in jobs)


def work_on(job: Redelivery) -> int:
    """Queue a portion in each lane where fewer than MOST_WAITING hooks of the job wait; finish the job at the end."""
    if job.planned_is_minimum:
        count_exactly(job)
    parts = list(job.parts.filter(finished_at=None).select_related("endpoint"))
    if not parts:
        finish(job)
        return 0
    due = Q(state=State.SENDING) | Q(state=State.RETRYING, next_attempt_at__lte=timezone.now())
    waiting = (
        Hook.objects.filter(due, redelivery=job).order_by().values_list("endpoint_id").annotate(n=Count("pk"))
    )
    waiting_by_lane = dict(waiting)
    examined = 0
    for part in parts:
        room = MOST_WAITING - waiting_by_lane.get(part.endpoint_id, 0)
        if room > 0 and can_queue(part.endpoint):
            examined += queue_portion(job, part=part, size=room)
    return examined


def can_queue(endpoint: Endpoint) -> bool:
    """Returns whether hooks may be queued: while waiting ones are being cancelled, these would be cancelled too."""
    return endpoint.paused_at is None and endpoint.cancel_up_to is None


def queue_portion(job: Redelivery, *, part: RedeliveryPart, size: int) -> int:
    """Queue the next hooks of a part and advance its cursor, in one transaction; returns how many were examined.

    The search runs before the transaction, so that locks are held for milliseconds however few hooks match.
    """
    resendable = matching(sendable(Hook.objects.filter(endpoint_id=part.endpoint_id)), job.filter)
    ahead = resendable.filter(pk__gt=part.cursor, pk__lte=job.up_to).order_by("pk")
    found = list(ahead.values_list("pk", flat=True)[:size])
    with transaction.atomic():
        row = Redelivery.objects.select_for_update(no_key=True).get(pk=job.pk)
        if row.state not in WORKING:
            return 0
        mine = RedeliveryPart.objects.select_for_update(no_key=True).get(pk=part.pk)
        if mine.cursor != part.cursor or mine.finished_at is not None:
            return 0  # another run has done this portion
        if not found:
            mine.finished_at = timezone.now()
            mine.save(update_fields=["finished_at"])
            return 0
        endpoint = Endpoint.objects.get(pk=part.endpoint_id)
        if not can_queue(endpoint):
            return 0
        sendable_now = resendable if endpoint.effective_url() else resendable.exclude(to_url="")
        if endpoint.is_removed:  # also hooks with a URL of their own
            sendable_now = resendable.none()
        locked = sendable_now.filter(pk__in=found).order_by("pk").select_for_update(no_key=True)
        resent = list(locked.values_list("pk", "public_id", "state"))
        ids = [key for key, _, _ in resent]
        with connection.cursor() as cursor:
            cursor.execute(RESEND, {"job": job.pk, "allowed": endpoint.attempts_allowed, "ids": ids})
        statistics.subtract((endpoint.pk, public_id.hex, state) for _, public_id, state in resent)
        mine.cursor = found[-1]
        mine.done += len(ids)
        mine.refused += len(found) - len(ids)
        mine.save(update_fields=["cursor", "done", "refused"])
        if row.state == JobState.PLANNED:
            row.state, row.started_at = JobState.RUNNING, timezone.now()
            row.save(update_fields=["state", "started_at"])
        wake(endpoint.pk)
    return len(found)


def finish(job: Redelivery) -> None:
    """Mark the job finished: all its hooks are queued or sent."""
    Redelivery.objects.filter(pk=job.pk, state__in=WORKING).update(
        state=JobState.FINISHED, finished_at=timezone.now()
    )


def outcomes(job: Redelivery) -> dict[str, int]:
    """Counts the hooks that the job has resent by their current state; every state is a key."""
    return Hook.objects.filter(redelivery=job).counts()
