"""The counts per minute are the numbers of delivered and failed hooks, whatever happens to the hooks."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks import outbox
from hooks.actions import redelivery
from hooks.actions.hooks import cancel, resend, skip
from hooks.dispatch import claim
from hooks.dispatch.attempts import attempt_result
from hooks.dispatch.record import record_attempts
from hooks.http import Response
from hooks.log import statistics
from hooks.maintenance import deleted_instances, retention
from hooks.models import CountingStart, Endpoint, Hook, Kind, MinuteCount, Outcome, State, new_public_id
from instances.models import Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db
ME = 1_000_000_000_001
OUTCOMES = {200: Outcome.OK, 500: Outcome.NOT_200}


@pytest.fixture
def endpoint() -> Endpoint:
    return InstanceFactory(url="http://bot.example/hook").endpoint


def session() -> Any:
    connection.ensure_connection()
    return connection.connection


def emit(endpoint: Endpoint, n: int) -> list[Hook]:
    with transaction.atomic():
        return [outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}") for _ in range(n)]


def send(endpoint: Endpoint, *statuses: int) -> None:
    """Sends the endpoint's next due hooks, which get these responses, as a dispatcher does."""
    claimed = claim.claim_hooks(session(), ME, {endpoint.pk: len(statuses)}).hooks
    assert len(claimed) == len(statuses)
    record_attempts(
        session(),
        [
            attempt_result(hook, datetime.now(UTC), {}, Response(OUTCOMES[status], status=status))
            for hook, status in zip(claimed, statuses, strict=True)
        ],
        owner=ME,
    )


def stored() -> dict[tuple[int, datetime, str], int]:
    """Returns the counts that are not 0."""
    return {
        (row.endpoint_id, row.minute, state): number
        for row in MinuteCount.objects.all()
        for state, number in (("delivered", row.delivered), ("failed", row.failed))
        if number
    }


def counted_in_hooks() -> dict[tuple[int, datetime, str], int]:
    """Returns the same numbers, counted in the rows of hooks."""
    hooks = Hook.objects.filter(state__in=statistics.COUNTED)
    return dict(
        Counter(
            (
                hook.endpoint_id,
                datetime.fromtimestamp(statistics.minute_of(hook.public_id.hex) * 60, UTC),
                hook.state,
            )
            for hook in hooks
        )
    )


def test_results_are_counted_in_the_minute_of_their_event(endpoint: Endpoint) -> None:
    other = InstanceFactory(url="http://bot.example/hook").endpoint
    hooks = emit(endpoint, 5)
    then = timezone.now() - timedelta(hours=2)
    Hook.objects.filter(pk=hooks[0].pk).update(public_id=new_public_id(then), created_at=then)
    emit(other, 1)
    send(endpoint, 500, 200, 200, 500)
    send(other, 200)
    assert stored() == counted_in_hooks()
    assert Counter(state for _, _, state in stored()) == {"delivered": 2, "failed": 2}
    assert sum(stored().values()) == 5
    minute = then.replace(second=0, microsecond=0)
    assert stored()[endpoint.pk, minute, "failed"] == 1


def test_a_hook_that_waits_for_its_retry_is_not_counted(endpoint: Endpoint) -> None:
    endpoint.guaranteed = True
    endpoint.save()
    emit(endpoint, 2)
    send(endpoint, 500, 200)
    assert Hook.objects.filter(state=State.RETRYING).count() == 1
    assert sum(stored().values()) == 1
    Hook.objects.filter(state=State.RETRYING).update(next_attempt_at=timezone.now())
    send(endpoint, 200)
    assert stored() == counted_in_hooks()
    assert sum(stored().values()) == 2


def test_a_late_result_of_a_cancelled_hook_is_not_counted(endpoint: Endpoint) -> None:
    [hook] = emit(endpoint, 1)
    [claimed] = claim.claim_hooks(session(), ME, {endpoint.pk: 1}).hooks
    hook.refresh_from_db()
    cancel(hook, acting_user=None)
    late = attempt_result(claimed, datetime.now(UTC), {}, Response(Outcome.OK, status=200))
    record_attempts(session(), [late], owner=ME)
    assert stored() == counted_in_hooks() == {}


