"""`manage.py hooks check` reports whether a hook was lost, and from which instance; and endpoints with two lanes."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from hooks import outbox
from hooks.models import Endpoint, Hook, Kind, Lane, SkipReason, Tally
from tests.factories import InstanceFactory
from tests.threads import plain_session, wait_until_a_session_waits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def emitted() -> Endpoint:
    """Three hooks, one of them skipped."""
    endpoint = InstanceFactory(url="http://127.0.0.1:9/").endpoint
    with transaction.atomic():
        for skip in (None, None, SkipReason.FLAG_OFF):
            outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}", skip=skip)
    return endpoint


def check() -> tuple[int, list[str]]:
    """Runs the command; returns its exit code and the lines it printed."""
    output = StringIO()
    try:
        call_command("hooks", "check", stdout=output)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue().splitlines()
    return 0, output.getvalue().splitlines()


def line(endpoint: Endpoint, emitted: int, queued: int, tail: str) -> str:
    return (
        f"instance key {endpoint.pk}: {emitted} emitted = {queued} queued + 0 sending + 0 retrying + 0 delivered"
        f" + 0 failed + 1 skipped + 0 cancelled{tail}"
    )


def test_the_sum_is_right(emitted: Endpoint) -> None:
    assert check() == (0, [line(emitted, 3, 2, ": ok"), "1 instances checked, 0 wrong."])


def test_a_missing_hook_is_reported(emitted: Endpoint) -> None:
    InstanceFactory()
    Hook.objects.filter(skip_reason="").order_by("id")[0].delete()
    code, lines = check()
    assert code == 1
    assert lines[0] == line(emitted, 3, 1, ": WRONG, 1 missing")
    assert lines[-1] == "2 instances checked, 1 wrong."


def test_a_hook_that_was_not_emitted_is_reported(emitted: Endpoint) -> None:
    Hook.objects.create(endpoint=emitted, kind=Kind.ACK, body=b"{}")
    assert check() == (1, [line(emitted, 3, 3, ": WRONG, -1 missing"), "1 instances checked, 1 wrong."])


def test_hooks_dropped_by_retention_are_not_missing(emitted: Endpoint) -> None:
    Hook.objects.filter(skip_reason="").delete()
    Tally.objects.update(dropped=2)
    assert check() == (0, [line(emitted, 3, 0, " + 2 dropped by age: ok"), "1 instances checked, 0 wrong."])


def test_without_instances_nothing_is_wrong() -> None:
    assert check() == (0, ["0 instances checked, 0 wrong."])


INSERT_LANE = "INSERT INTO hooks_lane (endpoint_id, period) VALUES (%s, %s)"


def add_second_lane(endpoint: Endpoint) -> None:
    """As `pg_restore --disable-triggers` may."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE hooks_lane DISABLE TRIGGER hooks_lane_is_first")
        cursor.execute(INSERT_LANE, [endpoint.pk, 2**31 - 1])
        cursor.execute("ALTER TABLE hooks_lane ENABLE TRIGGER hooks_lane_is_first")


def test_an_endpoint_gets_no_second_lane(emitted: Endpoint) -> None:
    with pytest.raises(IntegrityError, match=f"endpoint {emitted.pk} has a lane"):
        Lane.objects.create(endpoint=emitted, period=7)
    assert check()[0] == 0


def test_of_two_lanes_inserted_at_once_the_second_is_refused(emitted: Endpoint) -> None:
    Lane.objects.all().delete()

    def insert() -> None:
        try:
            with pytest.raises(IntegrityError, match="has a lane"):
                Lane.objects.create(endpoint_id=emitted.pk, period=2)
        finally:
            connection.close()

    with plain_session() as session, ThreadPoolExecutor(1) as threads:
        session.execute(INSERT_LANE, [emitted.pk, 1])
        done = threads.submit(insert)
        wait_until_a_session_waits(session)
        session.commit()
        done.result()
    assert Lane.objects.get().period == 1


def test_a_second_lane_is_reported_and_removed(emitted: Endpoint) -> None:
    others = [InstanceFactory() for _ in range(2)]
    Lane.objects.update(owner=7, until=timezone.now(), cursor=10**9)
    add_second_lane(emitted)
    code, lines = check()
    assert code == 1
    assert lines[-1].startswith("Endpoints with two lanes")
    assert lines[-1].endswith(f": {emitted.pk}.")

    output = StringIO()
    call_command("hooks", "repair", stdout=output)
    assert output.getvalue() == f"Second lanes removed from 1 endpoints: {emitted.pk}.\n"
    assert check()[0] == 0
    lane = Lane.objects.get(pk=emitted.pk)
    assert (lane.owner, lane.until, lane.cursor, lane.period) == (None, None, 0, 2**31 - 1)
    assert Lane.objects.filter(owner=7, cursor=10**9).count() == len(others)
    call_command("hooks", "repair", stdout=output)
    assert output.getvalue().endswith("Second lanes removed from 0 endpoints.\n")
