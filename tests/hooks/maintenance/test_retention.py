"""Retention: old rows, bodies and skipped hooks are dropped; unfinished hooks stay, and the tally stays right."""

from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from hooks import outbox
from hooks.actions.hooks import NotPossible, resend
from hooks.explain.sentences import body_dropped_words
from hooks.maintenance import retention
from hooks.maintenance.conservation import missing, totals
from hooks.models import (
    Attempt,
    Endpoint,
    Hook,
    Kind,
    Outcome,
    Redelivery,
    RetentionMark,
    SkipReason,
    State,
    Tally,
)
from hooks.sql import partitions
from tests.factories import InstanceFactory

FINISHED = [State.DELIVERED, State.FAILED, State.SKIPPED, State.CANCELLED]
UNFINISHED = [State.QUEUED, State.SENDING, State.RETRYING]


def old(endpoint: Endpoint, state: State = State.DELIVERED, *, days: float, **fields: Any) -> Hook:
    """Creates a hook that is `days` old, with an attempt, as emit() and the dispatcher would store it.

    It is in the partition of that day.
    """
    then = timezone.now() - timedelta(days=days)
    with transaction.atomic():
        hook = outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}")
    if then.date() < partitions.today():
        key = make_days(then.date()) + next(numbers)
        Hook.objects.filter(pk=hook.pk).update(id=key)
        hook = Hook.objects.get(pk=key)
    known = {
        "state": state,
        "created_at": then,
        "finished_at": then if state in FINISHED else None,
        "skip_reason": SkipReason.FLAG_OFF if state == State.SKIPPED else "",
        "lease_until": then if state == State.SENDING else None,
        "next_attempt_at": then if state == State.RETRYING else None,
    }
    Hook.objects.filter(pk=hook.pk).update(**known | fields)
    Attempt.objects.create(
        hook=hook, number=1, started_at=then, url="http://a.example/", outcome=Outcome.NOT_200,
        status=500, response_body=b"oh no", response_size=5,
    )  # fmt: skip
    return hook


numbers = count(1)


def make_days(day: date) -> int:
    """Makes partitions of the day, if it has none; returns its first id."""
    key = partitions.first_id(day)
    with connection.cursor() as cursor:
        if not any(found.start <= key < found.end for found in partitions.existing(cursor)):
            partitions.make(cursor, day, day + timedelta(days=1))
    return key


def left() -> list[int]:
    return list(Hook.objects.order_by("pk").values_list("pk", flat=True))


def dropped(endpoint: Endpoint) -> int:
    return Tally.objects.get(pk=endpoint.pk).dropped


def check() -> None:
    """Asserts that the sums that `manage.py hooks check` compares are right."""
    assert {missing(row) for row in totals()} == {0}


def test_hooks_are_dropped_with_their_attempts_after_30_days(endpoint: Endpoint) -> None:
    for state in FINISHED:
        old(endpoint, state, days=31.01)
    young = old(endpoint, days=29.99)  # the day has not ended 30 days ago
    assert retention.drop_old() == "3 hooks, 1 skipped hooks and 1 bodies dropped by age"
    assert left() == [young.pk]
    assert list(Attempt.objects.values_list("hook", flat=True)) == [young.pk]
    assert dropped(endpoint) == 4
    check()


def test_unfinished_hooks_are_kept_completely_at_any_age(endpoint: Endpoint) -> None:
    waiting = [old(endpoint, state, days=400) for state in UNFINISHED]
    retention.drop_old()
    assert left() == [hook.pk for hook in waiting]
    assert set(Hook.objects.values_list("body_dropped_at", flat=True)) == {None}
    assert {bytes(hook.body) for hook in Hook.objects.all()} == {b"{}"}
    assert Attempt.objects.count() == 3
    assert dropped(endpoint) == 0
    check()


def test_skipped_hooks_are_dropped_after_a_day(endpoint: Endpoint) -> None:
    old(endpoint, State.SKIPPED, days=1.01)
    kept = sorted([old(endpoint, State.SKIPPED, days=0.99).pk, old(endpoint, State.FAILED, days=1.01).pk])
    retention.drop_old()
    assert left() == kept
    assert dropped(endpoint) == 1
    check()