def test_a_resend_moves_the_hook_to_its_new_state(endpoint: Endpoint) -> None:
    hooks = emit(endpoint, 4)
    send(endpoint, 500, 200, 500)
    skip(hooks[3], acting_user=None)
    for hook in hooks:
        hook.refresh_from_db()
        resend(hook, acting_user=None)
    assert stored() == counted_in_hooks() == {}
    send(endpoint, 200, 200, 500, 200)
    assert stored() == counted_in_hooks()
    assert Counter({state: number for (_, _, state), number in stored().items()}) == {
        "delivered": 3,
        "failed": 1,
    }


def test_a_redelivery_subtracts_the_hooks_of_each_portion(endpoint: Endpoint) -> None:
    emit(endpoint, 6)
    send(endpoint, 500, 200, 500, 500, 200, 200)
    redelivery.plan(Instance.objects.filter(pk=endpoint.pk), wanted={"states": ["failed"]}, acting_user=None)
    assert redelivery.work() == 3
    assert stored() == counted_in_hooks()
    assert sum(stored().values()) == 3
    send(endpoint, 200, 500, 200)
    assert stored() == counted_in_hooks()
    assert sum(stored().values()) == 6


def test_counts_are_deleted_with_old_hooks_and_with_their_endpoint(endpoint: Endpoint) -> None:
    now = timezone.now()
    other = InstanceFactory().endpoint
    MinuteCount.objects.bulk_create(
        MinuteCount(endpoint_id=key, minute=(now - age).replace(second=0, microsecond=0), delivered=1)
        for key in (endpoint.pk, other.pk)
        for age in (timedelta(days=30, minutes=2), timedelta(days=29), timedelta())
    )
    retention.drop_old()
    assert MinuteCount.objects.filter(minute__lt=now - timedelta(days=30)).count() == 0
    assert MinuteCount.objects.count() == 4
    deleted_instances.drop_hooks_of(endpoint.pk)
    assert set(MinuteCount.objects.values_list("endpoint_id", flat=True)) == {other.pk}


def test_a_batch_is_counted_by_one_statement_in_the_order_of_its_keys(endpoint: Endpoint) -> None:
    others = [InstanceFactory(url="http://bot.example/hook").endpoint for _ in range(3)]
    keys = sorted(lane.pk for lane in (endpoint, *others))
    changes = [(key, minute, State.DELIVERED, 1) for key in reversed(keys) for minute in (7, 5, 6)]
    with CaptureQueriesContext(connection) as captured, connection.cursor() as cursor:
        statistics.add(cursor, [*changes, (keys[0], 5, State.QUEUED, 1)])
    assert len(captured.captured_queries) == 1
    # Two dispatchers that lock rows in one order do not wait for each other in a circle. New rows are stored in order.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT endpoint_id, extract(epoch FROM minute)::int / 60 FROM hooks_minutecount ORDER BY ctid"
        )
        assert cursor.fetchall() == [(key, minute) for key in keys for minute in (5, 6, 7)]


def test_nothing_finished_is_no_statement(endpoint: Endpoint) -> None:
    with CaptureQueriesContext(connection) as captured, connection.cursor() as cursor:
        statistics.add(cursor, [(endpoint.pk, 1, State.RETRYING, 1)])
    assert not captured.captured_queries


def test_counting_starts_with_the_first_full_minute_after_the_migration() -> None:
    at = datetime(2030, 1, 10, 14, 30, 5, tzinfo=UTC)
    CountingStart.objects.update_or_create(pk=1, defaults={"at": at})
    assert statistics.counted_since() == datetime(2030, 1, 10, 14, 31, tzinfo=UTC)
    CountingStart.objects.all().delete()
    assert statistics.counted_since() is None
