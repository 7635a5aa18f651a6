"""Several simulated hooks by one click: in sequence, out of order, repeated, as duplicates; and cancelled."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.actions.simulation import simulate, simulate_again
from hooks.maintenance import conservation
from hooks.models import Attempt, Hook, Kind, State, Trigger
from instances.models import Instance
from testing_tools.simulation import actions as simulation_actions
from testing_tools.simulation import runs as simulation_runs
from testing_tools.simulation.drafts import MAX_BODY
from testing_tools.simulation.examples import example
from testing_tools.simulation.kinds import SimulationKind
from testing_tools.simulation.models import Plan, RunState, SimulationRun, SimulationStep
from tests.factories import UserFactory, member_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/simulation/"


def submit(client: Client, instance: Instance, what: str, plan: str, **more: str) -> Any:
    """The response to the form."""
    form = {
        "what": what, "url": instance.endpoint.url, "body": example(instance, what).decode(), "plan": plan,
        "count": "3", "pause": "0",
    }  # fmt: skip
    return client.post(f"{PAGE}send/?instance=12345", form | more, headers=HTMX)


def plan_run(client: Client, instance: Instance, what: str, plan: str, **more: str) -> SimulationRun:
    response = submit(client, instance, what, plan, **more)
    assert "0 of " in response.content.decode()
    return SimulationRun.objects.get()


def finish(client: Client, run: SimulationRun) -> str:
    """Poll until the run has ended; returns the last response.

    A poll sends hooks for TIME_SLICE: on a busy machine, one poll may not send all.
    """
    text = ""
    while simulation_runs.show_run(run).is_open:
        text = step(client, run).content.decode()
    return text


def step(client: Client, run: SimulationRun, seen: str = "") -> Any:
    """Poll the run's fragment once."""
    return client.post(f"{PAGE}runs/{run.public_id}/", {"seen": seen}, headers=HTMX)


def test_the_form_only_plans_a_run_and_its_polls_send_it(alice, instance, receiver):
    run = plan_run(alice, instance, "delivered", "sequence")
    assert (receiver.requests, run.state) == ([], RunState.RUNNING)
    text = finish(alice, run)
    assert [json.loads(request.body)["ack"][0]["status"] for request in receiver.requests] == [
        "sent", "delivered", "viewed",
    ]  # fmt: skip
    assert (
        len(
            {
                request.body.replace(b"delivered", b"sent").replace(b"viewed", b"sent")
                for request in receiver.requests
            }
        )
        == 1
    )
    assert "3 of 3 sent" in text
    assert "3 Delivered" in text
    assert list(run.steps.values_list("label", flat=True)) == ["Ack: Sent", "Ack: Delivered", "Ack: Read"]
    run.refresh_from_db()
    assert run.state == RunState.FINISHED


def test_with_a_pause_a_poll_sends_one_and_the_next_one_waits(alice, instance, receiver):
    run = plan_run(alice, instance, "delivered", "sequence", pause="5")
    assert "1 of 3 sent" in step(alice, run).content.decode()
    assert step(alice, run, seen="running:1:0").status_code == 204
    assert len(receiver.requests) == 1
    SimulationRun.objects.update(next_at=timezone.now())
    assert "2 of 3 sent" in step(alice, run, seen="running:1:0").content.decode()
    assert len(receiver.requests) == 2


def test_out_of_order_the_highest_ack_is_first(alice, instance, receiver):
    finish(alice, plan_run(alice, instance, "viewed", "backwards"))
    assert [json.loads(request.body)["ack"][0]["status"] for request in receiver.requests] == [
        "viewed", "delivered", "sent",
    ]  # fmt: skip


def test_out_of_order_the_last_of_three_messages_is_first(alice, instance, receiver):
    finish(alice, plan_run(alice, instance, "message", "backwards"))
    numbers = [request.json()["messages"][0]["messageNumber"] for request in receiver.requests]
    assert numbers == [3, 2, 1]


