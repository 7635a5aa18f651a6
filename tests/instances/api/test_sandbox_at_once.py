"""A contact's message over REST is two statements in the usual case, and the same as with more in all others."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions.keys import rotate_key
from hooks.models import Hook
from instances.actions.lifecycle import create_instance, delete_instance
from instances.actions.stopping import block_account, stop_instance
from instances.channels.sandbox.actions import contacts
from instances.channels.sandbox.actions.contacts import change_contact
from instances.models import AccountStatus, Chat, Instance, Message, Substatus
from tests.instances.api.conftest import ApiClient

ANNA = {"from": "17680561234", "name": "Anna"}


def write(client: ApiClient, **fields: Any) -> tuple[int, Any]:
    return client.post(f"{client.home}sandbox/messages/", ANNA | {"body": "hello"} | fields)


def statements(client: ApiClient, **fields: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert write(client, **fields)[0] == 201
    return len(captured)


def test_a_message_of_a_known_contact_is_two_statements(alice: ApiClient) -> None:
    assert statements(alice) > 2  # creates the chat, and records the use of the key
    assert statements(alice) == 2
    change_contact(alice.instance, phone=ANNA["from"], name="Anna K.", read_after=5)
    assert statements(alice, name="Anna K.") == 2
    assert [message.number for message in Message.objects.order_by("number")] == [1, 2, 3]
    assert Hook.objects.filter(kind="message").count() == 3


def set_fields(**fields: Any) -> Callable[[ApiClient], Any]:
    return lambda client: Instance.objects.filter(pk=client.instance.pk).update(**fields)


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
    "key revoked": (lambda client: rotate_key(client.account, acting_user=client.account.owner), {}),
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
    with mock.patch.object(contacts, "write_at_once", lambda *args, **content: None):
        slowly = write(alice, **fields)
    for _, data in (at_once, slowly):
        for name in ("id", "messageNumber", "time"):
            data.pop(name, None)
    assert at_once == slowly
    recorded = 2 if at_once[0] == 201 else 0
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
