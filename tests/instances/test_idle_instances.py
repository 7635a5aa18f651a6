"""What runs every second or minute reads no idle instance: its work does not grow with their number."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hooks import tasks
from hooks.maintenance import removed_endpoints
from instances import tasks as instance_tasks
from instances.receiving import link_checks
from instances.sending import channel_work, outgoing
from tests.bench.million import copy_instance
from tests.factories import InstanceFactory
from tests.hooks.dispatch.test_plans_by_statistics import check

IDLE_INSTANCES = 2_000
MOST_ROWS = 10


def check_links() -> None:
    link_checks.claim_due(link_checks.CLAIM_LIMIT)


@pytest.fixture
def idle_instances(db: None) -> None:
    copy_instance(InstanceFactory(url="http://a.example/").pk, IDLE_INSTANCES)
    with connection.cursor() as cursor:
        # Other tests have left rows that were rolled back, and an index still contains them.
        cursor.execute("TRUNCATE hooks_hook CASCADE")
        cursor.execute(
            "INSERT INTO instances_receiverstate (instance_id, next_try_at, next_check_at)"
            " SELECT id, now(), now() + interval '40 s' FROM instances_instance"
        )
        cursor.execute(
            "ANALYZE instances_instance, instances_outgoingqueue, hooks_endpoint, hooks_lane, hooks_tally,"
            " instances_receiverstate"
        )


@pytest.mark.parametrize(
    "call",
    [
        outgoing.send_due, channel_work.run_channel_work, channel_work.next_channel_work,
        tasks.ensure_redelivery, tasks.hooks_are_due, instance_tasks.pause_failing, instance_tasks.expire_codes,
        removed_endpoints.clean, instance_tasks.mail_lost_links, check_links,
    ],
)  # fmt: skip
def test_no_idle_instance_is_read(idle_instances: None, call: Callable[[], object]) -> None:
    with CaptureQueriesContext(connection) as captured:
        call()
    selects = [
        query["sql"]
        for query in captured
        if query["sql"].lstrip().startswith(("SELECT", "WITH", "DECLARE"))
        and "pg_inherits" not in query["sql"]  # PostgreSQL's list of partitions, which has some dozen rows
    ]
    assert selects
    for sql in selects:
        check(sql.split(" FOR ", 1)[1] if sql.startswith("DECLARE") else sql, None, MOST_ROWS)


def test_reading_them_is_noticed(idle_instances: None) -> None:
    with pytest.raises(AssertionError):
        check("SELECT count(*) FROM instances_instance WHERE account_status = 'loading'", None, MOST_ROWS)
