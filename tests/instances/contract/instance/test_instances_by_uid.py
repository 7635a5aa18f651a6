"""`newInstance`, `listInstances`, `deleteInstance`, `cleanInstance`, all by `uid` (contract.md §2)."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.actions.keys import issue_key, revoke_key
from hooks.models import Hook
from instances.actions.bans import change_bans
from instances.actions.lifecycle import link_sandbox, record_payment
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.settings import change_settings
from instances.channels import CHANNELS
from instances.models import (
    Channel,
    Chat,
    Instance,
    Label,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    StatusChange,
)
from tests.factories import AccountFactory, InstanceFactory, member_of

WRONG_UID = {"error": "Wrong uid. Please provide the key of your account as uid."}
NO_INSTANCE = {"error": "Instance not found"}


@pytest.fixture
def uid(instance: Instance) -> str:
    """The key of alice's account."""
    return issue_key(instance.owner, acting_user=None)[1]


@pytest.mark.parametrize("kind", ["sandbox", "Sandbox", "whatsapp", "0", ""])
def test_new_instance(client: Client, uid: str, instance: Instance, kind: str) -> None:
    response = client.get(f"/newInstance?uid={uid}&type={kind}")
    made = Instance.objects.exclude(pk=instance.pk).get()
    assert (response.status_code, response.json()) == (
        200,
        {
            "result": {
                "status": "created",
                "instance": {"id": str(made.number), "apiUrl": made.api_url, "token": made.token},
            }
        },
    )
    assert made.owner == instance.owner
    status = client.get(f"/instance{made.number}/status?token={made.token}").json()
    assert status["accountStatus"] == "got qr code"


def test_new_instance_of_an_unknown_type(client: Client, uid: str) -> None:
    offered = ", ".join(CHANNELS)
    for type in ("pigeon", *(set(Channel.values) - set(CHANNELS))):
        response = client.get(f"/newInstance?uid={uid}&type={type}")
        assert (response.status_code, response.json()) == (
            400,
            {"error": f"`type` must be one of: {offered}."},
        )
    assert Instance.objects.count() == 1


def test_list_instances(client: Client, uid: str, instance: Instance) -> None:
    record_payment(instance, days=1)
    paid_until = datetime(2040, 1, 1, tzinfo=UTC)
    Instance.objects.update(name="Shop", paid_until=paid_until)
    assert client.get(f"/listInstances?uid={uid}").json() == {
        "result": [
            {
                "id": "12345",
                "name": "Shop",
                "apiUrl": instance.api_url,
                "type": "sandbox",
                "stopped": False,
                "paymentsCount": 1,
                "paidTill": 2208988800,
            }
        ]
    }


def test_list_instances_shows_the_accounts_alone(client: Client, uid: str, instance: Instance) -> None:
    bobs = InstanceFactory(owner__email="bob@example.org")
    alice = instance.owner.owner
    joined = member_of(bobs.owner, "manager", "second@example.org")
    assert client.get(f"/listInstances?uid={uid}").json()["result"][0]["id"] == "12345"
    members_key = issue_key(joined.account, acting_user=None)[1]
    assert client.get(f"/listInstances?uid={members_key}").json() == {"result": []}
    assert alice.account == instance.owner


@pytest.mark.parametrize("where", ["query", "post query", "json", "form", "multipart", "bearer", "path"])
def test_the_arguments_stand_anywhere(client: Client, uid: str, instance: Instance, where: str) -> None:
    given = {"uid": uid, "instanceId": "12345"}
    ask = {
        "query": lambda: client.get("/deleteInstance", given),
        "post query": lambda: client.post(f"/deleteInstance?uid={uid}&instanceId=12345"),
        "json": lambda: client.post("/deleteInstance", given, content_type="application/json"),
        "form": lambda: client.generic(
            "POST",
            "/",
            f"UID={uid}&instanceID=12345".encode(),
            "application/x-www-form-urlencoded",
            PATH_INFO="//deleteInstance//",
        ),
        "multipart": lambda: client.post("/deleteInstance/", given),
        "bearer": lambda: client.get(
            "/deleteInstance?instanceId=12345", headers={"Authorization": f"Bearer {uid}"}
        ),
        "path": lambda: client.get(f"/instance12345/deleteInstance?uid={uid}"),
    }[where]
    response = ask()
    assert (response.status_code, response.json()) == (200, {"result": {"status": "deleted"}})
    assert not Instance.objects.exists()


def test_clean_instance(client: Client, uid: str, instance: Instance) -> None:
    change_settings(instance, changes={"instanceStatuses": True, "sendDelay": 7})
    receive_message(instance, sender="17680561234", body="hello")
    send_message(instance, chat_id="17680561234", body="hello")
    change_bans(instance, mask="^999")
    response = client.post(f"/cleanInstance?uid={uid}&instanceId=12345")
    assert (response.status_code, response.json()) == (200, {"result": {"status": "cleaned"}})
    for model in (Message, Chat, Label, OutgoingMessage, StatusChange):
        assert not model.objects.exists()
    assert OutgoingQueue.objects.get().length == 0
    hooks = Hook.objects.count()
    assert hooks > 0  # the delivery log stays
    instance.refresh_from_db()
    assert (instance.account_status, instance.token, instance.send_delay) == ("got qr code", "secret", 7)
    link_sandbox(instance)
    assert receive_message(instance, sender="17680561234", body="again").number == 2


@pytest.mark.parametrize("method", ["newInstance", "listInstances", "deleteInstance", "cleanInstance"])
@pytest.mark.parametrize("given", ["uid=wrong", "uid=", "", "token=secret", "uid=uid_%00%ff"])
def test_a_wrong_uid_is_a_401_in_json(client: Client, uid: str, method: str, given: str) -> None:
    for verb in ("GET", "POST"):
        response = client.generic(verb, f"/{method}?instanceId=12345&{given}")
        assert (response.status_code, response.json()) == (401, WRONG_UID)
    assert Instance.objects.count() == 1


def test_a_key_that_was_revoked_is_wrong(client: Client, uid: str, instance: Instance) -> None:
    revoke_key(instance.owner.keys.get(), acting_user=instance.owner.owner)
    assert client.get(f"/listInstances?uid={uid}").json() == WRONG_UID


@pytest.mark.parametrize("method", ["deleteInstance", "cleanInstance"])
@pytest.mark.parametrize("number", ["99999", "777", "", "abc", "1" * 50])
def test_an_instance_of_nobody_or_of_somebody_else(
    client: Client, uid: str, method: str, number: str
) -> None:
    stranger = AccountFactory(email="bob@example.org")
    theirs = InstanceFactory(owner=stranger, number=777)
    receive_message(theirs, sender="17680561234", body="hello")
    response = client.post(f"/{method}?uid={uid}&instanceId={number}")
    assert (response.status_code, response.json()) == (404, NO_INSTANCE)
    assert (Instance.objects.count(), Message.objects.count()) == (2, 1)


@pytest.mark.usefixtures("same_minute")
def test_too_many_calls_with_a_uid(client: Client, uid: str, settings: Settings) -> None:
    settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE = 2
    answers = [client.get(f"/newInstance?uid={uid}") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert Instance.objects.count() == 3
