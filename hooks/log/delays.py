"""Are deliveries late, how late, and why: for the banner over a person's pages, for readyz and the watchdog.

A hook is due when it may be sent: a first attempt from its event on, a retry from its planned time on. Hooks of
paused endpoints wait because they are to wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from hooks.models import Endpoint, Hook, Role, Runner, State, is_alive
from hooks.sql.lane_queries import lanes_cte

LATE = timedelta(seconds=60)  # shorter delays are not shown

# Of the lanes that wait (found by a loose scan of the index, one probe each) the first hook; and the first retry.
OLDEST = f"""
WITH RECURSIVE {lanes_cte(State.QUEUED)}
SELECT min(due) FROM (
    SELECT first.created_at AS due
    FROM lane JOIN hooks_endpoint e ON e.instance_id = lane.endpoint_id AND e.paused_at IS NULL
    CROSS JOIN LATERAL (
        SELECT created_at FROM hooks_hook WHERE state = 'queued' AND endpoint_id = e.instance_id ORDER BY id LIMIT 1
    ) first
    UNION ALL
    (SELECT h.next_attempt_at FROM hooks_hook h JOIN hooks_endpoint e ON e.instance_id = h.endpoint_id
     WHERE h.state = 'retrying' AND e.paused_at IS NULL ORDER BY h.next_attempt_at LIMIT 1)
) oldest WHERE due < %s
"""


def oldest_due(before: datetime) -> datetime | None:
    """Since when the oldest hook of all is due, if that is earlier than `before`."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST, [before])
        row = cursor.fetchone()
    return row[0] if row else None


@dataclass(frozen=True)
class Delay:
    """`since`: when the oldest waiting hook became due; `reason`: a sentence for people."""

    since: datetime
    reason: str

    @property
    def words(self) -> str:
        """`4 min`, `2 h 5 min`, `3 days`."""
        minutes = int((timezone.now() - self.since).total_seconds() // 60)
        if minutes < 60:
            return f"{minutes} min"
        if minutes < 48 * 60:
            return f"{minutes // 60} h {minutes % 60} min"
        return f"{minutes // 1440} days"


NO_DISPATCHER = (
    "No dispatcher is alive at this moment. Nothing is lost: the hooks go out in their order once one runs."
)
BUSY = (
    "Earlier hooks of the same instance are under way, or its server answers slowly; they go one after the other "
    "unless parallelHooks is on."
)
BUSY_PARALLEL = "The instance's server answers more slowly than hooks come in."


def of_endpoints(keys: Iterable[int]) -> Delay | None:
    """The longest delay among these endpoints, None when nothing of theirs is late. Two probes of an index each.

    A paused endpoint is not late: its own notice says that it is paused, and since when.
    """
    queued = Hook.objects.filter(endpoint_id=OuterRef("pk"), state=State.QUEUED).order_by("pk")
    retrying = Hook.objects.filter(endpoint_id=OuterRef("pk"), state=State.RETRYING).order_by(
        "next_attempt_at"
    )
    found = Endpoint.objects.filter(pk__in=list(keys), paused_at=None).values_list(
        "parallel",
        Subquery(queued.values("created_at")[:1]),
        Subquery(retrying.values("next_attempt_at")[:1]),
    )
    late = timezone.now() - LATE
    since, parallel = min(
        ((due, parallel) for parallel, *both in found for due in both if due is not None and due < late),
        default=(None, False),
    )
    if since is None:
        return None
    if not is_alive(Runner.objects.last_heartbeat(Role.DISPATCH)):
        return Delay(since, NO_DISPATCHER)
    return Delay(since, BUSY_PARALLEL if parallel else BUSY)
