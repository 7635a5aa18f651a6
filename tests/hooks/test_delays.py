"""Late deliveries: since when, why, and where users see it."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from hooks import metrics, outbox, tasks
from hooks.actions.endpoints import configure, pause
from hooks.log import delays
from hooks.models import Endpoint, Hook, Kind, Role, Runner, State
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db


def create_due_hook(endpoint: Endpoint, seconds: float, *, retry: bool = False) -> Hook:
    """Creates a hook that became due `seconds` ago."""
    with transaction.atomic():
        hook = outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}")
    since = timezone.now() - timedelta(seconds=seconds)
    fields = {"state": State.RETRYING, "next_attempt_at": since} if retry else {"created_at": since}
    Hook.objects.filter(pk=hook.pk).update(**fields)
    return hook


def dispatcher(seconds_ago: float = 0) -> None:
    beaten = timezone.now() - timedelta(seconds=seconds_ago)
    Runner.objects.create(id=1, role=Role.DISPATCH, slot=0, pid=1, host="here", heartbeat_at=beaten)


def late(endpoint: Endpoint) -> tuple[int, str] | None:
    """Returns the whole minutes of delay, and the reason."""
    delay = delays.of_instances([endpoint.pk])
    return ((timezone.now() - delay.since) // timedelta(minutes=1), delay.reason) if delay else None


@pytest.mark.parametrize("retry", [False, True])
def test_more_than_a_minute_is_a_delay(endpoint: Endpoint, retry: bool) -> None:
    dispatcher()
    hook = create_due_hook(endpoint, 30, retry=retry)
    assert late(endpoint) is None
    hook.delete()
    create_due_hook(endpoint, 245, retry=retry)
    assert late(endpoint) == (4, delays.BUSY)


def test_a_retry_that_is_not_due_yet_is_not_late(endpoint: Endpoint) -> None:
    create_due_hook(endpoint, -300, retry=True)
    assert late(endpoint) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(61, "1 min"), (3550, "59 min"), (7510, "2 h 5 min"), (260_000, "3 days")]
)
def test_the_banner_shows_the_delay_of_the_oldest_hook(client: Client, seconds: int, words: str) -> None:
    dispatcher()
    instance = InstanceFactory(url="http://a.example/")
    create_due_hook(instance.endpoint, seconds)
    create_due_hook(instance.endpoint, 61)
    client.force_login(instance.owner.owner)
    text = client.get(instance.get_absolute_url()).content.decode()
    assert f"Deliveries are delayed: oldest waiting {words}." in text


def test_a_missing_dispatcher_is_the_reason(endpoint: Endpoint) -> None:
    create_due_hook(endpoint, 245)
    assert late(endpoint) == (4, delays.NO_DISPATCHER)
    dispatcher(seconds_ago=11)
    assert late(endpoint) == (4, delays.NO_DISPATCHER)


def test_a_late_parallel_lane_names_the_slow_server(endpoint: Endpoint) -> None:
    dispatcher()
    configure(endpoint, parallel=True)
    create_due_hook(endpoint, 245)
    assert late(endpoint) == (4, delays.BUSY_PARALLEL)


def test_a_paused_endpoint_is_not_late(endpoint: Endpoint) -> None:
    create_due_hook(endpoint, 245)
    create_due_hook(endpoint, 245, retry=True)
    pause(endpoint, acting_user=None)
    assert late(endpoint) is None
    assert tasks.hooks_are_due() is False


def test_an_endpoint_without_a_url_is_not_late(endpoint: Endpoint) -> None:
    create_due_hook(endpoint, 245)
    create_due_hook(endpoint, 245, retry=True)
    configure(endpoint, url="")
    assert late(endpoint) is None
    assert tasks.hooks_are_due() is False
    assert [(lane.number, lane.oldest) for lane in metrics.waiting()] == [(0, 0.0)] * 4


@pytest.mark.parametrize("retry", [False, True])
def test_hooks_are_due_after_the_given_time(endpoint: Endpoint, retry: bool) -> None:
    assert tasks.hooks_are_due() is False
    create_due_hook(endpoint, 20, retry=retry)
    assert tasks.hooks_are_due(timedelta(seconds=10)) is True
    assert tasks.hooks_are_due(timedelta(minutes=5)) is False


def test_only_pages_about_the_late_instance_show_the_banner(client: Client) -> None:
    alices, bobs = InstanceFactory(url="http://a.example/"), InstanceFactory(url="http://b.example/")
    create_due_hook(alices.endpoint, 245)
    for instance, said in ((alices, True), (bobs, False)):
        client.force_login(instance.owner.owner)
        for page in (f"/log/?instance={instance.number}", instance.get_absolute_url(), "/instances/"):
            text = client.get(page).content.decode()
            assert ("Deliveries are delayed: oldest waiting 4 min." in text) is said
            assert (delays.NO_DISPATCHER in text) is said


def test_a_strict_lane_that_waits_for_a_retry_is_delayed_for_its_users_and_late_for_no_dispatcher(
    endpoint: Endpoint,
) -> None:
    dispatcher()
    configure(endpoint, strict=True)
    failed = create_due_hook(endpoint, -300, retry=True)
    create_due_hook(endpoint, 245)
    assert late(endpoint) == (4, delays.STRICT)
    assert tasks.hooks_are_due() is False
    assert [lane.number for lane in metrics.waiting()] == [0] * 4
    Hook.objects.filter(pk=failed.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert tasks.hooks_are_due() is True  # the retry is
    failed.delete()
    assert late(endpoint) == (4, delays.BUSY)
    assert tasks.hooks_are_due() is True
