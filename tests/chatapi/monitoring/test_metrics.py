"""/metrics: the numbers, where they come from, and who may read them."""

import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from chatapi.monitoring import upkeep
from hooks import metrics, outbox
from hooks.actions import listening
from hooks.actions.endpoints import pause
from hooks.actions.hooks import cancel, skip
from hooks.maintenance import deleted_instances
from hooks.models import Endpoint, Hook, Kind, Measure, Role, Runner, SkipReason, State
from instances.actions.lifecycle import delete_instance
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, wait_until
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
TOKEN = "prometheus-0123456789"
CLOCKS = 0.1  # s; the most that two clocks of a machine differ in a test


def numbers(client: Client) -> dict[str, float]:
    """By line: `name{labels}` and its value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = answer.content.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def emit(instance: Instance, n: int = 1, **fields: SkipReason) -> list[Hook]:
    with transaction.atomic():
        return [
            outbox.emit(instance_id=instance.pk, kind=Kind.MESSAGE, body=b"{}", **fields) for _ in range(n)
        ]


def aged(hook: Hook, seconds: int, **fields: object) -> None:
    at = timezone.now() - timedelta(seconds=seconds)
    Hook.objects.filter(pk=hook.pk).update(created_at=at, **fields)


def runner(key: int, in_flight: int, seconds_ago: float = 0) -> None:
    beaten = timezone.now() - timedelta(seconds=seconds_ago)
    Runner.objects.create(
        id=key, role=Role.DISPATCH, slot=key, pid=1, host="here", in_flight=in_flight, heartbeat_at=beaten
    )


def test_a_site_without_hooks_says_nought_of_everything(client: Client) -> None:
    found = numbers(client)
    assert found["chatapi_hooks_emitted_total"] == 0
    assert found['chatapi_hooks_finished_total{state="delivered"}'] == 0
    assert found['chatapi_attempts_total{outcome="dns"}'] == 0
    assert found['chatapi_hooks_waiting{lane="ordered",turn="first"}'] == 0
    assert found["chatapi_dispatchers"] == 0
    assert str(found["chatapi_dispatcher_heartbeat_age_seconds"]) == "nan"
    assert found['chatapi_claim_seconds_bucket{le="+Inf"}'] == 0


def test_waiting_hooks_by_class_of_lane(client: Client) -> None:
    began = time.monotonic()
    ordered = InstanceFactory(url="http://a.example/")
    parallel = InstanceFactory(url="http://a.example/", parallel=True)
    paused = InstanceFactory(url="http://a.example/")
    first, *_ = emit(ordered, 3)
    aged(first, 240)
    late, later, _ = emit(parallel, 3)
    now = timezone.now()
    aged(late, 900, state=State.RETRYING, next_attempt_at=now - timedelta(seconds=60), attempts_made=0)
    aged(later, 900, state=State.RETRYING, next_attempt_at=now + timedelta(seconds=60), attempts_made=0)
    emit(paused, 5)
    pause(paused.endpoint, acting_user=None)
    found = numbers(client)
    waits = {
        (lane, turn): found[f'chatapi_hooks_waiting{{lane="{lane}",turn="{turn}"}}']
        for lane in ("ordered", "parallel")
        for turn in ("first", "retry")
    }
    assert waits == {
        ("ordered", "first"): 3, ("ordered", "retry"): 0, ("parallel", "first"): 1, ("parallel", "retry"): 1,
    }  # fmt: skip
    passed = time.monotonic() - began + CLOCKS
    oldest_first = found['chatapi_hooks_oldest_waiting_seconds{lane="ordered",turn="first"}']
    oldest_retry = found['chatapi_hooks_oldest_waiting_seconds{lane="parallel",turn="retry"}']
    assert 240 <= oldest_first <= 240 + passed
    assert 60 <= oldest_retry <= 60 + passed


def test_endpoints_that_fail_are_counted_from_ten_minutes_to_a_day(client: Client) -> None:
    unused, blip, failing, paused, old = (InstanceFactory(url="http://a.example/") for _ in range(5))
    emit(unused, skip=SkipReason.FLAG_OFF)
    for instance, minutes in ((blip, 9), (failing, 11), (paused, 11), (old, 24 * 60 + 1)):
        emit(instance)
        since = timezone.now() - timedelta(minutes=minutes)
        Endpoint.objects.filter(pk=instance.endpoint.pk).update(failing_since=since)
    pause(paused.endpoint, acting_user=None)
    away = listening.start(unused.pk, url="http://localhost/", acting_user=None).endpoint
    Endpoint.objects.filter(pk=away.pk).update(failing_since=timezone.now() - timedelta(minutes=11))
    found = numbers(client)
    assert (found["chatapi_endpoints_failing"], found["chatapi_endpoints"]) == (1, 4)


def test_how_far_retention_is_behind(client: Client, settings) -> None:
    settings.HOOKS_KEEP_DAYS = 14
    instance = InstanceFactory(url="http://a.example/")
    waiting, old, new = emit(instance, 3)
    aged(waiting, 90 * 86_400)
    assert str(numbers(client)["chatapi_hooks_oldest_finished_seconds"]) == "nan"
    aged(old, 50 * 86_400, state=State.DELIVERED, finished_at=timezone.now())
    aged(new, 10, state=State.DELIVERED, finished_at=timezone.now())
    found = numbers(client)
    assert 50 * 86_400 <= found["chatapi_hooks_oldest_finished_seconds"] < 51 * 86_400
    assert 14 * 86_400 < found["chatapi_hooks_kept_seconds"] <= 28 * 86_400
    assert str(found["chatapi_replication_lag_seconds"]) == "nan"


def test_the_lag_is_that_of_the_slowest_standby(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real standbys: tests/chatapi/runtime/doctor/test_database.py."""
    found = [
        upkeep.Standby("a", "sync", 0.5), upkeep.Standby("b", "async", 70.0), upkeep.Standby("c", "async", None)
    ]  # fmt: skip
    monkeypatch.setattr(upkeep, "standbys", lambda: found)
    assert numbers(client)["chatapi_replication_lag_seconds"] == 70


