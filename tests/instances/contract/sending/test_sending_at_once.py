"""A sendMessage that is one statement responds and queues as one that loads its instance first."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.forms.models import model_to_dict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from hooks.wakeups import notifier
from instances.actions.lifecycle import delete_instance, rotate_token
from instances.actions.sending.accept import QUEUE_LIMIT, TEXT_LIMIT
from instances.actions.stopping import block_account, stop_instance
from instances.limits import login_throttle, rate_counters
from instances.models import AccountStatus, Instance, OutgoingMessage, OutgoingQueue, Substatus

PHONE, GROUP = "17680561234", "17680561234-1479621234@g.us"
URL = "/instance12345/sendMessage?token=secret"
# What differs between two messages.
OWN = ("id", "queueNumber")


def send(client: Client, body: Any, url: str = URL) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(url, text, content_type="application/json")
    return response.status_code, response.json()


def remember_token(client: Client) -> None:
    """The token was right in this process, so that the next call may be one statement."""
    assert client.get("/instance12345/status?token=secret").status_code == 200


def test_a_text_is_one_statement(instance: Instance, client: Client) -> None:
    numbers = []
    for text in ("the first call with this token", "the second"):
        with CaptureQueriesContext(connection) as captured:
            send(client, {"phone": PHONE, "body": text})
        numbers.append(len(captured))
    assert numbers == [2, 1]


def test_the_queue_has_the_same_row(instance: Instance, client: Client) -> None:
    _, first = send(client, {"phone": PHONE, "body": "50 % of 'it'\nКраков"})
    _, second = send(client, {"phone": PHONE, "body": "50 % of 'it'\nКраков"})
    assert second | {key: first[key] for key in OWN} == first
    assert list(second) == list(first)
    assert second["queueNumber"] == first["queueNumber"] + 1
    rows = [model_to_dict(row) for row in OutgoingMessage.objects.order_by("queue_number")]
    differing = {"id", "queue_number", "message_id", "created_at"}
    assert [rows[0][name] for name in rows[0].keys() - differing] == [
        rows[1][name] for name in rows[0].keys() - differing
    ]
    assert [row["message_id"] for row in rows] == [first["id"], second["id"]]
    assert abs((rows[1]["created_at"] - timezone.now()).total_seconds()) < 60
    queue = OutgoingQueue.objects.get(instance=instance)
    assert (queue.length, queue.last_number) == (2, second["queueNumber"])


def test_the_senders_are_woken(
    instance: Instance,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    woken: list[tuple[str, str]] = []
    remember_token(client)
    monkeypatch.setattr(notifier, "add", lambda *given: woken.append(given))
    with django_capture_on_commit_callbacks(execute=True):
        send(client, {"phone": PHONE, "body": "hello"})
    assert woken == [("outgoing", str(instance.pk))]


def set_fields(**fields: Any) -> Callable[[Instance], Any]:
    return lambda instance: Instance.objects.filter(pk=instance.pk).update(**fields)


def fill_queue(instance: Instance) -> None:
    OutgoingQueue.objects.filter(instance=instance).update(length=QUEUE_LIMIT)


TEXT = {"phone": PHONE, "body": "hello"}
SITUATIONS: dict[str, tuple[Callable[[Instance], Any], Any]] = {
    "usual": (set_fields(), TEXT),
    "not authenticated": (set_fields(account_status=AccountStatus.GOT_QR_CODE), TEXT),
    "loading": (set_fields(account_status=AccountStatus.LOADING), TEXT),
    "phone offline": (set_fields(substatus=Substatus.PHONE), TEXT),
    "not paid": (set_fields(paid_until=datetime(2020, 1, 1, tzinfo=UTC)), TEXT),
    "stopped": (lambda instance: stop_instance(instance, reason="test", acting_user=None), TEXT),
    "blocked": (
        lambda instance: block_account(instance.owner, reason="test", acting_user=instance.owner.owner),
        TEXT,
    ),
    "deleted": (lambda instance: delete_instance(instance, acting_user=None), TEXT),
    "token rotated": (lambda instance: rotate_token(instance, acting_user=None), TEXT),
    "queue full": (fill_queue, TEXT),
    "longest text": (set_fields(), {"phone": PHONE, "body": "a" * TEXT_LIMIT}),
    "text too long in bytes": (set_fields(), {"phone": PHONE, "body": "й" * (TEXT_LIMIT // 2 + 1)}),
    "text too long": (set_fields(), {"phone": PHONE, "body": "a" * (TEXT_LIMIT + 1)}),
    "empty text": (set_fields(), {"phone": PHONE, "body": " "}),
    "wrong phone": (set_fields(), {"phone": "123", "body": "hello"}),
    "no phone": (set_fields(), {"body": "hello"}),
    "group": (set_fields(), {"chatId": GROUP, "body": "hello"}),
    "mention": (set_fields(), {"phone": PHONE, "body": "hello", "mentionedPhones": [PHONE]}),
    "unknown quote": (set_fields(), TEXT | {"quotedMsgId": "true_1@c.us_1"}),
    "array as text": (set_fields(), {"phone": PHONE, "body": ["a", "b"]}),
    "NUL": (set_fields(), {"phone": PHONE, "body": "a\0b"}),
    "lone surrogate": (set_fields(), b'{"phone":"17680561234","body":"a\\ud800b"}'),
    "not JSON": (set_fields(), b'{"phone":'),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_has_the_response_of_a_first_call(
    instance: Instance, client: Client, situation: str
) -> None:
    change, body = SITUATIONS[situation]
    remember_token(client)
    change(instance)
    later = send(client, body)
    login_throttle.reset()
    first = send(client, body)
    for _, data in (first, later):
        for key in OWN:
            data.pop(key, None)
    assert later == first
    stored = list(OutgoingMessage.objects.values_list("chat_id", "body", "metadata", "type"))
    assert len(stored) == (2 if first[1].get("sent") else 0)
    assert len(set(map(str, stored))) <= 1


def test_a_number_that_no_instance_can_have(client: Client, db: None) -> None:
    login_throttle.record_success("9999999999", "secret")
    status, error = send(client, TEXT, "/instance9999999999/sendMessage?token=secret")
    assert (status, error) == (404, {"error": "Instance not found"})


def test_each_call_counts_once(
    instance: Instance, client: Client, settings: Settings, same_minute: None
) -> None:
    settings.CONTRACT_CALLS_PER_MINUTE = 4
    remember_token(client)
    fill_queue(instance)  # so that the call is repeated in the usual way
    assert send(client, TEXT)[1]["sent"] is False
    OutgoingQueue.objects.filter(instance=instance).update(length=0)
    assert [send(client, TEXT)[0] for _ in range(3)] == [200, 200, 429]
    assert OutgoingMessage.objects.count() == 2


def test_an_old_token_does_not_use_up_the_calls_of_an_instance(
    instance: Instance, client: Client, same_minute: None
) -> None:
    remember_token(client)
    rotate_token(instance, acting_user=None)
    assert [send(client, TEXT)[0] for _ in range(5)] == [401] * 5
    assert rate_counters.count("instance", instance.number) <= 2  # of the status, and of the first wrong one
