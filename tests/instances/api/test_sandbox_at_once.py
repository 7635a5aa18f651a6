"""A contact's message over REST is one statement in the usual case, and the same as with more in all others."""

import json
import re
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions.keys import KEY_USE_RECORDED_EVERY, revoke_key
from hooks.models import Hook
from instances.actions.lifecycle import create_instance, delete_instance
from instances.actions.stopping import block_account, stop_instance
from instances.api.sandbox import write_at_once
from instances.api.sandbox.message_serializers import NewSandboxMessageSerializer, read_text
from instances.api.throttling import AccountThrottle
from instances.channels.sandbox.actions import contacts
from instances.channels.sandbox.actions.contacts import change_contact
from instances.limits import rate_counters
from instances.models import AccountStatus, Chat, Instance, Message, Substatus
from tests.instances.api.conftest import ApiClient
from tests.odd_values import ODD_TEXTS, ODD_VALUES

ANNA = {"from": "17680561234", "name": "Anna"}


def by_the_view() -> Any:
    """Calls are responded to by the view in any case."""
    return mock.patch.object(write_at_once, "respond_at_once", lambda request, id: None)


def write(client: ApiClient, **fields: Any) -> tuple[int, Any]:
    return client.post(f"{client.home}sandbox/messages/", ANNA | {"body": "hello"} | fields)


