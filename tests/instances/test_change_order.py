"""What is kept of the changes in a group: a report reads only what it deletes, however many members have changed."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from instances.actions.chats import change_order
from instances.models import Chat, Instance, MembershipChange
from tests.executed_plans import executed_plans, nodes

OLD, NEW, AT_ONCE = 25, 2_000, 10


@pytest.mark.django_db
def test_old_changes_of_a_large_group_are_deleted_in_portions_by_an_index(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_order, "MAX_FORGOTTEN", AT_ONCE)
    now = timezone.now()
    chat = Chat.objects.create(
        instance=instance, chat_id="telegram:-1@g.us", is_group=True, stored_last_time=now
    )
    MembershipChange.objects.bulk_create(
        MembershipChange(
            chat=chat,
            member=f"telegram:{number}@c.us",
            at=now - (timedelta(days=3) if number < OLD else timedelta(0)),
        )
        for number in range(OLD + NEW)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE instances_membershipchange")
    left = []
    with executed_plans("instances_membershipchange") as plans:
        for _ in range(4):
            change_order.remember(chat, ["telegram:1@c.us"], now)
            left.append(MembershipChange.objects.count() - NEW)
    # the member who has changed is one of the old ones until then
    assert left == [OLD - AT_ONCE, OLD - 2 * AT_ONCE, 1, 1]
    scans = [node for plan in plans for node in nodes(plan) if "Relation Name" in node]
    reads = [scan for scan in scans if "Index Name" in scan or scan["Node Type"] == "Seq Scan"]
    looked_up = [scan for scan in reads if scan.get("Index Name") == "instances_membership_old"]
    assert [scan["Actual Rows"] for scan in looked_up] == [AT_ONCE, AT_ONCE, OLD - 1 - 2 * AT_ONCE, 0]
    assert not any("Rows Removed by Filter" in scan for scan in looked_up)
