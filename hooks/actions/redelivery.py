"""Jobs that send finished hooks again, under their old `webhook-id`: planned, counted, worked off in portions.

A portion is small, and no more than IN_HAND hooks of a job wait in a lane at any time; the lane's width and its
turns with new events do the rest, so a job of a million hooks neither floods an endpoint nor holds its events up,
and a pause or a cancel takes hold within a second. The task is hooks.tasks.redeliver.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from hooks.actions.endpoints import NotPossible
from hooks.audit import tell
from hooks.log.selection import Filter, matching, sendable
from hooks.models import (
    UNFINISHED,
    Endpoint,
    Hook,
    HookQuerySet,
    JobState,
    Redelivery,
    RedeliveryPart,
    State,
)
from hooks.outbox import wake

IN_HAND = 100  # hooks of one job that wait in one lane at a time
WORKING = (JobState.PLANNED, JobState.RUNNING)

# Each a microsecond after the one before: the order of the events is the order in which they are due.
PUT_ON_THEIR_WAY = """
UPDATE hooks_hook h SET
    state = 'retrying', skip_reason = '', trigger = 'resend', finished_at = NULL, redelivery_id = %(job)s,
    next_attempt_at = clock_timestamp() + u.place * interval '1 microsecond',
    attempts_allowed = h.attempts_made + %(allowed)s
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS u (id, place)
WHERE h.id = u.id
"""


class Preview(NamedTuple):
    """What a filter finds: `ready` ones would be sent again; the others fit too, but can't be."""

    ready: int
    under_way: int
    body_dropped: int
    no_address: int


def hooks_of(endpoints: QuerySet[Any], wanted: Filter) -> HookQuerySet:
    """The hooks that a filter finds; `endpoints` are the instances whose hooks the caller may touch."""
    return matching(Hook.objects.of_instances(endpoints), wanted)


def preview(endpoints: QuerySet[Any], wanted: Filter) -> Preview:
    """The count before. One query; reads an index of each endpoint, whole."""
    now = timezone.now()
    under_way = Q(state__in=UNFINISHED)
    dropped = ~under_way & Q(body_dropped_at__isnull=False)
    own = Q(endpoint__borrowed_until=None) | Q(endpoint__borrowed_until__lte=now)  # none is running
    homeless = ~under_way & own & Q(body_dropped_at=None, to_url="", endpoint__url="")
    found = hooks_of(endpoints, wanted).aggregate(
        total=Count("pk"),
        under_way=Count("pk", filter=under_way),
        body_dropped=Count("pk", filter=dropped),
        no_address=Count("pk", filter=homeless),
    )
    rest = found["under_way"] + found["body_dropped"] + found["no_address"]
    return Preview(found["total"] - rest, found["under_way"], found["body_dropped"], found["no_address"])


def plan(endpoints: QuerySet[Any], wanted: Filter, *, acting_user: Any) -> Redelivery:
    """Make the job; it begins within a second or two. Raises NotPossible when there is nothing to send.

    It takes the hooks that are there now and fit when their turn comes. What the preview has counted is `planned`.
    """
    count = preview(endpoints, wanted).ready
    if not count:
        raise NotPossible(
            "No finished hook with a body and an address fits, so there is nothing to send again."
        )
    with transaction.atomic():
        fitting = sendable(hooks_of(endpoints, wanted)).order_by()
        lanes = fitting.values_list("endpoint_id").annotate(newest=Max("pk"))
        newest = dict(lanes)
        job = Redelivery.objects.create(
            filter=wanted, up_to=max(newest.values(), default=0), planned=count, created_by=acting_user
        )
        RedeliveryPart.objects.bulk_create([RedeliveryPart(job=job, endpoint_id=lane) for lane in newest])
        tell_of(job, "redelivery.planned", acting_user=acting_user, hooks=count, filter=wanted)
    return job


def tell_of(job: Redelivery, deed: str, *, acting_user: Any, **detail: Any) -> None:
    """A deed on a job, told once; of a job over several instances the first stands for all."""
    for lane in job.parts.order_by("pk").values_list("endpoint_id", flat=True)[:1]:
        tell(deed, acting_user=acting_user, instance_id=lane, job=job.public_id.hex, **detail)