def test_bodies_are_dropped_after_7_days_and_the_rest_is_kept(endpoint: Endpoint) -> None:
    hook = old(endpoint, State.FAILED, days=7.01)
    young = old(endpoint, State.FAILED, days=6.99)
    retention.drop_old()
    hook.refresh_from_db()
    young.refresh_from_db()
    assert (bytes(hook.body), hook.body_dropped_at is not None, hook.state) == (b"", True, State.FAILED)
    attempt = hook.attempts.get()
    assert (bytes(attempt.response_body), attempt.response_size, attempt.status) == (b"", 5, 500)
    assert (bytes(young.body), young.body_dropped_at) == (b"{}", None)
    assert bytes(young.attempts.get().response_body) == b"oh no"
    assert dropped(endpoint) == 0
    check()


def test_a_hook_without_its_body_cannot_be_resent(endpoint: Endpoint) -> None:
    hook = old(endpoint, State.FAILED, days=8)
    retention.drop_old()
    with pytest.raises(NotPossible) as refused:
        resend(hook, acting_user=None)
    assert str(refused.value) == "The body was dropped after 7 days, so this hook can't be resent."
    hook.refresh_from_db()
    assert hook.state == State.FAILED


def test_the_ages_are_settings(endpoint: Endpoint, settings: Settings) -> None:
    settings.HOOKS_KEEP_DAYS, settings.HOOKS_KEEP_BODIES_DAYS, settings.HOOKS_KEEP_SKIPPED_DAYS = 3, 1, 2
    old(endpoint, days=4.1)
    old(endpoint, State.SKIPPED, days=2.1)
    kept = [old(endpoint, days=2.9).pk, old(endpoint, State.SKIPPED, days=1.9).pk]
    assert retention.drop_old() == "1 hooks, 1 skipped hooks and 2 bodies dropped by age"
    assert left() == kept
    assert body_dropped_words() == "The body was dropped after 1 day"


def test_each_endpoint_is_counted_separately_in_small_batches(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "WINDOW", 4)
    monkeypatch.setattr(retention, "BATCH", 2)
    other = InstanceFactory(url="http://b.example/").endpoint
    for number in range(9):
        old(other if number % 3 == 0 else endpoint, days=32)
    waiting = old(endpoint, State.RETRYING, days=32)
    young = old(other, days=1)
    assert retention.drop_old() == "9 hooks, 0 skipped hooks and 0 bodies dropped by age"
    assert left() == [waiting.pk, young.pk]
    assert (dropped(endpoint), dropped(other)) == (6, 3)
    check()


def test_a_run_ends_in_time_and_the_next_one_continues(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    for _ in range(3):
        old(endpoint, days=32)
    assert retention.drop_old(seconds=0) == "0 hooks, 0 skipped hooks and 0 bodies dropped by age"
    assert len(left()) == 3
    assert retention.drop_old() == "3 hooks, 0 skipped hooks and 0 bodies dropped by age"


def test_bodies_are_searched_from_the_last_position_and_once_a_day_from_the_start(
    endpoint: Endpoint,
) -> None:
    late = old(endpoint, State.RETRYING, days=8)
    done = old(endpoint, days=8)
    young = old(endpoint, days=1)
    assert retention.drop_old() == "0 hooks, 0 skipped hooks and 1 bodies dropped by age"
    mark = RetentionMark.objects.get()
    assert mark.bodies_up_to == young.pk - 1 >= done.pk
    Hook.objects.filter(pk=late.pk).update(
        state=State.DELIVERED, finished_at=timezone.now(), next_attempt_at=None
    )
    assert retention.drop_old() == "0 hooks, 0 skipped hooks and 0 bodies dropped by age"
    RetentionMark.objects.update(began_at=timezone.now() - timedelta(days=1, minutes=1))
    assert retention.drop_old() == "0 hooks, 0 skipped hooks and 1 bodies dropped by age"


def test_finished_jobs_are_dropped_after_30_days_and_open_ones_kept(db: None) -> None:
    then = timezone.now() - timedelta(days=32)
    Redelivery.objects.create(up_to=1, planned=1, created_at=then, state="finished", finished_at=then)
    still_open = Redelivery.objects.create(up_to=1, planned=1, created_at=then, state="paused")
    retention.drop_old()
    assert list(Redelivery.objects.all()) == [still_open]
