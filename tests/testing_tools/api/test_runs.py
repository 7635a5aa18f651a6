"""Runs of several simulated hooks over REST: plan, send step by step, cancel."""

from typing import Any

import pytest
from django.utils import timezone

from instances.limits import manual_request_limit
from instances.models import Instance
from testing_tools.simulation import actions
from testing_tools.simulation.models import SimulationRun
from tests.instances.api.conftest import ApiClient
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db

REFUSED = "http://127.0.0.1:9/"


@pytest.fixture
def path(alice: ApiClient) -> str:
    return f"{alice.home}simulation-runs/"


def test_a_run_sends_its_hooks_step_by_step(alice: ApiClient, path: str) -> None:
    with Receiver([(200, {}, b""), (500, {}, b"")]) as receiver:
        data = {"kind": "message", "fields": {"text": "twice"}, "plan": "duplicates", "count": 2}
        status, run = alice.post(path, data | {"url": receiver.url})
        planned = run
        while run["state"] == "running":
            sent = alice.post(f"{path}{run['id']}/step/", None)
            assert sent[0] == 200
            run = sent[1]
        first, second = receiver.wait_for(2)
    assert (status, planned["done"]) == (201, 0)
    assert [(step["hookId"], step["verdict"]) for step in planned["steps"]] == [(None, None), (None, None)]
    assert b'"body":"twice"' in first.body
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert (run["state"], run["done"]) == ("finished", 2)
    assert run["steps"] == [
        {
            "number": number,
            "label": label,
            "kind": "message",
            "hookId": first.headers["webhook-id"],
            "attempt": number,
            "verdict": verdict,
        }
        for number, label, verdict in ((1, "Hook", "delivered"), (2, "Duplicate", "not_200"))
    ]
    assert alice.get(f"{path}{run['id']}/") == (200, run)
    [hook] = alice.get("hooks/?simulated=true")[1]["results"]
    assert [attempt["verdict"] for attempt in hook["attempts"]] == ["delivered", "not_200"]


def test_acks_come_in_the_wrong_order(alice: ApiClient, path: str) -> None:
    run = alice.post(path, {"kind": "viewed", "plan": "backwards", "url": REFUSED})[1]
    assert [step["label"] for step in run["steps"]] == ["Ack: Read", "Ack: Delivered", "Ack: Sent"]


def test_a_cancelled_run_sends_nothing_more(alice: ApiClient, path: str) -> None:
    run = alice.post(path, {"kind": "status", "plan": "repeat", "url": REFUSED})[1]
    assert len(run["steps"]) == 3
    assert alice.post(f"{path}{run['id']}/cancel/", None)[1]["state"] == "cancelled"
    status, after = alice.post(f"{path}{run['id']}/step/", None)
    assert (status, after["state"], after["done"]) == (200, "cancelled", 0)


def test_a_run_of_another_account_does_not_exist(alice: ApiClient, bob: ApiClient, path: str) -> None:
    run = alice.post(path, {"kind": "status", "plan": "repeat", "url": REFUSED})[1]
    theirs = f"{bob.home}simulation-runs/{run['id']}/"
    assert bob.get(theirs) == (
        404,
        {"error": f"Instance {bob.instance.number} has no run {run['id']}."},
    )
    assert bob.post(f"{theirs}cancel/", None)[0] == 404
    assert alice.get(f"{path}run_x/")[0] == 404


def test_a_run_that_is_deleted_while_a_hook_is_sent_is_404(
    alice: ApiClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are deleted with their instance, and when newer ones are planned."""
    run = alice.post(path, {"kind": "status", "plan": "repeat", "url": REFUSED})[1]
    monkeypatch.setattr(actions, "send_step", lambda *_, **__: SimulationRun.objects.all().delete())
    assert alice.post(f"{path}{run['id']}/step/", None) == (
        404,
        {"error": "The instance, or another object of this call, was deleted during the call."},
    )


@pytest.mark.parametrize(
    ("data", "field", "error"),
    [
        ({"kind": "message"}, "plan", "required"),
        ({"kind": "message", "plan": "once"}, "plan", "Must be one of: sequence, backwards, repeat, duplicates."),
        ({"kind": "message", "plan": "sequence"}, "plan", "does not apply to this kind"),
        ({"kind": "message", "plan": "repeat", "count": 51}, "count", "less than or equal to 50"),
        ({"kind": "message", "plan": "repeat", "count": 1}, "count", "greater than or equal to 2"),
        ({"kind": "message", "plan": "repeat", "pause": 11}, "pause", "less than or equal to 10"),
        (
            {"kind": "message", "plan": "repeat", "count": 50, "body": '"' + "x" * 100_000 + '"'},
            "plan",
            "The 50 bodies of this run are 5,000,100 bytes long; the limit is 4,194,304. Send fewer hooks or",
        ),
        ({"kind": "viewed", "plan": "sequence", "body": "{}"}, "plan", "contains no items"),
        ({"kind": "viewed", "plan": "sequence", "url": "ftp://example.com/"}, "url", "http"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else None,
)  # fmt: skip
def test_an_invalid_run_is_not_planned(
    alice: ApiClient, path: str, data: dict[str, Any], field: str, error: str
) -> None:
    status, answer = alice.post(path, {"url": REFUSED} | data)
    assert status == 400
    assert error in answer["fields"][field]
    assert not SimulationRun.objects.exists()


def test_steps_have_the_limits_of_simulations(
    alice: ApiClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"kind": "message", "plan": "repeat", "url": REFUSED}
    run = alice.post(path, data)[1]
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    assert alice.post(f"{path}{run['id']}/step/", None)[0] == 409
    Instance.objects.filter(pk=alice.instance.pk).update(stopped_at=timezone.now())
    stopped = (409, {"error": "You cannot simulate hooks: this instance is stopped."})
    assert alice.post(f"{path}{run['id']}/step/", None) == alice.post(path, data) == stopped
    assert alice.get(f"{path}{run['id']}/")[1]["done"] == 0
