"""`instanceStatuses`, `webhookStatus`, `repeatHook` (contract.md §2)."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry
from hooks.actions.endpoints import configure
from hooks.models import Hook, HookQuerySet, Kind, SkipReason, State
from instances import tasks
from instances.actions.lifecycle import create_instance, link_sandbox
from instances.actions.messages import receive_message
from instances.actions.session import log_out
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import Instance, Message, StatusChange
from tests.instances.contract.conftest import Call

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def flapping(instance: Instance) -> Instance:
    """The phone disconnects and reconnects every ten seconds; the history is on."""
    change_settings(instance, changes={"instanceStatuses": True})
    with time_machine.travel(START, tick=False) as clock:
        for substatus in ("phone", "normal", "phone", "normal"):
            change_status(instance, substatus=substatus)
            clock.shift(10)
        change_status(instance, account_status="loading", reason="conflict")
    return instance


def test_instance_statuses_are_kept_in_their_order(get: Call, flapping: Instance) -> None:
    assert get("instanceStatuses") == {
        "data": [
            {"date": "2030-01-01T00:00:00Z", "status": "phone"},
            {"date": "2030-01-01T00:00:10Z", "status": "authenticated"},
            {"date": "2030-01-01T00:00:20Z", "status": "phone"},
            {"date": "2030-01-01T00:00:30Z", "status": "authenticated"},
            {"date": "2030-01-01T00:00:40Z", "status": "loading"},
        ]
    }


def test_instance_statuses_of_a_time(get: Call, flapping: Instance) -> None:
    first = int(START.timestamp())
    found = get("instanceStatuses", min_time=first + 10, max_time=first + 20)["data"]
    assert [change["date"] for change in found] == ["2030-01-01T00:00:10Z", "2030-01-01T00:00:20Z"]


def test_instance_statuses_of_one_moment_keep_their_order(get: Call, instance: Instance) -> None:
    change_settings(instance, changes={"instanceStatuses": True})
    with time_machine.travel(START, tick=False):
        log_out(instance)
        link_sandbox(instance)
    assert [change["status"] for change in get("instanceStatuses")["data"]] == [
        "got qr code",
        "loading",
        "authenticated",
    ]


def test_statuses_leave_the_history_with_the_delivery_log(get: Call, flapping: Instance) -> None:
    with time_machine.travel(START + timedelta(days=30, seconds=15), tick=False):
        assert tasks.drop_old_statuses() == "2 dropped"
    assert [change["status"] for change in get("instanceStatuses")["data"]] == [
        "phone",
        "authenticated",
        "loading",
    ]


def test_instance_statuses_need_the_flag(client: Client, instance: Instance) -> None:
    response = client.get("/instance12345/instanceStatuses?token=secret")
    assert (response.status_code, response.json()) == (
        200,
        {
            "data": [],
            "message": "instanceStatuses is off. Switch it on in settings; the history starts then.",
        },
    )


def test_without_the_flag_nothing_is_kept(instance: Instance) -> None:
    log_out(instance)
    assert not StatusChange.objects.exists()


@pytest.fixture
def message(instance: Instance) -> Message:
    """A received message whose hook is queued; webhookStatuses is on."""
    change_settings(instance, changes={"webhookStatuses": True, "webhookUrl": "https://example.com/hook"})
    return receive_message(instance, sender="17680561234", body="hello")


def hooks() -> HookQuerySet:
    """The hooks of messages. The new chat has a hook too."""
    return Hook.objects.filter(kind=Kind.MESSAGE)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.QUEUED, "queued"),
        (State.SENDING, "queued"),
        (State.RETRYING, "queued"),
        (State.DELIVERED, "sent"),
        (State.FAILED, "not sent"),
        (State.CANCELLED, "not sent"),
    ],
)
def test_webhook_status(get: Call, message: Message, state: State, word: str) -> None:
    over = state in (State.DELIVERED, State.FAILED, State.CANCELLED)
    hooks().update(
        state=state,
        created_at=START,
        finished_at=START + timedelta(seconds=3) if over else None,
        lease_until=START if state == State.SENDING else None,
    )
    assert get("webhookStatus", msgId=message.message_id) == {
        "msgId": message.message_id,
        "time": 1893456003 if over else 1893456000,
        "status": word,
    }


def test_webhook_status_of_a_hook_that_was_skipped(get: Call, instance: Instance) -> None:
    change_settings(instance, changes={"webhookStatuses": True})
    message = receive_message(instance, sender="17680561234", body="hello")
    assert get("webhookStatus", msgId=message.message_id)["status"] == "not sent"


def test_webhook_status_is_about_the_message_and_not_its_acks_or_simulations(
    get: Call, instance: Instance, message: Message
) -> None:
    finished = {"state": State.DELIVERED, "finished_at": timezone.now()}
    for more in ({"kind": Kind.ACK}, {"kind": Kind.MESSAGE, "simulated": True}):
        Hook.objects.create(
            endpoint_id=instance.pk, body=b"{}", message=message.message_id, **finished, **more
        )
    assert get("webhookStatus", msgId=message.message_id)["status"] == "queued"


def test_webhook_status_needs_the_flag(client: Client, instance: Instance) -> None:
    response = client.get("/instance12345/webhookStatus?token=secret&msgId=x")
    assert (response.status_code, response.json()) == (
        200,
        {
            "msgId": "x",
            "time": None,
            "status": None,
            "message": "webhookStatuses is off. Switch it on in settings; the history starts then.",
        },
    )


@pytest.mark.parametrize("message_id", ["", "false_1@c.us_AB"])
def test_webhook_status_of_an_unknown_message(client: Client, message: Message, message_id: str) -> None:
    response = client.get(f"/instance12345/webhookStatus?token=secret&msgId={message_id}")
    assert (response.status_code, response.json()) == (
        404,
        {"error": "No hook was found for this `msgId`."},
    )


def test_webhook_status_of_another_instances_message(client: Client, message: Message) -> None:
    other = create_instance(message.instance.owner)
    change_settings(other, changes={"webhookStatuses": True})
    address = f"/instance{other.number}/webhookStatus?token={other.token}&msgId={message.message_id}"
    assert client.get(address).status_code == 404


def test_repeat_hook_queues_it_again_under_its_old_id(post: Call, message: Message) -> None:
    hooks().update(state=State.FAILED, finished_at=timezone.now(), attempts_made=1)
    before = hooks().get()
    assert post("repeatHook", messageId=message.message_id) == {
        "success": True,
        "message": "The hook is queued.",
        "messageId": message.message_id,
    }
    hook = hooks().get()
    assert (hook.state, hook.webhook_id, hook.attempts_allowed) == (State.RETRYING, before.webhook_id, 2)


def test_repeat_hook_of_one_that_was_skipped(post: Call, instance: Instance, message: Message) -> None:
    hooks().update(state=State.SKIPPED, skip_reason=SkipReason.NO_ADDRESS, finished_at=timezone.now())
    assert post("repeatHook", messageId=message.message_id)["success"] is True
    assert hooks().get().state == State.RETRYING


def test_repeat_hook_of_one_that_waits_for_a_retry_goes_at_once(post: Call, message: Message) -> None:
    hooks().update(
        state=State.RETRYING, next_attempt_at=timezone.now() + timedelta(hours=1), attempts_allowed=20
    )
    assert post("repeatHook", messageId=message.message_id)["success"] is True
    due_at = hooks().get().next_attempt_at
    assert due_at is not None and due_at <= timezone.now()


def test_repeat_hook_of_one_that_is_queued_leaves_it_there(post: Call, message: Message) -> None:
    assert post("repeatHook", messageId=message.message_id)["success"] is True
    assert hooks().get().state == State.QUEUED


def test_repeat_hook_that_cannot_be_repeated_says_why(
    post: Call, instance: Instance, message: Message
) -> None:
    assert post("repeatHook") == {
        "success": False,
        "message": "No hook was found for this `messageId`.",
    }
    hooks().update(state=State.FAILED, finished_at=timezone.now(), attempts_made=1)
    configure(instance.endpoint, url="")
    assert post("repeatHook", messageId=message.message_id) == {
        "success": False,
        "message": "The instance has no webhook URL. Set one first.",
    }
    assert hooks().get().state == State.FAILED


def test_repeat_hook_is_told_in_the_trail_as_done_by_a_token(
    post: Call, instance: Instance, message: Message
) -> None:
    hooks().update(state=State.FAILED, finished_at=timezone.now(), attempts_made=1)
    post("repeatHook", messageId=message.message_id)
    hooks().update(
        state=State.RETRYING, next_attempt_at=timezone.now() + timedelta(hours=1), attempts_allowed=20
    )
    post("repeatHook", messageId=message.message_id)
    told = AuditEntry.objects.filter(action__startswith="hook.").order_by("pk")
    assert [(one.action, one.actor, one.account, one.detail) for one in told] == [
        ("hook.resent", None, instance.owner, {"hook": hooks().get().webhook_id}),
        ("hook.tried_now", None, instance.owner, {"hook": hooks().get().webhook_id}),
    ]
