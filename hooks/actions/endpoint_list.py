"""Adds endpoints to an instance and removes them.

The first endpoint of an instance exists as long as the instance. It knows the others (Endpoint.others), so that emit()
needs no query to learn that there are none.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone
from django_q.tasks import async_task

from hooks.actions.endpoints import ConflictingModes
from hooks.actions.hooks import NotPossible
from hooks.actions.stopping import CANCELLED_AT_ONCE, cancel_waiting_of
from hooks.audit import ActingUser, report_endpoint
from hooks.filters import Filters, check
from hooks.models import MAX_ENDPOINTS, Endpoint, Lane, PauseReason, Tally
from hooks.urls import webhook_urls

# Taken before the row is created, because its secret is encrypted for this id.
NEXT_ID = "SELECT nextval(pg_get_serial_sequence('hooks_endpoint', 'id'))"


def open_endpoint(instance_id: int) -> Endpoint:
    """Create the first endpoint of a new instance, without a URL. create_instance writes the audit row."""
    with transaction.atomic():
        endpoint = Endpoint.objects.create(pk=instance_id, instance_id=instance_id, first_of_id=instance_id)
        create_lane(endpoint)
    return endpoint


def create_lane(endpoint: Endpoint) -> None:
    Lane.objects.create(endpoint=endpoint)
    Tally.objects.create(endpoint=endpoint)


@transaction.atomic
def add_endpoint(
    instance_id: int,
    *,
    url: str,
    acting_user: ActingUser,
    name: str = "",
    guaranteed: bool = False,
    parallel: bool = False,
    strict: bool = False,
    filters: Filters | None = None,
    is_listener: bool = False,
) -> Endpoint:
    """Add an endpoint to the instance; it gets hooks of the events from now on that match its filters.

    With `is_listener`, `chatapi listen` fetches its hooks (hooks/actions/listening.py).

    Raises:
        NotPossible: the instance has MAX_ENDPOINTS.
        webhook_urls.InvalidUrl, ConflictingModes, InvalidFilters: a value is not valid.
    """
    wanted = webhook_urls.check(url)
    if strict and parallel:
        raise ConflictingModes
    filters = check(filters or Filters())
    first = Endpoint.objects.select_for_update(no_key=True).get(first_of=instance_id)
    if Endpoint.objects.present().filter(instance=instance_id).count() >= MAX_ENDPOINTS:
        raise NotPossible(
            f"The instance has {MAX_ENDPOINTS} endpoints, which is the most. Remove one to add another."
        )
    is_stopped = first.pause_reason == PauseReason.STOPPED
    with connection.cursor() as cursor:
        cursor.execute(NEXT_ID)
        [key] = cursor.fetchone()
    endpoint = Endpoint.objects.create(
        pk=key,
        instance_id=instance_id,
        name=name,
        url=wanted,
        typed_url=url.strip() if url.strip() != wanted else "",
        guaranteed=guaranteed,
        parallel=parallel,
        strict=strict,
        is_listener=is_listener,
        families=list(filters.families),
        direction=filters.direction,
        message_types=list(filters.message_types),
        chat_ids=list(filters.chat_ids),
        chat_kinds=filters.chat_kinds,
        paused_at=timezone.now() if is_stopped else None,
        pause_reason=PauseReason.STOPPED if is_stopped else "",
    )
    create_lane(endpoint)
    first.others = [*first.others, endpoint.pk]
    first.save(update_fields=["others"])
    report_endpoint("endpoint.added", endpoint, acting_user=acting_user)
    return endpoint


def remove_endpoint(endpoint: Endpoint, *, acting_user: ActingUser) -> None:
    """Remove an endpoint and cancel its waiting hooks. Its hooks stay in the log until they are too old.

    A task cancels what is left after CANCELLED_AT_ONCE hooks. Requests in flight can't be recalled. No change if it was
    removed already. Raises NotPossible for the first endpoint of an instance, which is the wire contract's.
    """
    if endpoint.is_first:
        raise NotPossible(
            "The first endpoint of an instance can't be removed. Remove its URL to stop its deliveries."
        )
    with transaction.atomic():
        # No event is being emitted while the first tally is locked, so none adds a hook afterwards.
        Tally.objects.select_for_update(no_key=True).get(pk=endpoint.instance_id)
        row = Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        if row.is_removed:
            return
        report_endpoint("endpoint.removed", row, acting_user=acting_user)
        row.name = str(row)[:60]
        row.url = row.typed_url = row.pause_reason = ""
        row.paused_at = row.failing_since = None
        row.removed_at = timezone.now()
        row.save(
            update_fields=[
                "name", "url", "typed_url", "pause_reason", "paused_at", "failing_since", "removed_at",
            ]
        )  # fmt: skip
        async_task("hooks.maintenance.removed_endpoints.clean")
    with transaction.atomic():  # not above: events of the instance would wait for it
        cancel_waiting_of(row.pk, limit=CANCELLED_AT_ONCE)
