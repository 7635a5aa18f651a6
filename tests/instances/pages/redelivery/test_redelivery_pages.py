"""Resending many hooks from the log: selected ones, a filter, a period; the job's page; access."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.actions import redelivery
from hooks.actions.endpoints import pause
from hooks.models import Hook, Redelivery, State
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory
from tests.instances.pages.log.test_log import attempt, make, time_of_the_test  # noqa: F401 - applies to each test

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(
        owner=AccountFactory(email="alice@example.org"), number=12345, url="https://example.com/hook"
    )


def created_job(client: Client, *args: object, **options: object) -> Redelivery:
    answer = client.post(*args, **options)  # type: ignore[arg-type]
    job = Redelivery.objects.latest("pk")
    assert (answer.status_code, answer["Location"]) == (302, f"/log/redeliveries/{job.public_id}/")
    return job


def test_the_count_comes_before_and_a_post_makes_the_job(alice: Client, instance: Instance) -> None:
    for _ in range(3):
        make(instance, State.FAILED)
    make(instance, State.DELIVERED)
    make(instance, State.FAILED, body=b"", body_dropped_at=timezone.now())
    page = alice.get("/log/redeliver/?instance=12345&state=failed")
    assert page.context["preview"] == (3, 0, 1, 0, False)
    assert "Resend 3 hooks" in page.text
    assert Redelivery.objects.count() == 0
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    assert (job.planned, job.filter, job.created_by) == (3, {"states": ["failed"]}, instance.owner.owner)


def test_a_count_of_many_is_a_minimum(
    alice: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "MAX_COUNT", 2)
    for _ in range(4):
        make(instance, State.FAILED)
    page = alice.get("/log/redeliver/?instance=12345&state=failed")
    assert '<span class="nums">3+</span>' in page.text
    assert "Resend all hooks" in page.text
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    assert "of 3+ resent" in alice.get(f"/log/redeliveries/{job.public_id}/").text
    redelivery.work()
    assert "<strong>4</strong> of 4 resent" in alice.get(f"/log/redeliveries/{job.public_id}/").text


def test_every_filter_of_the_log_becomes_the_jobs(alice: Client, instance: Instance) -> None:
    make(instance, State.FAILED, last_status=201, last_outcome="not_200", last_host="a.example", message="m1")
    query = {
        "state": "failed", "kind": "message", "answer": "2xx", "simulated": "no", "host": "A.example", "message": "m1",
    }  # fmt: skip
    job = created_job(alice, "/log/redeliver/?instance=12345", query)
    assert job.filter == {
        "states": ["failed"], "kinds": ["message"], "answers": ["2xx"], "simulated": False,
        "host": "a.example", "message": "m1",
    }  # fmt: skip
    assert job.planned == 1


def test_a_period_is_taken_in_utc(alice: Client, instance: Instance) -> None:
    make(instance, State.FAILED)
    now = timezone.now()
    hour = timedelta(hours=1)
    span: dict[str, Any] = {"from": f"{now - hour:%Y-%m-%dT%H:%M}", "to": f"{now + hour:%Y-%m-%dT%H:%M}"}
    page = alice.get("/log/redeliver/", {"instance": 12345, **span})
    assert page.context["preview"].ready == 1
    assert page.context["typed"] == span
    past: dict[str, Any] = {"from": "2020-01-01T00:00", "to": "2020-01-02T00:00"}
    assert alice.get("/log/redeliver/", {"instance": 12345, **past}).context["preview"].ready == 0
    job = created_job(alice, "/log/redeliver/?instance=12345", span)
    assert job.filter == {
        "created_after": span["from"] + ":00+00:00",
        "created_before": span["to"] + ":00+00:00",
    }


def test_the_last_hour_is_counted_and_sent_as_the_same_moment(alice: Client, instance: Instance) -> None:
    make(instance, State.FAILED)
    page = alice.get("/log/redeliver/?instance=12345&period=hour")
    assert page.context["kept"] == []
    since = page.context["since"]
    assert created_job(alice, "/log/redeliver/?instance=12345", {"from": since}).filter == {
        "created_after": since
    }


def test_nonsense_sends_nothing(alice: Client, instance: Instance) -> None:
    make(instance, State.FAILED)
    page = alice.get("/log/redeliver/?instance=12345&from=yesterday&state=lost")
    assert page.context["invalid"] == ["state", "from"]
    assert "Resend 1 hook" not in page.text
    assert alice.post("/log/redeliver/?instance=12345", {"from": "yesterday"}).status_code == 200
    assert Redelivery.objects.count() == 0


def test_ticked_hooks_are_sent_again(alice: Client, instance: Instance) -> None:
    chosen = [make(instance, State.FAILED) for _ in range(2)]
    make(instance, State.FAILED)
    elsewhere = make(InstanceFactory(url="https://example.com/"), State.FAILED)
    ids = [hook.public_id.hex for hook in (*chosen, elsewhere)]
    job = created_job(alice, "/log/redeliver/chosen/?instance=12345", {"hook": ids})
    assert job.planned == 2
    redelivery.work()
    assert list(Hook.objects.filter(redelivery=job).order_by("pk")) == chosen


def test_nothing_ticked_says_so(alice: Client, instance: Instance) -> None:
    page = alice.post("/log/redeliver/chosen/?instance=12345", {}, follow=True)
    assert "No hooks selected" in page.text
    assert Redelivery.objects.count() == 0


def test_only_what_can_be_sent_again_can_be_ticked(alice: Client, instance: Instance) -> None:
    ticked = [
        make(instance, state) for state in (State.DELIVERED, State.FAILED, State.SKIPPED, State.CANCELLED)
    ]
    for state in (State.QUEUED, State.SENDING, State.RETRYING):
        make(instance, state)
    make(instance, State.FAILED, body=b"", body_dropped_at=timezone.now())
    page = alice.get("/log/?instance=12345").text
    assert page.count('name="hook" value=') == 4
    for hook in ticked:
        assert f'name="hook" value="{hook.public_id.hex}"' in page


def test_the_jobs_page_shows_how_far_it_is_and_is_live(alice: Client, instance: Instance) -> None:
    for _ in range(4):
        make(instance, State.FAILED, attempts_made=1)
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    redelivery.work()
    Hook.objects.filter(pk=Hook.objects.earliest("pk").pk).update(
        state=State.DELIVERED, finished_at=timezone.now(), next_attempt_at=None
    )
    address = f"/log/redeliveries/{job.public_id}/"
    page = alice.get(address)
    assert "<strong>4</strong> of 4 resent" in page.text
    assert page.context["states"] == [("retrying", 3), ("delivered", 1)]
    seen = page.context["cursor"]
    assert seen == "running:4:0:0.0.3.1.0.0.0"
    assert alice.get(address, {"seen": seen}).status_code == 204
    redelivery.pause(job, acting_user=None)
    assert 'id="live"' in alice.get(address, {"seen": seen}).text
    assert "Paused" in alice.get("/log/redeliveries/?instance=12345").text
    assert address in alice.get("/log/?instance=12345").text  # an open job is shown in the log


def test_the_buttons_of_a_job(alice: Client, instance: Instance) -> None:
    make(instance, State.FAILED)
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        answer = alice.post(f"/log/redeliveries/{job.public_id}/{action}/")
        assert answer["Location"] == f"/log/redeliveries/{job.public_id}/"
        job.refresh_from_db()
        assert job.state == state
    page = alice.post(f"/log/redeliveries/{job.public_id}/pause/", follow=True)
    assert "The job is cancelled: there is nothing to pause." in page.text


def test_a_stranger_finds_nothing_and_changes_nothing(alice: Client, bob: Client, instance: Instance) -> None:
    make(instance, State.FAILED)
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    assert bob.get(f"/log/redeliveries/{job.public_id}/").status_code == 404
    assert bob.get("/log/redeliver/?instance=12345").status_code == 404
    assert bob.post("/log/redeliver/?instance=12345", {"state": "failed"}).status_code == 404
    assert bob.post("/log/redeliver/chosen/?instance=12345", {"hook": [job.public_id.hex]}).status_code == 404
    for action in ("pause", "resume", "cancel"):
        assert bob.post(f"/log/redeliveries/{job.public_id}/{action}/").status_code == 404
        assert alice.get(f"/log/redeliveries/{job.public_id}/{action}/").status_code == 405
    assert str(job.public_id) not in bob.get("/log/redeliveries/").text
    job.refresh_from_db()
    assert (job.state, Redelivery.objects.count()) == ("planned", 1)


def test_a_waiting_hook_is_skipped_by_its_button(alice: Client, instance: Instance) -> None:
    hook = make(instance, State.RETRYING, attempts_allowed=20)
    assert f"/log/{hook.public_id}/skip/" in alice.get(f"/log/{hook.public_id}/").text
    page = alice.post(f"/log/{hook.public_id}/skip/", follow=True)
    assert "The hook is skipped" in page.text
    assert "Not sent: skipped manually." in page.text


def test_a_dropped_body_is_said_in_its_place(alice: Client, instance: Instance) -> None:
    hook = make(instance, State.FAILED, body=b"", body_dropped_at=timezone.now(), attempts_made=1)
    attempt(hook, response_body=b"", response_size=9)
    page = alice.get(f"/log/{hook.public_id}/").text
    assert page.count("The body was dropped after 7 days") == 3  # above, in the request, in the answer
    assert "/resend/" not in page


def test_a_pause_stands_in_the_log_and_its_button_leads_back(alice: Client, instance: Instance) -> None:
    pause(instance.endpoint, acting_user=None)
    for page in ("/log/?instance=12345", "/instances/12345/", "/instances/"):
        assert "Delivery is paused" in alice.get(page).text
    page = alice.get("/log/?instance=12345&state=queued").text
    [back] = re.findall(r'name="next" value="([^"]+)"\s*>\s*<button[^>]*>.*?Resume delivery', page, re.DOTALL)
    assert back == "/log/?instance=12345&amp;state=queued"
    answer = alice.post("/instances/12345/resume/", {"next": back.replace("&amp;", "&")})
    assert answer["Location"] == "/log/?instance=12345&state=queued"
    assert "Delivery is paused" not in alice.get("/log/?instance=12345").text


@pytest.mark.parametrize(
    ("states", "badge", "color"),
    [
        ([State.FAILED, State.FAILED], "Finished, all failed", "red"),
        ([State.FAILED, State.DELIVERED], "Finished, some failed", "orange"),
        ([State.FAILED, State.RETRYING], "Waiting for responses", "azure"),
        ([State.DELIVERED, State.DELIVERED], "Finished", "green"),
    ],
)
def test_a_finished_job_shows_the_result_of_its_hooks(
    alice: Client, instance: Instance, states: list[State], badge: str, color: str
) -> None:
    hooks = [make(instance, State.FAILED) for _ in states]
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    redelivery.work()
    for hook, state in zip(hooks, states, strict=True):
        done = None if state == State.RETRYING else timezone.now()
        Hook.objects.filter(pk=hook.pk).update(state=state, finished_at=done)
    while redelivery.work() is not None:
        pass
    for address in (f"/log/redeliveries/{job.public_id}/", "/log/redeliveries/?instance=12345"):
        main = alice.get(address).text.partition("<main")[2]
        shown = re.search(r'<span class="state state-(\w+)">.*?</svg>([^<]+)</span>', main)
        assert shown
        assert (shown[1], shown[2]) == (color, badge)


def test_a_finished_job_that_resent_nothing_is_not_green(alice: Client, instance: Instance) -> None:
    hook = make(instance, State.FAILED)
    job = created_job(alice, "/log/redeliver/?instance=12345", {"state": "failed"})
    Hook.objects.filter(pk=hook.pk).update(state=State.DELIVERED)
    while redelivery.work() is not None:
        pass
    page = alice.get(f"/log/redeliveries/{job.public_id}/").text
    assert "Finished, none resent" in page
    assert "state-green" not in page.partition('aria-label="Progress"')[2].partition("</section>")[0]