def statements(client: ApiClient, **fields: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert write(client, **fields)[0] == 201
    return len(captured)


def test_a_message_of_a_known_contact_is_one_statement(alice: ApiClient) -> None:
    assert statements(alice) > 2  # creates the chat, and records the use of the key
    assert statements(alice) == 1
    change_contact(alice.instance, phone=ANNA["from"], name="Anna K.", read_after=5)
    assert statements(alice, name="Anna K.") == 1
    assert [message.number for message in Message.objects.order_by("number")] == [1, 2, 3]
    assert Hook.objects.filter(kind="message").count() == 3


def set_fields(**fields: Any) -> Callable[[ApiClient], Any]:
    return lambda client: Instance.objects.filter(pk=client.instance.pk).update(**fields)


def set_key(**fields: Any) -> Callable[[ApiClient], Any]:
    return lambda client: client.account.keys.update(**fields)


def change(**fields: Any) -> Callable[[ApiClient], Any]:
    return lambda client: change_contact(client.instance, phone=ANNA["from"], **fields)


SITUATIONS: dict[str, tuple[Callable[[ApiClient], Any], dict[str, Any]]] = {
    "usual": (set_fields(), {}),
    "without a name": (set_fields(), {"name": ""}),
    "a contact without a name": (change(read_after=1), {"name": ""}),
    "a contact with a name": (change(name="Anna K."), {"name": ""}),
    "a contact without an account": (change(has_account=False), {}),
    "a new name": (set_fields(), {"name": "Anna K."}),
    "archived": (lambda client: Chat.objects.update(archived=True), {}),
    "banned": (set_fields(ban_phone_mask="1768.*"), {}),
    "not authenticated": (set_fields(account_status=AccountStatus.GOT_QR_CODE), {}),
    "phone offline": (set_fields(substatus=Substatus.OFFLINE), {}),
    "not paid": (set_fields(paid_until=timezone.now()), {}),
    "stopped": (lambda client: stop_instance(client.instance, reason="test", acting_user=None), {}),
    "blocked": (
        lambda client: block_account(client.account, reason="test", acting_user=client.account.owner),
        {},
    ),
    "deleted": (lambda client: delete_instance(client.instance, acting_user=None), {}),
    "key revoked": (lambda client: revoke_key(client.account.keys.get(), acting_user=None), {}),
    "key expired": (set_key(expires_at=timezone.now()), {}),
    "key without the scope": (set_key(can_send=False), {}),
    "group": (set_fields(), {"chatId": "17680561234-1479621234@g.us"}),
    "image": (set_fields(), {"type": "image", "body": "https://example.com/a.jpg", "caption": "look"}),
    "call": (set_fields(), {"type": "call_log", "body": ""}),
    "wrong sender": (set_fields(), {"from": "12"}),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_has_the_same_response(alice: ApiClient, situation: str) -> None:
    prepare, fields = SITUATIONS[situation]
    assert write(alice)[0] == 201
    first = Message.objects.get()
    prepare(alice)
    at_once = write(alice, **fields)
    with by_the_view():
        as_loaded = write(alice, **fields)
        with mock.patch.object(contacts, "write_at_once", lambda *args, **content: None):
            slowly = write(alice, **fields)
    for _, data in (at_once, as_loaded, slowly):
        for name in ("id", "messageNumber", "time"):
            data.pop(name, None)
    assert at_once == as_loaded == slowly
    recorded = 3 if at_once[0] == 201 else 0
    assert Message.objects.exclude(pk=first.pk).count() == recorded


def test_a_change_between_both_statements_counts(alice: ApiClient) -> None:
    """The instance was loaded when it was linked, and is not any more when the message is recorded."""
    assert write(alice)[0] == 201
    found = contacts.require_linked

    def unlink_after(instance: Instance, consequence: str) -> None:
        found(instance, consequence)
        Instance.objects.filter(pk=instance.pk).update(account_status=AccountStatus.INIT)

    with mock.patch.object(contacts, "require_linked", unlink_after):
        contacts.write_at_once(
            Instance.objects.get(pk=alice.instance.pk), "17680561234@c.us", "Anna", body="late"
        )
    assert not Message.objects.filter(body="late").exists()
    status, error = write(alice)
    assert (status, "not authenticated" in error["error"]) == (409, True)


def test_only_own_instances_are_found(alice: ApiClient, bob: ApiClient) -> None:
    for number in (bob.instance.number, 1, "x", "9" * 10, "9" * 30):
        status, error = alice.post(f"instances/{number}/sandbox/messages/", ANNA | {"body": "hello"})
        assert (status, error) == (404, {"error": f"Your account has no instance {number}."})
    other = create_instance(alice.account)
    assert alice.post(f"instances/{other.number}/sandbox/messages/", ANNA | {"body": "a"})[0] == 409
    assert not Message.objects.exists()


# What each call has of its own.
OWN = re.compile(rb"(?<=_)[0-9A-F]{32}(?=\")|\"time\":[0-9]{10}|\"messageNumber\":[0-9]+")
Shown = tuple[int, bytes, dict[str, str]]


def send(client: ApiClient, body: bytes, content_type: str = "application/json", **headers: str) -> Shown:
    """Returns the status, the body without what is its own, and the headers."""
    response = Client(raise_request_exception=False).generic(
        "POST",
        f"/api/v1/{client.home}sandbox/messages/",
        body,
        content_type=content_type,
        headers={"Authorization": f"Bearer {client.key}", **headers},
    )
    shown = dict(response.headers) | {"Content-Length": ""}
    return response.status_code, OWN.sub(b"", response.content), shown


def both_ways(client: ApiClient, body: bytes, *args: str, **headers: str) -> Shown:
    """The response, which is the same as that of the view."""
    found = send(client, body, *args, **headers)
    with by_the_view():
        assert send(client, body, *args, **headers) == found, body[:200]
    return found


def test_every_odd_value_has_the_response_of_the_view(alice: ApiClient) -> None:
    assert write(alice)[0] == 201
    usual = ANNA | {"type": "chat", "body": "hello"}
    accepted = 0
    for field in usual:
        for value in (*ODD_TEXTS, *ODD_VALUES):
            body = usual | {field: value}
            status, _, _ = both_ways(alice, json.dumps(body).encode())
            accepted += status == 201
    assert accepted > 100


BODIES = (
    b"", b"{}", b"[]", b"null", b'"from"', b"{", b'{"from":', b'{"from":"17680561234","body":"a"}}', b"\xff\xfe",
    b'\xef\xbb\xbf{"from":"17680561234","body":"a"}', b'{"from":"17680561234","body":"\xe9"}',
    b'{"from":"17680561234","body":"a"}\xe2\x82', b'{"from":"17680561234","body":"a\\ud83d\\ude00"}',
    b'{"from":"17680561234","body":"a\\ud83d"}', b'{"from":"17680561234","body":"\\u2028\\u2029\\u0000"}',
    '{"from":"17680561234","body":"\u2028 \u2029 \U0001f600 \\\\ud800 </script>\\"\\u0001"}'.encode(),
    b'{"from":"17680561234","body":"a","body":"b"}', b'{"body":"a"}', b'{"from":"17680561234"}',
    b'{"from":"17680561234","body":NaN}', b'{"from":"17680561234","body":"a","x":1}',
    b' {"from":17680561234,"body":5} ',
    b'{"from":" +1 768 056-12-34 ","name":" Anna ","body":" a "}', b'{"from":"17680561234@c.us","body":"a"}',
    b'{"from":"17680561234-1479621234@g.us","body":"a"}', b'{"from":"17680561234","body":"a","time":1}',
    b'{"from":"17680561234","body":"a","quotedMsgId":"x"}', b'{"from":"17680561234","body":"a","chatId":"17680561234"}',
    json.dumps({"from": "17680561234", "name": "a" * 201, "body": "a"}).encode(),
    json.dumps({"from": "17680561234", "body": "a" * 65_537}).encode(),
    json.dumps({"from": "17680561234", "body": "\u0439" * 32_769}, ensure_ascii=False).encode(),
    b'{"from":"17680561234","body":"' + b"a" * 2 * 1024 * 1024 + b'"}',
)  # fmt: skip


def test_every_odd_body_has_the_response_of_the_view(alice: ApiClient) -> None:
    assert write(alice)[0] == 201
    assert [both_ways(alice, body)[0] for body in BODIES].count(201) == 9


USUAL = b'{"from":"17680561234","name":"Anna","body":"hello"}'


def test_every_odd_head_has_the_response_of_the_view(alice: ApiClient) -> None:
    assert write(alice)[0] == 201
    for content_type in (
        "application/json; charset=utf-8", "application/json;charset=iso-8859-1", "application/json; charset=utf-16",
        "text/plain", "application/x-www-form-urlencoded", "APPLICATION/JSON", "application/json; x=y", "",
    ):  # fmt: skip
        both_ways(alice, USUAL, content_type)
    heads: tuple[dict[str, str], ...] = (
        {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "text/html"}, {"Accept": "a"}, {"Accept": ""},
        {"Authorization": alice.key}, {"Authorization": f"bearer {alice.key}"}, {"Authorization": "Bearer "},
        {"Authorization": f"Bearer  {alice.key} "}, {"Authorization": f"Token {alice.key}"}, {"Authorization": ""},
        {"Authorization": f"Bearer {alice.key}x"}, {"webhook-id": "hook_1"}, {"Content-Length": "x"},
        {"X-HTTP-Method-Override": "GET"},
    )  # fmt: skip
    for head in heads:
        both_ways(alice, USUAL, **head)


def test_each_call_counts_once(alice: ApiClient, monkeypatch: pytest.MonkeyPatch, same_minute: None) -> None:
    monkeypatch.setattr(AccountThrottle, "THROTTLE_RATES", {"account": "4/min"})
    rate_counters.reset()
    assert write(alice)[0] == 201  # by the view
    assert write(alice, name="Anna K.")[0] == 201  # by the view, after the statement
    assert write(alice, name="Anna K.")[0] == 201
    assert write(alice, body="")[0] == 400
    assert [write(alice)[0] for _ in range(2)] == [429, 429]
    assert both_ways(alice, USUAL)[1] == both_ways(alice, USUAL)[1]
    assert Message.objects.count() == 3


def test_an_error_of_the_database_has_the_response_of_the_view_and_is_not_repeated(
    alice: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert write(alice)[0] == 201
    failing = mock.Mock(side_effect=OperationalError("the connection is lost"))
    with mock.patch.object(write_at_once, "write_text", failing):
        found = send(alice, USUAL)
    assert failing.call_count == 1
    with by_the_view(), mock.patch.object(contacts, "write_at_once", failing):
        assert send(alice, USUAL) == found
    assert found[0] == 500
    assert Message.objects.count() == 1


def test_the_use_of_a_key_is_recorded_each_minute(alice: ApiClient) -> None:
    assert write(alice)[0] == 201
    key = alice.account.keys.get()
    long_ago = timezone.now() - KEY_USE_RECORDED_EVERY
    type(key).objects.update(last_used_at=long_ago)
    assert write(alice)[0] == 201
    key.refresh_from_db()
    assert key.last_used_at is not None and key.last_used_at > long_ago


@pytest.mark.parametrize("value", [*ODD_TEXTS, "hello", " a "])
def test_values_are_read_as_by_the_serializer(value: str) -> None:
    for field in ("from", "name", "body"):
        data = ANNA | {"body": "hello"} | {field: value}
        serializer = NewSandboxMessageSerializer(data=data)
        assert read_text(data) == (serializer.validated_data if serializer.is_valid() else None)
