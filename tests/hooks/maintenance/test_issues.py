"""Issues: how failed attempts become rows, when they are resolved, and what a killed run leaves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from hooks.actions import redelivery
from hooks.actions.endpoints import override_url
from hooks.actions.issues import acknowledge, resend_missed
from hooks.actions.redelivery import preview
from hooks.explain.issues import explain_issues
from hooks.log.issue_hooks import count_hooks, filter_of
from hooks.maintenance import issues
from hooks.models import Endpoint, Hook, Issue, IssueMark, IssueState, Outcome, Redelivery, State
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.hooks.attempted import attempt_hook
from tests.threads import plain_session, results_in_threads

pytestmark = pytest.mark.django_db
NOW = timezone.now


def minutes_ago(number: float) -> datetime:
    return NOW() - timedelta(minutes=number)


@pytest.fixture
def endpoint(endpoint: Endpoint) -> Endpoint:
    """An endpoint with a URL, after the first run: later attempts are read."""
    issues.update()
    return endpoint


def run() -> list[Issue]:
    """Runs the job twice, as the next minute reads the attempts of this one again; returns all issues, by key."""
    issues.update()
    found = list(Issue.objects.order_by("pk"))
    issues.update()
    assert list(Issue.objects.order_by("pk").values()) == [
        {field.attname: getattr(issue, field.attname) for field in Issue._meta.concrete_fields}
        for issue in found
    ]
    return found


def test_failures_of_a_cause_are_one_issue(endpoint: Endpoint) -> None:
    first, *_, last = [attempt_hook(endpoint, 500, at=minutes_ago(30 - n)) for n in range(5)]
    attempt_hook(endpoint, None, outcome=Outcome.REFUSED)
    attempt_hook(endpoint, None, outcome=Outcome.REFUSED)

    of_500, of_refused = sorted(run(), key=lambda issue: issue.outcome)

    assert (of_500.outcome, of_500.status, of_500.hooks) == ("not_200", 500, 5)
    assert (of_500.first_failed_at, of_500.last_failed_at) == (first.created_at, last.created_at)
    assert (of_500.first_hook, of_500.events_since) == (first.pk, first.created_at)
    assert of_500.last_attempt == last.attempts.get().pk
    assert (of_refused.outcome, of_refused.status, of_refused.hooks) == ("refused", 0, 2)
    assert {of_500.state, of_refused.state} == {IssueState.OPEN}


@pytest.mark.parametrize(("age", "found"), [(59, 2), (61, 0)])
def test_the_first_run_reads_what_failed_before_it_only_on_a_new_site(
    endpoint: Endpoint, age: int, found: int
) -> None:
    IssueMark.objects.all().delete()
    attempt_hook(endpoint, at=minutes_ago(age))
    attempt_hook(endpoint)
    assert sum(issue.hooks for issue in run()) == found
    attempt_hook(endpoint)
    assert sum(issue.hooks for issue in run()) == found + 1


def test_later_failures_update_the_row(endpoint: Endpoint) -> None:
    attempt_hook(endpoint, at=minutes_ago(90))
    [before] = run()
    for age in (60, 30, 0):
        attempt_hook(endpoint, at=minutes_ago(age))
        [issue] = run()
    assert (issue.pk, issue.hooks) == (before.pk, 4)
    assert issue.first_failed_at == before.first_failed_at < issue.last_failed_at


def test_retries_of_a_hook_count_once(endpoint: Endpoint) -> None:
    Endpoint.objects.update(guaranteed=True)
    endpoint.refresh_from_db()
    hook = attempt_hook(endpoint, at=minutes_ago(3))
    assert hook.state == State.RETRYING
    attempt_hook(endpoint, hook=hook, at=minutes_ago(2))
    [issue] = run()
    assert issue.hooks == 1
    assert count_hooks([issue]) == {issue.pk: 0}  # it is retried anyway


def test_an_older_hook_that_fails_with_the_cause_later_is_counted(endpoint: Endpoint) -> None:
    """It may be retried, or its attempt was committed late. Those of the issue before are not counted twice."""
    Endpoint.objects.update(guaranteed=True)
    endpoint.refresh_from_db()
    for status, age in ((500, 200), (200, 190)):
        attempt_hook(endpoint, status, at=minutes_ago(age))
    [former] = run()
    older = attempt_hook(endpoint, None, outcome=Outcome.TIMEOUT, at=minutes_ago(40))
    attempt_hook(endpoint, 500, at=minutes_ago(30))
    run()
    attempt_hook(endpoint, 500, hook=older, at=minutes_ago(20))
    issue = next(issue for issue in reversed(run()) if issue.status)
    assert (issue.hooks, issue.first_hook, issue.events_since) == (2, older.pk, older.created_at)
    attempt_hook(endpoint, 500, hook=Hook.objects.get(pk=former.first_hook), at=minutes_ago(10))
    issue = next(issue for issue in reversed(run()) if issue.status)
    assert (issue.hooks, issue.events_since) == (2, former.resolved_at)


def test_what_is_not_a_failure_of_the_endpoint_is_left_out(endpoint: Endpoint) -> None:
    attempt_hook(endpoint, 200)
    attempt_hook(endpoint, 500, url="http://replaced.example/hook")
    override_url(endpoint, url="http://bin.example/", until=NOW() + timedelta(minutes=5), acting_user=None)
    attempt_hook(endpoint, 500, url="http://bin.example/")
    attempt_hook(endpoint, 500, simulated=True)
    laptop = InstanceFactory(url="http://localhost:3000/").endpoint
    Endpoint.objects.filter(pk=laptop.pk).update(is_listener=True)
    attempt_hook(laptop, 500)
    assert run() == []


def test_an_attempt_that_was_committed_late_is_read(endpoint: Endpoint) -> None:
    hook = attempt_hook(endpoint, 500)
    late = hook.attempts.get().pk
    hook.attempts.update(id=late + 10_000)
    attempt_hook(endpoint, 404)
    issues.update()  # has seen a later id, as if the attempt below were not committed yet
    hook.attempts.update(id=late)
    Issue.objects.filter(status=500).delete()
    issues.update()
    assert set(Issue.objects.values_list("status", flat=True)) == {404, 500}


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_is_committed_many_runs_late_is_read() -> None:
    """A transaction that waits for a lock may be open for minutes."""
    endpoint = InstanceFactory(url="http://a.example/").endpoint
    issues.update()
    hook = attempt_hook(endpoint, 500)
    late = hook.attempts.get().pk
    hook.attempts.update(outcome=Outcome.OK)
    with plain_session() as session:
        session.execute("UPDATE hooks_attempt SET outcome = 'not_200' WHERE id = %s", [late])
        for _ in range(4):
            attempt_hook(endpoint, 404)
            issues.update()
        assert IssueMark.objects.get().counted_up_to < late
        session.commit()
    issues.update()
    assert set(Issue.objects.values_list("status", flat=True)) == {404, 500}
    for _ in range(2):
        issues.update()
    assert IssueMark.objects.get().counted_up_to > late


def test_a_restored_backup_does_not_stop_the_mark(endpoint: Endpoint) -> None:
    """The ids of transactions begin again in the new database."""
    IssueMark.objects.update(begun=2**62)
    last = attempt_hook(endpoint, 500).attempts.get().pk
    for _ in range(2):
        issues.update()
    assert IssueMark.objects.get().counted_up_to == last


# -- floods, and clocks


def test_random_status_codes_are_one_issue(endpoint: Endpoint) -> None:
    statuses = [*range(501, 501 + issues.MAX_STATUSES), *range(580, 600)]
    hooks = []
    for number, status in enumerate(statuses):
        hooks.append(attempt_hook(endpoint, status, at=minutes_ago(50 - number)))
        if number == 1:
            acknowledge(run()[0], acting_user=None)
        if number < issues.MAX_STATUSES:
            assert len(run()) == number + 1
    first = Issue.objects.order_by("pk")[0]
    [issue] = run()
    assert (issue.pk, issue.status, issue.state) == (first.pk, 0, IssueState.OPEN)
    assert (issue.hooks, issue.first_hook, issue.events_since) == (25, hooks[0].pk, hooks[0].created_at)
    assert (issue.first_failed_at, issue.last_failed_at) == (hooks[0].created_at, hooks[-1].created_at)
    assert count_hooks([issue]) == {issue.pk: 25}
    assert preview(Instance.objects.all(), filter_of(issue)).ready == 25
    assert "many different status codes" in explain_issues([issue])[issue.pk].sentence

    attempt_hook(endpoint, 200, at=minutes_ago(10))
    attempt_hook(endpoint, 433, at=minutes_ago(5))
    [issue] = run()
    assert (issue.status, issue.state, issue.hooks) == (0, IssueState.OPEN, 26)


def test_status_codes_between_deliveries_are_few_issues(endpoint: Endpoint) -> None:
    """Each of these issues is resolved before the next one is opened."""
    for number in range(20):
        attempt_hook(endpoint, 500 + number, at=minutes_ago(50 - 2 * number))
        attempt_hook(endpoint, 200, at=minutes_ago(49 - 2 * number))
        found = run()
    assert len(found) == issues.MAX_STATUSES + 1
    assert {issue.state for issue in found} == {IssueState.RESOLVED}


def test_status_codes_of_several_endpoints_are_not_grouped(endpoint: Endpoint) -> None:
    for number in range(issues.MAX_STATUSES + 1):
        attempt_hook(InstanceFactory(url="http://other.example/").endpoint, 500 + number)
    assert 0 not in {issue.status for issue in run()}


def test_a_clock_that_was_ahead_does_not_keep_an_issue_open(endpoint: Endpoint) -> None:
    attempt_hook(endpoint, 500, at=minutes_ago(-600))
    [issue] = run()
    assert issue.last_failed_at <= NOW()
    Endpoint.objects.update(failing_since=None)
    attempt_hook(endpoint, 200)
    [issue] = run()
    assert issue.state == IssueState.RESOLVED
    attempt_hook(endpoint, 500)
    [issue] = run()
    assert issue.state == IssueState.OPEN


# -- resending what was missed


def test_a_second_click_creates_no_second_job(endpoint: Endpoint) -> None:
    for age in (5, 4):
        attempt_hook(endpoint, 500, at=minutes_ago(age))
    [issue] = run()
    instances = Instance.objects.all()
    job = resend_missed(issue, instances=instances, acting_user=None)
    attempt_hook(endpoint, 500, at=minutes_ago(3))
    Issue.objects.update(events_since=issue.events_since - timedelta(hours=1))
    for _ in range(2):
        issue.refresh_from_db()
        with pytest.raises(
            redelivery.AlreadyPlanned, match=f"redelivery_{job.public_id.hex} resends"
        ) as found:
            resend_missed(issue, instances=instances, acting_user=None)
        assert found.value.job == job
        attempt_hook(endpoint, 200)
        run()  # resolved: its period has an end now
    redelivery.cancel(job, acting_user=None)
    assert resend_missed(issue, instances=instances, acting_user=None) != job


@pytest.mark.django_db(transaction=True)
def test_two_members_at_once_create_one_job() -> None:
    endpoint = InstanceFactory(url="http://a.example/").endpoint
    issues.update()
    attempt_hook(endpoint, 500)
    issues.update()
    issue = Issue.objects.get()

    def resend(_: int) -> Redelivery:
        try:
            return resend_missed(issue, instances=Instance.objects.all(), acting_user=None)
        except redelivery.AlreadyPlanned as found:
            return found.job

    results = results_in_threads(resend, 4)
    assert {job.pk for job in results} == set(Redelivery.objects.values_list("pk", flat=True))
    assert Redelivery.objects.count() == 1


# -- recovery


def test_a_200_after_the_last_failure_resolves_the_issue(endpoint: Endpoint) -> None:
    attempt_hook(endpoint, 200, at=minutes_ago(9))
    for age in (8, 7):
        attempt_hook(endpoint, 500, at=minutes_ago(age))
    [issue] = run()
    assert issue.state == IssueState.OPEN
    well = attempt_hook(endpoint, 200, at=minutes_ago(1))
    [issue] = run()
    assert (issue.state, issue.resolved_at) == (IssueState.RESOLVED, well.finished_at)
    assert count_hooks([issue]) == {issue.pk: 2}  # what was missed


def test_an_outage_between_two_runs_is_a_resolved_issue(endpoint: Endpoint) -> None:
    for status, age in ((200, 5), (500, 4), (500, 3), (200, 2)):
        attempt_hook(endpoint, status, at=minutes_ago(age))
    [issue] = run()
    assert (issue.state, issue.hooks) == (IssueState.RESOLVED, 2)


def test_an_endpoint_that_fails_some_hooks_is_resolved_after_a_quiet_time(endpoint: Endpoint) -> None:
    for age in (14, 13, 12):
        attempt_hook(endpoint, 500, at=minutes_ago(age))
        attempt_hook(endpoint, 200, at=minutes_ago(age - 0.5))
    Issue.objects.all().delete()
    attempt_hook(endpoint, 500, at=minutes_ago(9))
    attempt_hook(endpoint, 200, at=minutes_ago(8))
    [issue] = run()
    assert issue.state == IssueState.OPEN
    Issue.objects.update(last_failed_at=issue.last_failed_at - timedelta(minutes=2))
    IssueMark.objects.update(counted_up_to=2**60)  # the failures are not read again
    issues.update()
    issue.refresh_from_db()
    assert issue.state == IssueState.RESOLVED


def test_a_failure_soon_after_the_recovery_reopens_the_issue(endpoint: Endpoint) -> None:
    for status, age in ((500, 50), (200, 40)):
        attempt_hook(endpoint, status, at=minutes_ago(age))
    [resolved] = run()
    attempt_hook(endpoint, 500, at=minutes_ago(5))
    [issue] = run()
    assert (resolved.state, issue.pk, issue.state) == (IssueState.RESOLVED, resolved.pk, IssueState.OPEN)
    assert (issue.hooks, issue.resolved_at) == (2, None)


def test_a_failure_long_after_the_recovery_is_another_issue(endpoint: Endpoint) -> None:
    for status, age in ((500, 150), (200, 140)):
        attempt_hook(endpoint, status, at=minutes_ago(age))
    run()
    attempt_hook(endpoint, 500, at=minutes_ago(5))
    old, new = run()
    assert (old.state, new.state, new.hooks) == (IssueState.RESOLVED, IssueState.OPEN, 1)
    assert count_hooks([old, new]) == {old.pk: 1, new.pk: 1}  # what each offers to resend
    assert [preview(Instance.objects.all(), filter_of(issue)).ready for issue in (old, new)] == [1, 1]


def test_a_success_at_a_bin_or_a_new_url_alone_resolves_nothing(endpoint: Endpoint) -> None:
    attempt_hook(endpoint, 500, at=minutes_ago(3))
    run()
    Endpoint.objects.update(failing_since=None)  # as after a change of the URL
    attempt_hook(endpoint, 200, url="http://bin.example/")
    [issue] = run()
    assert issue.state == IssueState.OPEN


# -- kills, and what is deleted


def test_a_killed_run_leaves_nothing_and_the_next_one_does_all(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt_hook(endpoint, 500)
    before = IssueMark.objects.values().get()

    def die(now: object) -> int:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(issues, "resolve_recovered", die)
        with pytest.raises(SystemExit):
            issues.update()
    assert (Issue.objects.count(), IssueMark.objects.values().get()) == (0, before)
    [issue] = run()
    assert issue.hooks == 1


def test_old_issues_and_those_of_deleted_endpoints_are_deleted(endpoint: Endpoint) -> None:
    gone = InstanceFactory(url="http://gone.example/").endpoint
    for one in (endpoint, gone):
        attempt_hook(one, 500)
    run()
    with connection.cursor() as cursor:  # as code without issues does
        cursor.execute("DELETE FROM hooks_tally WHERE endpoint_id = %s", [gone.pk])
        cursor.execute("DELETE FROM hooks_lane WHERE endpoint_id = %s", [gone.pk])
        cursor.execute("DELETE FROM hooks_endpoint WHERE id = %s", [gone.pk])
    issues.update()
    assert [issue.endpoint_id for issue in Issue.objects.all()] == [endpoint.pk]
    IssueMark.objects.update(counted_up_to=2**60)
    Issue.objects.update(last_failed_at=NOW() - timedelta(days=400))
    issues.update()
    assert not Issue.objects.exists()
