"""The health page: who works, what waits, who fails."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Task
from pytest_django.fixtures import Settings

from chatapi.runtime.doctor.site_report import write_report
from chatapi.runtime.doctor.start_watch import carry_out_site_checks
from hooks.actions.endpoint_list import add_endpoint
from hooks.models import Endpoint, Hook, Kind, Role, Runner
from instances.actions.channel_links import lose_link, save_link
from instances.actions.sending.accept import send_message
from instances.channels import CHANNELS
from instances.models import AccountStatus, Channel, Instance, OutgoingMessage, OutgoingQueue, ReceiverState
from instances.sending.channel_numbers import ChannelNumbers, channel_numbers
from tests.factories import InstanceFactory, fail_message


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
    assert "https://example.com/hook" in page and "3 h ago" in page
    assert len(asked) == 56


def test_its_times_have_a_zone(staff: Client, instance: Instance) -> None:
    """Each is an element that pages show in the reader's time zone, with the zone on hover."""
    Runner.objects.create(id=1, role=Role.DISPATCH, slot=0, pid=7, host="here")
    Endpoint.objects.update(failing_since=timezone.now() - timedelta(hours=3))
    Task.objects.create(
        id="1", name="one", func="a.task", started=timezone.now(), stopped=timezone.now(), success=False
    )
    page = staff.get("/admin/health/").content.decode()
    times = re.findall(r'<time datetime="[^"]+" title="([^"]+)" data-(?:ago|clock)>', page)
    assert len(times) == 4  # heartbeat, start, failed task, failing endpoint
    assert all("UTC" in title for title in times)
    assert f"{timezone.now():%Y-%m-%d %H:}" not in page


def test_a_failing_endpoint_leads_to_its_instance(staff: Client, instance: Instance) -> None:
    endpoint = add_endpoint(instance.pk, url="http://b.example/?key=secret-1", acting_user=None)
    Endpoint.objects.filter(pk=endpoint.pk).update(failing_since=timezone.now() - timedelta(hours=3))
    page = staff.get("/admin/health/").content.decode()
    assert "http://b.example/?key=***" in page and "secret-1" not in page
    assert f'href="/admin/customers/{instance.owner_id}/?instance={instance.number}"' in page
    assert str(endpoint.pk) not in page


def test_it_shows_what_the_last_checks_through_site_url_found(
    staff: Client, settings: Settings, tmp_path: Path
) -> None:
    """The report is of the web server's start; the page makes no request."""
    settings.DATA_DIR, settings.SITE_URL = tmp_path, "http://127.0.0.1:9"  # the port of no service
    assert "was checked" not in staff.get("/admin/health/").content.decode()
    write_report(carry_out_site_checks())
    page = staff.get("/admin/health/").content.decode()
    assert (
        "does not respond on this machine" in page or "SITE_URL cannot be reached from this machine" in page
    )
    assert "The way through SITE_URL was checked <time" in page
    elsewhere = page[page.index("also checks:") :]
    assert "host name through the proxy" in elsewhere and "site_url leads to this site" not in elsewhere
    settings.SITE_URL = "http://127.0.0.1:10"  # the report of another URL says nothing about this one
    assert "was checked" not in staff.get("/admin/health/").content.decode()


def test_it_shows_the_lost_links_with_their_reason_and_no_secret(staff: Client, instance: Instance) -> None:
    assert "No link is lost." in staff.get("/admin/health/").content.decode()
    shops = [
        InstanceFactory(channel="telegram", name=name) for name in ("First shop", "Last shop", "Linked shop")
    ]
    for shop in shops:
        save_link(
            shop,
            credentials={"token": "700:secret"},
            external_id=str(shop.pk),
            name="@shop_bot",
            acting_user=None,
        )
    for shop in shops[:2]:
        lose_link(shop, reason=f"Telegram does not know the token of {shop.name}.")
    ReceiverState.objects.filter(pk=shops[1].pk).update(check_failures=3)
    answer = staff.get("/admin/health/")
    page = answer.content.decode()
    assert [state.pk for state in answer.context["lost_links"]] == [shops[1].pk, shops[0].pk]
    for words in ("Telegram does not know the token of Last shop.", "@shop_bot", "<td>3</td>"):
        assert words in page
    assert "700:secret" not in page and "Linked shop" not in page


def test_it_shows_how_each_channel_sends(staff: Client, instance: Instance) -> None:
    """Waiting messages with the oldest one, paused queues, and what failed within a day."""
    now = timezone.now()
    paused, unlinked = InstanceFactory(), InstanceFactory(account_status=AccountStatus.GOT_QR_CODE)
    sent = [
        send_message(one, chat_id="17680561234@c.us", body="hello")
        for one in (instance, instance, paused, unlinked, unlinked, unlinked)
    ]
    oldest = now - timedelta(hours=2)
    OutgoingMessage.objects.filter(pk=sent[0].pk).update(created_at=oldest)
    OutgoingQueue.objects.filter(pk=paused.pk).update(waits_until=now + timedelta(minutes=5))
    OutgoingQueue.objects.filter(pk=instance.pk).update(waits_until=now - timedelta(seconds=1))
    fail_message(sent[3])
    fail_message(sent[4], failed_at=now - timedelta(hours=25))
    answer = staff.get("/admin/health/")
    assert answer.context["channels"][0] == ChannelNumbers(
        "sandbox", linked=2, queues=3, waiting=4, oldest=oldest, paused=1, failed=1
    )
    assert "2 h ago" in answer.content.decode()


def test_a_channel_without_instances_is_shown(staff: Client) -> None:
    shown = staff.get("/admin/health/").context["channels"]
    assert shown == [ChannelNumbers(name) for name in CHANNELS]


def test_each_channel_has_its_own_numbers_and_failed_messages_are_counted_up_to_a_limit(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = InstanceFactory(channel="other")
    for one in (instance, other, other):
        fail_message(send_message(one, chat_id="17680561234@c.us", body="hello"))
    send_message(other, chat_id="17680561234@c.us", body="hello")
    found = {one.label: (one.linked, one.waiting, one.failed) for one in channel_numbers()}
    without = {channel.label: (0, 0, 0) for channel in map(Channel, CHANNELS)}
    assert found == {**without, "Sandbox": (1, 0, 1), "other": (1, 1, 2)}
    monkeypatch.setattr("instances.sending.channel_numbers.MAX_COUNTED", 2)
    assert sum(one.failed for one in channel_numbers()) == 2


def test_the_desks_front_page_leads_to_it(staff: Client, instance: Instance) -> None:
    page = staff.get("/admin/").content.decode()
    assert "/admin/health/" in page
    assert "/admin/hooks/endpoint/?health=failing" in page
    Endpoint.objects.update(failing_since=timezone.now())
    [failing] = staff.get("/admin/hooks/endpoint/?health=failing").context["cl"].result_list
    assert failing.pk == instance.pk