def test_repeated_messages_have_their_own_ids_and_numbers(alice, instance, receiver):
    finish(alice, plan_run(alice, instance, "message", "repeat", count="50"))
    items = [request.json()["messages"][0] for request in receiver.requests]
    assert [item["messageNumber"] for item in items] == list(range(1, 51))
    assert len({item["id"] for item in items}) == 50
    assert {len(item["id"]) for item in items} == {len("false_17680561234@c.us_") + 32}
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 50
    assert {request.headers["webhook-simulated"] for request in receiver.requests} == {"1"}
    assert set(Attempt.objects.values_list("trigger", flat=True)) == {Trigger.SIMULATION}


def test_duplicates_are_one_hook_with_one_webhook_id(alice, instance, receiver):
    text = finish(alice, plan_run(alice, instance, "message", "duplicates"))
    assert len({(request.headers["webhook-id"], request.body) for request in receiver.requests}) == 1
    assert [request.headers["webhook-attempt"] for request in receiver.requests] == ["1/1", "2/2", "3/3"]
    hook = Hook.objects.get()
    assert (hook.state, hook.attempts_made, hook.simulated) == (State.DELIVERED, 3, True)
    assert "3 of 3 sent" in text
    assert [conservation.missing(row) for row in conservation.totals()] == [0]


def test_each_hook_of_a_run_has_its_own_result(alice, instance, receiver):
    receiver.answers = [(200, {}, b""), (503, {}, b""), (200, {}, b"")]
    run = plan_run(alice, instance, "message", "repeat")
    text = finish(alice, run)
    assert "2 Delivered" in text
    assert "1 Responded with 503, not 200" in text
    shown = simulation_runs.show_run(run)
    assert [step.verdict.word for step in shown.steps if step.verdict] == [
        "Delivered", "Responded with 503, not 200", "Delivered",
    ]  # fmt: skip
    assert 'id="recent"' in text


