"""Over REST: many hooks resent, actions on single hooks, delivery paused, the secret rotated."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hooks.actions import redelivery
from hooks.actions.endpoints import configure
from hooks.models import Endpoint, Hook, Redelivery, SkipReason, State
from tests.instances.api.conftest import ApiClient
from tests.instances.api.test_hooks import failed, hook, skipped

NOTHING = {state.value: 0 for state in State}


@pytest.fixture
def address(alice: ApiClient) -> None:
    configure(alice.instance.endpoint, url="https://example.com/hook")


def job_of(answer: Any) -> Redelivery:
    return Redelivery.objects.get(public_id=answer["id"].removeprefix("redelivery_"))


# -- jobs


def test_a_dry_run_counts_and_changes_nothing(alice: ApiClient, address: None) -> None:
    failed(alice)
    failed(alice)
    hook(alice, state=State.RETRYING, finished_at=None, attempts_allowed=20, next_attempt_at=timezone.now())
    hook(alice, body=b"", body_dropped_at=timezone.now())
    wanted = {"instance": str(alice.instance.number), "kind": ["message"], "dryRun": True}
    assert alice.post("redeliveries/", wanted) == (
        200,
        {"count": 2, "underWay": 1, "bodyDropped": 1, "noAddress": 0, "more": False},
    )
    assert alice.post("redeliveries/", {"state": ["failed"], "dryRun": True})[1]["count"] == 2
    assert Redelivery.objects.count() == 0


def test_a_job_is_made_worked_off_and_shown(alice: ApiClient, address: None) -> None:
    first, second = failed(alice), failed(alice)
    hook(alice)
    status, made = alice.post("redeliveries/", {"state": ["failed"], "host": "EXAMPLE.com"})
    assert status == 201
    job = job_of(made)
    assert job.created_by == alice.account.owner
    assert made == {
        "id": f"redelivery_{job.public_id.hex}",
        "state": "planned",
        "filter": {"states": ["failed"], "host": "example.com"},
        "planned": 2,
        "plannedIsMinimum": False,
        "done": 0,
        "refused": 0,
        "now": NOTHING,
        "createdAt": made["createdAt"],
        "startedAt": None,
        "finishedAt": None,
    }
    redelivery.work()
    redelivery.work()
    redelivery.work()
    status, shown = alice.get(f"redeliveries/{made['id']}/")
    assert (status, shown["state"], shown["done"], shown["now"]) == (
        200,
        "finished",
        2,
        NOTHING | {"retrying": 2},
    )
    assert alice.get("redeliveries/")[1]["results"] == [shown]
    sent = Hook.objects.filter(redelivery=job).order_by("pk")
    assert [found.webhook_id for found in sent] == [first.webhook_id, second.webhook_id]


def test_chosen_hooks_are_sent_again(alice: ApiClient, bob: ApiClient, address: None) -> None:
    mine, others = failed(alice), failed(bob)
    failed(alice)
    status, made = alice.post("redeliveries/", {"hooks": [mine.webhook_id, others.webhook_id]})
    assert (status, made["planned"]) == (201, 1)
    redelivery.work()
    assert list(Hook.objects.filter(redelivery=job_of(made))) == [mine]


def test_a_job_is_paused_resumed_and_cancelled(alice: ApiClient, address: None) -> None:
    failed(alice)
    made = alice.post("redeliveries/", {"state": ["failed"]})[1]
    path = f"redeliveries/{made['id']}/"
    assert alice.post(f"{path}pause/", None)[1]["state"] == "paused"
    assert alice.post(f"{path}pause/", None) == (
        409,
        {"error": "The job is paused: there is nothing to pause."},
    )
    assert alice.post(f"{path}resume/", None)[1]["state"] == "running"
    assert alice.post(f"{path}cancel/", None)[1]["state"] == "cancelled"
    assert alice.post(f"{path}resume/", None)[0] == 409
    assert job_of(made).finished_at is not None


def test_nothing_that_fits_makes_no_job(alice: ApiClient, address: None) -> None:
    status, answer = alice.post("redeliveries/", {"state": ["failed"]})
    assert (status, answer["error"]) == (
        409,
        "No matching hook can be resent. It must be finished, still have its body, and have a webhook URL.",
    )
    assert Redelivery.objects.count() == 0


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "Give at least one filter. Without one, every hook would be resent."),
        ({"dryRun": True}, "Give at least one filter. Without one, every hook would be resent."),
        (
            {"state": ["lost"]},
            "state.0: Must be one of: queued, sending, retrying, delivered, failed, skipped, cancelled.",
        ),
        ({"hooks": ["hook_1"]}, "hooks: Must be ids of hooks: hook_…."),
    ],
)
def test_a_wrong_filter_is_refused_in_words(
    alice: ApiClient, address: None, data: dict[str, Any], error: str
) -> None:
    failed(alice)
    status, answer = alice.post("redeliveries/", data)
    assert (status, answer["error"].removesuffix(".")) == (400, error.removesuffix("."))
    assert Redelivery.objects.count() == 0


def test_an_unknown_filter_and_a_strangers_instance_are_refused(
    alice: ApiClient, bob: ApiClient, address: None
) -> None:
    failed(alice)
    assert alice.post("redeliveries/", {"states": ["failed"]})[0] == 400
    assert bob.post("redeliveries/", {"instance": str(alice.instance.number)})[0] == 404
    assert Redelivery.objects.count() == 0


# -- one hook


def test_a_finished_hook_is_sent_again(alice: ApiClient, address: None) -> None:
    made = failed(alice)
    status, answer = alice.post(f"hooks/{made.webhook_id}/resend/", None)
    assert (status, answer["id"], answer["state"]) == (200, made.webhook_id, "retrying")
    assert (answer["attemptsMade"], answer["attemptsAllowed"]) == (1, 2)


def test_a_hook_that_waits_is_tried_skipped_or_cancelled(alice: ApiClient, address: None) -> None:
    later = timezone.now() + timedelta(hours=1)
    waiting = [
        hook(alice, state=State.RETRYING, finished_at=None, attempts_allowed=20, next_attempt_at=later)
        for _ in range(3)
    ]
    tried, passed_over, given_up = (found.webhook_id for found in waiting)
    assert alice.post(f"hooks/{tried}/try-now/", None)[1]["state"] == "retrying"
    due_at = Hook.objects.get(pk=waiting[0].pk).next_attempt_at
    assert due_at is not None and due_at < later
    answer = alice.post(f"hooks/{passed_over}/skip/", None)[1]
    assert (answer["state"], answer["skipReason"], answer["explanation"]) == (
        "skipped",
        SkipReason.BY_HAND,
        "Skipped manually after 1 attempt.",
    )
    assert alice.post(f"hooks/{given_up}/cancel/", None)[1]["state"] == "cancelled"
    for action in ("try-now", "skip", "cancel"):
        assert alice.post(f"hooks/{given_up}/{action}/", None)[0] == 409


def test_a_dropped_body_is_said_and_the_hook_is_not_sent_again(alice: ApiClient, address: None) -> None:
    at = timezone.now()
    made = skipped(alice, body=b"", body_dropped_at=at)
    shown = alice.get(f"hooks/{made.webhook_id}/")[1]
    assert (shown["body"], shown["bodyEncoding"]) == (None, None)
    assert shown["bodyDroppedAt"] == at.isoformat().replace("+00:00", "Z")
    assert alice.post(f"hooks/{made.webhook_id}/resend/", None) == (
        409,
        {"error": "The body was dropped after 7 days, so this hook can't be resent."},
    )


# -- the instance


def test_delivery_is_paused_and_resumed(alice: ApiClient) -> None:
    status, paused = alice.post(f"{alice.home}delivery/pause/", None)
    assert (status, paused["deliveryPauseReason"]) == (200, "by_hand")
    assert paused["deliveryPausedAt"] is not None
    status, resumed = alice.post(f"{alice.home}delivery/resume/", None)
    assert (status, resumed["deliveryPausedAt"], resumed["deliveryPauseReason"]) == (200, None, None)


def test_the_secret_is_rotated(alice: ApiClient) -> None:
    old = alice.instance.endpoint.secret
    status, answer = alice.post(f"{alice.home}webhook-secret/rotate/", {})
    endpoint = Endpoint.objects.get(pk=alice.instance.pk)
    assert (status, answer["webhookSecret"]) == (200, endpoint.secret)
    assert endpoint.valid_secrets() == [endpoint.secret, old]
    until = endpoint.previous_secret_until
    assert until is not None
    assert answer["previousWebhookSecretUntil"] == until.isoformat().replace("+00:00", "Z")
    answer = alice.post(f"{alice.home}webhook-secret/rotate/", {"keepOld": False})[1]
    assert answer["previousWebhookSecretUntil"] is None