def test_emitted_skipped_and_cancelled_hooks_are_counted_where_they_happen(client: Client) -> None:
    alice, without = InstanceFactory(url="http://a.example/"), InstanceFactory()
    one, two, _ = emit(alice, 3)
    emit(alice, 2, skip=SkipReason.FLAG_OFF)
    emit(without, 4)
    cancel(one, acting_user=None)
    skip(two, acting_user=None)
    found = numbers(client)
    assert found["chatapi_hooks_emitted_total"] == 9
    assert found['chatapi_hooks_finished_total{state="skipped"}'] == 2 + 4 + 1
    assert found['chatapi_hooks_finished_total{state="cancelled"}'] == 1


def test_totals_outlive_their_instance(client: Client) -> None:
    alice = InstanceFactory(url="http://a.example/")
    emit(alice, 2, skip=SkipReason.FLAG_OFF)
    delete_instance(alice, acting_user=None)
    deleted_instances.drop()
    assert not Hook.objects.exists()
    found = numbers(client)
    assert found["chatapi_hooks_emitted_total"] == 2
    assert found['chatapi_hooks_finished_total{state="skipped"}'] == 2


def test_dispatchers_add_up_over_slots_and_restarts(client: Client) -> None:
    connection.ensure_connection()
    for slot in (0, 1, 0):  # the second time slot 0 is taken, it is after a restart
        counts = metrics.Counts()
        counts.count(
            {(metrics.ATTEMPTS, "ok"): 5, (metrics.ATTEMPTS, "dns"): 1, (metrics.FINISHED, "delivered"): 5}
        )
        counts.observe(metrics.CLAIM, [0.004, 0.004, 0.3, 9.0])
        counts.flush(connection.connection, slot)
        counts.flush(connection.connection, slot)  # nothing new: nothing is added
    found = numbers(client)
    assert found['chatapi_attempts_total{outcome="ok"}'] == 15
    assert found['chatapi_attempts_total{outcome="dns"}'] == 3
    assert found['chatapi_hooks_finished_total{state="delivered"}'] == 15
    bounds = ("0.002", "0.005", "0.5", "5", "+Inf")
    buckets = {bound: found[f'chatapi_claim_seconds_bucket{{le="{bound}"}}'] for bound in bounds}
    assert buckets == {"0.002": 0, "0.005": 6, "0.5": 9, "5": 9, "+Inf": 12}
    assert found["chatapi_claim_seconds_count"] == 12
    assert found["chatapi_claim_seconds_sum"] == pytest.approx(3 * 9.308)