def change_state(
    job: Redelivery, *, of: tuple[JobState, ...], to: JobState, refusal: str, deed: str, acting_user: Any
) -> Redelivery:
    with transaction.atomic():
        row = Redelivery.objects.select_for_update(no_key=True).get(pk=job.pk)
        if row.state not in of:
            raise NotPossible(refusal.format(state=row.get_state_display().lower()))
        row.state = to
        row.finished_at = timezone.now() if to == JobState.CANCELLED else None
        row.save(update_fields=["state", "finished_at"])
        tell_of(row, deed, acting_user=acting_user)
    return row


def pause(job: Redelivery, *, acting_user: Any) -> Redelivery:
    """Send no more until resume(); the up to IN_HAND hooks a lane that are on their way go on."""
    return change_state(
        job,
        of=WORKING,
        to=JobState.PAUSED,
        refusal="The job is {state}: there is nothing to pause.",
        deed="redelivery.paused",
        acting_user=acting_user,
    )


def resume(job: Redelivery, *, acting_user: Any) -> Redelivery:
    """Go on where it was paused."""
    return change_state(
        job,
        of=(JobState.PAUSED,),
        to=JobState.RUNNING,
        refusal="The job is {state}, not paused.",
        deed="redelivery.resumed",
        acting_user=acting_user,
    )


def cancel(job: Redelivery, *, acting_user: Any) -> Redelivery:
    """End it; the hooks that it has not come to stay as they are."""
    return change_state(
        job,
        of=(*WORKING, JobState.PAUSED),
        to=JobState.CANCELLED,
        refusal="The job is {state} already.",
        deed="redelivery.cancelled",
        acting_user=acting_user,
    )


def is_wanted() -> bool:
    """Is there a job to be worked on?"""
    return Redelivery.objects.filter(state__in=WORKING).exists()


def work() -> int | None:
    """One round: a portion for every part that has room. How many hooks it has looked at; None: no job is left."""
    jobs = list(Redelivery.objects.filter(state__in=WORKING).order_by("id"))
    if not jobs:
        return None
    return sum(work_on(job) for job in jobs)


def work_on(job: Redelivery) -> int:
    """A portion for each lane of a job where fewer than IN_HAND of its hooks wait; ends the job after the last."""
    parts = list(job.parts.filter(finished_at=None).select_related("endpoint"))
    if not parts:
        finish(job)
        return 0
    due = Q(state=State.SENDING) | Q(state=State.RETRYING, next_attempt_at__lte=timezone.now())
    waiting = (
        Hook.objects.filter(due, redelivery=job).order_by().values_list("endpoint_id").annotate(n=Count("pk"))
    )
    in_hand = dict(waiting)
    looked_at = 0
    for part in parts:
        room = IN_HAND - in_hand.get(part.endpoint_id, 0)
        if room > 0 and part.endpoint.paused_at is None:
            looked_at += portion(job, part, room)
    return looked_at


def portion(job: Redelivery, part: RedeliveryPart, size: int) -> int:
    """Put the next hooks of a part on their way, and move the part on, in one transaction; how many it looked at.

    They are searched for before it, so that its locks are held for milliseconds however many hooks do not fit.
    """
    fitting = matching(sendable(Hook.objects.filter(endpoint_id=part.endpoint_id)), job.filter)
    ahead = fitting.filter(pk__gt=part.cursor, pk__lte=job.up_to).order_by("pk")
    found = list(ahead.values_list("pk", flat=True)[:size])
    with transaction.atomic():
        row = Redelivery.objects.select_for_update(no_key=True).get(pk=job.pk)
        if row.state not in WORKING:
            return 0
        mine = RedeliveryPart.objects.select_for_update(no_key=True).get(pk=part.pk)
        if mine.cursor != part.cursor or mine.finished_at is not None:
            return 0  # another run has been here
        if not found:
            mine.finished_at = timezone.now()
            mine.save(update_fields=["finished_at"])
            return 0
        endpoint = Endpoint.objects.get(pk=part.endpoint_id)
        still = fitting if endpoint.effective_url() else fitting.exclude(to_url="")
        locked = still.filter(pk__in=found).order_by("pk").select_for_update(no_key=True)
        ids = list(locked.values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute(
                PUT_ON_THEIR_WAY, {"job": job.pk, "allowed": endpoint.attempts_allowed, "ids": ids}
            )
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
    """All its hooks are on their way, or have arrived."""
    Redelivery.objects.filter(pk=job.pk, state__in=WORKING).update(
        state=JobState.FINISHED, finished_at=timezone.now()
    )


def outcomes(job: Redelivery) -> dict[str, int]:
    """How many of the hooks that it has sent are in each state now; every state is a key."""
    return Hook.objects.filter(redelivery=job).counts()
