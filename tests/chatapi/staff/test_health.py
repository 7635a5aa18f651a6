"""The health page: who works, what waits, who fails."""

from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks.models import Endpoint, Hook, Kind, Role, Runner
from instances.models import Instance


def test_it_says_that_nothing_runs(staff: Client) -> None:
    page = staff.get("/admin/health/").content.decode()
    assert "No task is running:" in page
    assert "No redelivery is running or planned." in page


def test_it_shows_what_waits_who_works_and_who_fails(staff: Client, instance: Instance) -> None:
    now = timezone.now()
    Hook.objects.create(endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b"{}", created_at=now)
    Endpoint.objects.update(failing_since=now - timedelta(hours=3))
    Runner.objects.create(id=1, role=Role.DISPATCH, slot=0, pid=7, host="here", in_flight=5)
    Runner.objects.create(
        id=2, role=Role.OUTGOING, slot=0, pid=8, host="there", heartbeat_at=now - timedelta(minutes=1)
    )
    with CaptureQueriesContext(connection) as asked:
        answer = staff.get("/admin/health/")
    page = answer.content.decode()
    assert answer.context["metrics"].in_flight == 5
    [waiting] = [one for one in answer.context["metrics"].waiting if one.number]
    assert (waiting.lane, waiting.turn, waiting.number) == ("ordered", "first", 1)
    assert [alive for _, alive in answer.context["runners"]] == [True, False]
    assert "running" in page and "no heartbeat" in page
    assert "https://example.com/hook" in page and "3\xa0hours" in page
    assert len(asked) == 15


def test_the_desks_front_page_leads_to_it(staff: Client, instance: Instance) -> None:
    page = staff.get("/admin/").content.decode()
    assert "/admin/health/" in page
    assert "/admin/hooks/endpoint/?health=failing" in page
    Endpoint.objects.update(failing_since=timezone.now())
    [failing] = staff.get("/admin/hooks/endpoint/?health=failing").context["cl"].result_list
    assert failing.pk == instance.pk