def test_what_could_not_be_written_is_kept_for_the_next_heartbeat() -> None:
    class Away:
        def execute(self, *_: object) -> None:
            raise psycopg.OperationalError("gone")

    connection.ensure_connection()
    counts = metrics.Counts()
    counts.count({(metrics.ATTEMPTS, "ok"): 2})
    with pytest.raises(psycopg.OperationalError):
        counts.flush(Away(), 0)  # type: ignore[arg-type]
    counts.count({(metrics.ATTEMPTS, "ok"): 1})
    counts.flush(connection.connection, 0)
    assert Measure.objects.values_list("value", flat=True).get() == 3


def test_requests_under_way_are_those_of_living_dispatchers(client: Client) -> None:
    began = time.monotonic()
    runner(1, 7, seconds_ago=1)
    runner(2, 5, seconds_ago=2)
    runner(3, 900, seconds_ago=60)
    found = numbers(client)
    assert (found["chatapi_hooks_in_flight"], found["chatapi_dispatchers"]) == (12, 2)
    passed = time.monotonic() - began + CLOCKS
    assert 1 <= found["chatapi_dispatcher_heartbeat_age_seconds"] <= 1 + passed


def test_nothing_in_it_names_an_instance_or_an_address(client: Client) -> None:
    alice = InstanceFactory(number=7351984, url="http://alice-s-bot.example/?key=k")
    emit(alice, 2)
    text = client.get("/metrics").content.decode()
    assert not [
        word for word in ("7351984", alice.token, "alice-s-bot", alice.endpoint.secret) if word in text
    ]


@pytest.mark.parametrize(
    ("meta", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "192.168.1.4"}, 403),
        ({"REMOTE_ADDR": ""}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 403),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_AUTHORIZATION": "Bearer x"}, 200),
    ],
)
def test_without_a_token_only_the_machine_itself_may_read(
    client: Client, meta: dict[str, str], status: int
) -> None:
    assert client.get("/metrics", **meta).status_code == status  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "status"),
    [(None, 401), (f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), ("Bearer wrong", 401), (f"Basic {TOKEN}", 401),
     ("Bearer ünicode", 401)],
)  # fmt: skip
def test_with_a_token_whoever_knows_it_may_read(
    client: Client, settings, given: str | None, status: int
) -> None:
    settings.METRICS_TOKEN = TOKEN
    headers = {"Authorization": given} if given else {}
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == status
    assert (answer.get("WWW-Authenticate") == 'Bearer realm="metrics"') is (status == 401)


def test_without_a_database_it_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("chatapi.monitoring.metrics.snapshot", away)
    assert client.get("/metrics").status_code == 503


@pytest.mark.django_db(transaction=True)
def test_what_a_dispatcher_has_done_is_all_there_when_it_has_stopped(client: Client, tmp_path: Path) -> None:
    with Receiver() as good, Receiver([(500, {}, b"")]) as bad, Dispatch(tmp_path) as dispatch:
        alices = emit(InstanceFactory(url=good.url), 3)
        bobs = emit(InstanceFactory(url=bad.url))
        wait_until(
            lambda: (
                not Hook.objects.filter(pk__in=[hook.pk for hook in alices + bobs], finished_at=None).exists()
            ),
            "all hooks have finished",
        )
        dispatch.stop()
    found = numbers(client)
    assert found["chatapi_hooks_emitted_total"] == 4
    assert found['chatapi_attempts_total{outcome="ok"}'] == 3
    assert found['chatapi_attempts_total{outcome="not_200"}'] == 1
    assert found['chatapi_hooks_finished_total{state="delivered"}'] == 3
    assert found['chatapi_hooks_finished_total{state="failed"}'] == 1
    assert found["chatapi_claim_seconds_count"] >= 1
    assert found["chatapi_commit_seconds_count"] == found["chatapi_record_seconds_count"] >= 1
    assert 0 < found["chatapi_commit_seconds_sum"] < found["chatapi_record_seconds_sum"]
    assert found["chatapi_dispatchers"] == 0