def test_a_cancelled_run_sends_no_more(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat", pause="1", count="5")
    step(alice, run)
    text = alice.post(f"{PAGE}runs/{run.public_id}/cancel/", headers=HTMX).content.decode()
    assert "1 of 5 sent" in text
    assert "the rest cancelled" in text
    SimulationRun.objects.update(next_at=timezone.now())
    step(alice, run)
    assert len(receiver.requests) == 1


def test_two_pages_of_a_run_do_not_send_a_hook_twice(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat")
    assert simulation_actions.claim_next_step(run) is not None
    assert step(alice, run, seen="running:0:1").status_code == 204
    assert receiver.requests == []


def test_a_hook_claimed_by_a_killed_process_does_not_block_the_run(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat")
    assert simulation_actions.claim_next_step(run) is not None
    SimulationRun.objects.update(busy_until=timezone.now() - timedelta(seconds=1))
    text = finish(alice, run)
    assert len(receiver.requests) == 2
    assert "2 of 3 sent" in text
    assert "see the delivery log" in text
    run.refresh_from_db()
    assert run.state == RunState.FINISHED


def test_a_run_whose_page_was_closed_is_paused_until_resumed(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat")
    page = alice.get(PAGE, {"instance": 12345}).content.decode()
    assert "paused because its page was closed" in page
    assert "Resume" in page
    assert "every 1s" not in page.split('id="run"')[1].split("</ol>")[0]
    assert "3 of 3 sent" in finish(alice, run)
    assert "paused because its page was closed" not in alice.get(PAGE, {"instance": 12345}).content.decode()


@pytest.mark.parametrize(
    ("plan", "what", "more", "words"),
    [
        ("repeat", "message", {"count": "51"}, "Number of hooks must be a whole number from 2 to 50."),
        ("repeat", "message", {"count": "x"}, "Number of hooks must be a whole number from 2 to 50."),
        ("repeat", "message", {"pause": "11"}, "The pause must be from 0 to 10 seconds."),
        ("repeat", "message", {"pause": "nan"}, "The pause must be from 0 to 10 seconds."),
        ("sequence", "message", {}, "This plan does not apply to this kind of hook."),
        ("backwards", "status", {}, "This plan does not apply to this kind of hook."),
        ("sequence", "delivered", {"body": "{}"}, "The JSON contains no items that can be ordered."),
        ("repeat", "message", {"url": "ftp://x"}, "The URL must start with http:// or https://."),
        ("repeat", "message", {"body": "{"}, "The JSON cannot be sent."),
    ],
)
def test_an_invalid_run_is_rejected_with_a_message(alice, instance, receiver, plan, what, more, words):
    text = submit(alice, instance, what, plan, **more).content.decode()
    assert "Not sent" in text
    assert words in text
    assert (SimulationRun.objects.count(), Hook.objects.count()) == (0, 0)


def test_a_run_of_edited_json_is_sent_unchanged(alice, instance, receiver):
    finish(alice, plan_run(alice, instance, "message", "repeat", body='{"n": 1.50}', count="2"))
    assert [request.body for request in receiver.requests] == [b'{"n":1.50}'] * 2


def test_a_run_stops_when_the_instance_is_no_longer_paid(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat")
    Instance.objects.update(paid_until=timezone.now())
    text = step(alice, run).content.decode()
    assert "The run cannot continue: this instance is not paid." in text
    assert receiver.requests == []
    assert "Not sent" in submit(alice, instance, "message", "repeat").content.decode()
    assert SimulationRun.objects.count() == 1


def test_another_account_gets_404_and_a_viewer_403(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat")
    for person, status in (
        (UserFactory(email="bob@example.org"), 404),
        (member_of(instance.owner, "viewer", "vera@example.org"), 403),
    ):
        client = Client()
        client.force_login(person)
        assert step(client, run).status_code == status
        assert client.post(f"{PAGE}runs/{run.public_id}/cancel/").status_code == status
    assert receiver.requests == []
    page = client.get(PAGE, {"instance": 12345}).content.decode()
    assert "You cannot send hooks: you are a viewer in this account." in page
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_the_newest_20_runs_are_kept_and_all_their_hooks(instance):
    for _ in range(21):
        simulation_actions.create_run(
            instance, kind="message", plan=Plan.REPEAT, body=b"{}", to_url=instance.endpoint.url, count=2,
            pause=0, acting_user=None,
        )  # fmt: skip
    assert SimulationRun.objects.count() == 20
    assert SimulationStep.objects.count() == 40


def test_duplicates_are_stored_once_and_may_be_as_long_as_a_hook(instance):
    body = b'"' + b"x" * (MAX_BODY - 2) + b'"'
    simulation_actions.create_run(
        instance, kind="message", plan=Plan.DUPLICATES, body=body, to_url=instance.endpoint.url, count=50,
        pause=0, acting_user=None,
    )  # fmt: skip
    assert [len(step.body) for step in SimulationStep.objects.all()] == [MAX_BODY] + [0] * 49


def test_showing_a_run_takes_three_queries(instance, django_assert_num_queries):
    run = simulation_actions.create_run(
        instance, kind="message", plan=Plan.REPEAT, body=b"{}", to_url=instance.endpoint.url, count=50,
        pause=0, acting_user=None,
    )  # fmt: skip
    simulation_actions.claim_next_step(run)
    with django_assert_num_queries(3):
        simulation_runs.show_run(run)


@pytest.mark.parametrize("what", SimulationKind.values)
def test_every_plan_of_every_kind_has_steps(instance, what):
    body = example(instance, what)
    plans = simulation_runs.plans_of(what)
    assert plans[0] == Plan.ONCE
    for plan in plans[1:]:
        assert len(simulation_runs.steps_of(what, plan, body, 3)) == 3


def test_a_simulation_cannot_be_sent_again_while_it_is_being_sent(instance):
    hook = simulate(
        instance.endpoint, kind=Kind.MESSAGE, body=b"{}", to_url=instance.endpoint.url, acting_user=None
    )
    Hook.objects.update(state=State.SENDING, lease_until=timezone.now(), finished_at=None)
    assert simulate_again(hook) is None
    assert Attempt.objects.count() == 1


def test_one_poll_waits_for_a_short_pause(alice, instance, receiver):
    run = plan_run(alice, instance, "message", "repeat", pause="0.01")
    assert simulation_actions.advance(run, seconds=60)
    assert len(receiver.requests) == 3


def test_the_number_of_queries_does_not_depend_on_the_simulations(
    alice, instance, django_assert_max_num_queries
):
    finish(alice, plan_run(alice, instance, "message", "repeat", count="30"))
    alice.get(PAGE, {"instance": 12345})
    with django_assert_max_num_queries(14):
        alice.get(PAGE, {"instance": 12345})
