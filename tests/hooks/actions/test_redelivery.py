"""Redelivery jobs: the preview, portions, pause and cancel; no hook is resent twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from hooks import outbox, tasks
from hooks.actions import redelivery
from hooks.actions.endpoints import configure, pause, resume
from hooks.actions.hooks import NotPossible, resend
from hooks.log.selection import describe, matching
from hooks.models import (
    UNFINISHED,
    Endpoint,
    Hook,
    JobState,
    Kind,
    Outcome,
    Redelivery,
    SkipReason,
    State,
    Trigger,
    new_public_id,
)
from instances.models import Instance
from tests.factories import InstanceFactory

FAILED = {"states": ["failed"]}


def hooks(endpoint: Endpoint, n: int, state: State = State.FAILED, **fields: Any) -> list[Hook]:
    """Creates hooks in the given state, with the fields that the dispatcher would have set."""
    now = timezone.now()
    with transaction.atomic():
        made = [
            outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"%d" % place) for place in range(n)
        ]
    finished = state not in UNFINISHED
    known = {
        "state": state,
        "attempts_made": 1 if finished and state != State.SKIPPED else 0,
        "finished_at": now if finished else None,
        "skip_reason": SkipReason.FLAG_OFF if state == State.SKIPPED else "",
    }
    Hook.objects.filter(pk__in=[hook.pk for hook in made]).update(**known | fields)
    return made


def of(*endpoints: Endpoint) -> Any:
    return Instance.objects.filter(pk__in=[endpoint.pk for endpoint in endpoints])


def plan(endpoint: Endpoint, wanted: dict[str, Any] = FAILED) -> Redelivery:
    return redelivery.plan(of(endpoint), wanted=wanted, acting_user=None)


def totals(job: Redelivery) -> tuple[str, int, int, int]:
    found: Any = Redelivery.objects.with_totals().get(pk=job.pk)
    return found.state, found.planned, found.done, found.refused


def deliver(*hooks: Hook) -> None:
    """Marks these hooks as delivered; without arguments, all that wait for a retry."""
    rows = Hook.objects.filter(state=State.RETRYING)
    if hooks:
        rows = rows.filter(pk__in=[hook.pk for hook in hooks])
    rows.update(state=State.DELIVERED, finished_at=timezone.now(), next_attempt_at=None, attempts_made=2)


def run_all_jobs() -> int:
    """Runs all jobs to their end and delivers the hooks of each round; returns the number of rounds."""
    rounds = 0
    while redelivery.work() is not None:
        deliver()
        rounds += 1
        assert rounds < 100
    return rounds


def test_with_many_hooks_the_preview_is_a_minimum_and_the_job_counts_them(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "MAX_COUNT", 3)
    failed = hooks(endpoint, 5)
    hooks(endpoint, 4, State.DELIVERED)
    hooks(endpoint, 2, State.QUEUED)
    assert redelivery.preview(of(endpoint), {}) == (4, 2, 0, 0, True)
    assert redelivery.preview(of(endpoint), {"kinds": ["status"]}) == (0, 0, 0, 0, False)
    job = plan(endpoint)
    assert (job.planned, job.planned_is_minimum, job.up_to) == (4, True, failed[-1].pk)
    redelivery.work()
    job.refresh_from_db()
    assert (job.planned, job.planned_is_minimum) == (5, False)
    assert Hook.objects.filter(redelivery=job).count() == 5


def test_a_backlog_does_not_hide_what_can_be_resent(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "MAX_COUNT", 3)
    hooks(endpoint, 1)
    hooks(endpoint, 10, State.QUEUED)
    assert redelivery.preview(of(endpoint), {}) == (1, 4, 0, 0, True)


def test_the_preview_counts_what_can_be_resent_and_what_cannot(endpoint: Endpoint) -> None:
    hooks(endpoint, 3)
    hooks(endpoint, 2, State.RETRYING, next_attempt_at=timezone.now())
    hooks(endpoint, 1, body=b"", body_dropped_at=timezone.now())
    hooks(InstanceFactory(url="http://b.example/").endpoint, 1)  # of another instance
    assert redelivery.preview(of(endpoint), {}) == (3, 2, 1, 0, False)
    assert redelivery.preview(of(endpoint), FAILED) == (3, 0, 1, 0, False)
    configure(endpoint, url="")
    assert redelivery.preview(of(endpoint), {}) == (0, 2, 1, 3, False)
    assert set(Hook.objects.values_list("redelivery", flat=True)) == {None}


def test_a_job_resends_matching_hooks_once_with_their_ids_in_event_order(endpoint: Endpoint) -> None:
    failed = hooks(endpoint, 5)
    delivered = hooks(endpoint, 2, State.DELIVERED)
    job = plan(endpoint)
    assert totals(job) == ("planned", 5, 0, 0)
    assert redelivery.work() == 5
    assert totals(job) == ("running", 5, 5, 0)
    sent = list(Hook.objects.filter(redelivery=job).order_by("next_attempt_at"))
    assert [hook.webhook_id for hook in sent] == [hook.webhook_id for hook in failed]
    for hook in sent:
        assert (hook.state, hook.trigger, hook.finished_at) == (State.RETRYING, Trigger.RESEND, None)
        assert (hook.attempts_made, hook.attempts_allowed) == (1, 2)
    assert {hook.state for hook in Hook.objects.filter(pk__in=[hook.pk for hook in delivered])} == {
        State.DELIVERED
    }
    deliver()
    run_all_jobs()
    assert totals(job) == ("finished", 5, 5, 0)
    assert redelivery.outcomes(job) == {
        "queued": 0, "sending": 0, "retrying": 0, "delivered": 5, "failed": 0, "skipped": 0, "cancelled": 0,
    }  # fmt: skip


def test_at_most_a_hundred_hooks_of_a_job_wait_in_a_lane(endpoint: Endpoint) -> None:
    hooks(endpoint, 250)
    job = plan(endpoint)
    assert redelivery.work() == 100
    assert redelivery.work() == 0
    deliver(*Hook.objects.filter(state=State.RETRYING).order_by("pk")[:30])
    assert redelivery.work() == 30
    assert totals(job) == ("running", 250, 130, 0)
    assert run_all_jobs() == 5  # no room, 100, 20, the end of the part, the end of the job
    assert totals(job) == ("finished", 250, 250, 0)


def test_hooks_waiting_for_a_later_retry_do_not_count(endpoint: Endpoint) -> None:
    hooks(endpoint, 150)
    plan(endpoint)
    assert redelivery.work() == 100
    Hook.objects.filter(state=State.RETRYING).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    assert redelivery.work() == 50


def test_a_slow_or_paused_lane_does_not_delay_other_lanes(endpoint: Endpoint) -> None:
    slow, paused = (InstanceFactory(url="http://b.example/").endpoint for _ in range(2))
    for lane, n in ((endpoint, 150), (slow, 150), (paused, 1)):
        hooks(lane, n)
    pause(paused, acting_user=None)
    job = redelivery.plan(of(endpoint, slow, paused), wanted=FAILED, acting_user=None)
    assert redelivery.work() == 200
    deliver(*Hook.objects.filter(endpoint=endpoint, state=State.RETRYING))
    assert redelivery.work() == 50
    assert dict(job.parts.values_list("endpoint", "done")) == {endpoint.pk: 150, slow.pk: 100, paused.pk: 0}
    assert Hook.objects.get(endpoint=paused).state == State.FAILED
    resume(paused, acting_user=None)
    deliver()
    run_all_jobs()
    assert totals(job) == ("finished", 301, 301, 0)


def test_hooks_created_after_the_plan_are_not_resent(endpoint: Endpoint) -> None:
    hooks(endpoint, 2)
    job = plan(endpoint)
    later = hooks(endpoint, 1)
    run_all_jobs()
    assert totals(job) == ("finished", 2, 2, 0)
    assert Hook.objects.get(pk=later[0].pk).state == State.FAILED


def test_a_hook_resent_by_a_user_meanwhile_is_not_resent_again(endpoint: Endpoint) -> None:
    first, second = hooks(endpoint, 2)
    job = plan(endpoint)
    resend(first, acting_user=None)
    run_all_jobs()
    assert totals(job) == ("finished", 2, 1, 0)
    assert list(Hook.objects.filter(redelivery=job)) == [second]


def test_without_a_url_hooks_are_refused_and_stay_unchanged(endpoint: Endpoint) -> None:
    made = hooks(endpoint, 2)
    job = plan(endpoint)
    configure(endpoint, url="")
    run_all_jobs()
    assert totals(job) == ("finished", 2, 0, 2)
    assert {Hook.objects.get(pk=hook.pk).state for hook in made} == {State.FAILED}


def test_a_job_can_be_paused_resumed_and_cancelled(endpoint: Endpoint) -> None:
    hooks(endpoint, 300)
    job = plan(endpoint)
    redelivery.work()
    assert redelivery.pause(job, acting_user=None).state == JobState.PAUSED
    deliver()
    assert redelivery.work() is None
    assert not redelivery.is_wanted()
    assert totals(job) == ("paused", 300, 100, 0)
    assert redelivery.resume(job, acting_user=None).state == JobState.RUNNING
    assert redelivery.work() == 100
    cancelled = redelivery.cancel(job, acting_user=None)
    assert (cancelled.state, cancelled.finished_at is not None) == (JobState.CANCELLED, True)
    assert redelivery.work() is None
    assert totals(job) == ("cancelled", 300, 200, 0)
    assert Hook.objects.counts()["failed"] == 100


@pytest.mark.parametrize(
    ("action", "state", "words"),
    [
        ("pause", "paused", "The job is paused: there is nothing to pause."),
        ("pause", "finished", "The job is finished: there is nothing to pause."),
        ("resume", "running", "The job is running, not paused."),
        ("resume", "cancelled", "The job is cancelled, not paused."),
        ("cancel", "finished", "The job is finished already."),
    ],
)
def test_an_action_that_does_not_apply_is_refused_with_the_reason(
    endpoint: Endpoint, action: str, state: str, words: str
) -> None:
    hooks(endpoint, 1)
    job = plan(endpoint)
    ended = timezone.now() if state in ("finished", "cancelled") else None
    Redelivery.objects.update(state=state, finished_at=ended)
    with pytest.raises(NotPossible) as refused:
        getattr(redelivery, action)(job, acting_user=None)
    assert str(refused.value) == words
    assert totals(job)[0] == state


def test_a_job_without_hooks_is_not_created(endpoint: Endpoint) -> None:
    hooks(endpoint, 1, State.DELIVERED)
    with pytest.raises(NotPossible) as refused:
        plan(endpoint)
    assert (
        str(refused.value)
        == "No matching hook can be resent. It must be finished, still have its body, and have a webhook URL."
    )
    assert Redelivery.objects.count() == 0


def test_a_portion_done_by_another_run_is_not_repeated(endpoint: Endpoint) -> None:
    hooks(endpoint, 150)
    job = plan(endpoint)
    part = job.parts.select_related("endpoint").get()  # as a delayed run has read it
    redelivery.work()
    deliver()
    assert redelivery.queue_portion(job, part=part, size=100) == 0
    assert totals(job) == ("running", 150, 100, 0)


def test_a_portion_that_fails_is_rolled_back(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks(endpoint, 3)
    job = plan(endpoint)

    def die(_lane: int) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(redelivery, "wake", die)
        with pytest.raises(RuntimeError):
            redelivery.work()
    assert totals(job) == ("planned", 3, 0, 0)
    assert Hook.objects.counts()["failed"] == 3
    run_all_jobs()
    assert totals(job) == ("finished", 3, 3, 0)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "abcd"),
        ({"states": ["failed", "skipped"]}, "ad"),
        ({"kinds": ["ack"]}, "b"),
        ({"outcomes": ["timeout"]}, "c"),
        ({"answers": ["200"]}, "b"),
        ({"answers": ["2xx"]}, "b"),
        ({"answers": ["not-200"]}, ""),
        ({"answers": ["5xx", "none"]}, "ac"),
        ({"status": 500}, "a"),
        ({"host": "b.example"}, "b"),
        ({"message": "m1"}, "a"),
        ({"chat": "c1"}, "c"),
        ({"simulated": True}, "d"),
        ({"created_after": "2020-01-02T00:00:00+00:00"}, "cd"),
        ({"created_before": "2020-01-02T00:00:00+00:00"}, "ab"),
        ({"created_after": "2020-01-01T12:00:00Z", "created_before": "2020-01-02T12:00:00Z"}, "bc"),
    ],
)  # fmt: skip
def test_each_filter_selects_its_hooks(endpoint: Endpoint, wanted: dict[str, Any], found: str) -> None:
    day = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=12 * n) for n in range(4)]
    rows: dict[str, dict[str, Any]] = {
        "a": {"last_status": 500, "last_outcome": Outcome.NOT_200, "message": "m1"},
        "b": {
            "state": State.DELIVERED,
            "kind": Kind.ACK,
            "last_status": 200,
            "last_outcome": Outcome.OK,
            "last_host": "b.example",
        },
        "c": {"state": State.CANCELLED, "last_outcome": Outcome.TIMEOUT, "chat": "c1"},
        "d": {"state": State.SKIPPED, "skip_reason": SkipReason.FLAG_OFF, "simulated": True},
    }
    for (name, fields), created in zip(rows.items(), day, strict=True):
        of_then: dict[str, Any] = {"created_at": created, "public_id": new_public_id(created)}
        hooks(endpoint, 1, **of_then | {"body": name.encode()} | fields)
    found_hooks = matching(Hook.objects.of_instances(of(endpoint)), wanted).order_by("pk")
    assert "".join(bytes(hook.body).decode() for hook in found_hooks) == found


def test_chosen_hooks_are_found_by_id_except_those_of_other_accounts(endpoint: Endpoint) -> None:
    mine = hooks(endpoint, 3)
    [others] = hooks(InstanceFactory(url="http://b.example/").endpoint, 1)
    wanted = {"hooks": [hook.public_id.hex for hook in (mine[0], mine[2], others)]}
    assert redelivery.preview(of(endpoint), wanted).ready == 2
    job = plan(endpoint, wanted)
    run_all_jobs()
    assert totals(job) == ("finished", 2, 2, 0)
    assert Hook.objects.get(pk=others.pk).state == State.FAILED


def test_an_unknown_filter_key_raises_an_error(endpoint: Endpoint) -> None:
    with pytest.raises(KeyError):
        redelivery.preview(of(endpoint), {"state": ["failed"]})


def test_a_filter_is_described_in_words() -> None:
    wanted = {
        "states": ["failed", "skipped"],
        "kinds": ["ack"],
        "answers": ["5xx"],
        "created_after": "2020-01-01T09:00:00+00:00",
    }
    assert describe(wanted) == [
        "failed or skipped", "kind ack", "response 5xx", "since 2020-01-01 09:00:00 UTC",
    ]  # fmt: skip
    assert describe({}) == []


@pytest.mark.django_db(transaction=True)
def test_the_task_runs_all_jobs_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = InstanceFactory(url="http://a.example/").endpoint
    hooks(endpoint, 3)
    assert tasks.redeliver() == "no job is left"
    job = plan(endpoint)
    assert tasks.redeliver() == "no job is left"
    assert totals(job) == ("finished", 3, 3, 0)


@pytest.mark.django_db(transaction=True)
def test_the_task_is_requested_while_a_job_is_open_and_no_run_works_on_it() -> None:
    from django_q.models import OrmQ

    from hooks import worker_slots

    endpoint = InstanceFactory(url="http://a.example/").endpoint
    hooks(endpoint, 1)
    assert tasks.ensure_redelivery()
    assert OrmQ.objects.count() == 0
    plan(endpoint)
    worker_slots._requested_at.clear()
    assert not tasks.ensure_redelivery()
    assert [task.func() for task in OrmQ.objects.all()] == ["hooks.tasks.redeliver"]
