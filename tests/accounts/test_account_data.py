"""The export of an account's data, complete and without secrets, and the deletion of an account."""

import json

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from accounts.actions.keys import issue_key
from accounts.actions.users import sign_up
from accounts.models import Account, AccountKey, Invitation, Member, Payment, User
from hooks.maintenance import deleted_instances
from hooks.models import Endpoint, Hook
from instances.actions import deleted_data
from instances.actions.lifecycle import record_payment
from instances.actions.messages import receive_message
from instances.models import Instance, Message
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Bin, Capture
from tests.factories import InstanceFactory, member_of
from tests.sessions import forget_password

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"


@pytest.fixture
def alice() -> Account:
    return sign_up("alice@example.org", password=PASSWORD, name="Shop")


@pytest.fixture
def instance(alice: Account) -> Instance:
    """With a message, its hooks, a bin, a payment, a key and a member."""
    made = InstanceFactory(owner=alice, name="Support", url="https://example.com/hook")
    receive_message(made, sender="17680561234", body="hello")
    record_payment(made, days=30, amount=19, acting_user=alice.owner)
    capture_actions.capture(bin_actions.open_bin(made).key, method="POST", body=b"{}")
    issue_key(alice, acting_user=alice.owner)
    member_of(alice, "viewer", "vera@example.org")
    return made


@pytest.fixture
def client(alice: Account) -> Client:
    """Signed in, and has shown the password just now."""
    client = Client()
    client.force_login(alice.owner)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def test_the_export_contains_all_data_of_the_account(client: Client, instance: Instance) -> None:
    response = client.get(reverse("account-export"))

    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    data = json.loads(text)
    (only,) = data["instances"]
    assert response["Content-Disposition"].startswith('attachment; filename="chat-api-')
    assert (data["account"]["email"], data["account"]["name"]) == ("alice@example.org", "Shop")
    assert [(row["days"], row["amount"]) for row in data["payments"]] == [(30, "19.00")]
    assert [(row["user__email"], row["role"]) for row in data["members"]] == [("vera@example.org", "viewer")]
    assert len(data["keys"]) == 1
    assert (only["number"], only["settings"]["webhookUrl"]) == (instance.number, "https://example.com/hook")
    assert [chat["chat_id"] for chat in only["chats"]] == ["17680561234@c.us"]
    assert [message["body"] for message in only["messages"]] == ["hello"]
    assert len(only["hooks"]) == Hook.objects.count() > 0
    assert [capture["method"] for capture in only["captures"]] == ["POST"]


def test_the_export_contains_no_secret(client: Client, instance: Instance) -> None:
    text = b"".join(client.get(reverse("account-export")).streaming_content).decode()  # type: ignore[attr-defined]

    for secret in (
        instance.token,
        instance.endpoint.secret,
        AccountKey.objects.get().digest,
        User.objects.get(email="alice@example.org").password,
    ):
        assert secret not in text


def test_export_of_an_empty_account(client: Client) -> None:
    text = b"".join(client.get(reverse("account-export")).streaming_content)  # type: ignore[attr-defined]

    assert json.loads(text)["instances"] == []


def test_the_export_is_streamed(client: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatapi.account_data.contents.ROWS_PER_QUERY", 2)
    for number in range(5):
        receive_message(instance, sender="17680561234", body=f"no. {number}")

    text = b"".join(client.get(reverse("account-export")).streaming_content)  # type: ignore[attr-defined]

    (only,) = json.loads(text)["instances"]
    assert [message["body"] for message in only["messages"]] == [
        "hello",
        *(f"no. {number}" for number in range(5)),
    ]


@pytest.mark.parametrize("name", ["account-export", "account-delete"])
def test_requires_the_password_again(alice: Account, name: str) -> None:
    client = Client()
    client.force_login(alice.owner)
    forget_password(client)

    asked = client.get(reverse(name))
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    shown = client.post(asked["Location"], {"password": PASSWORD})

    assert shown["Location"] == reverse(name)
    assert client.get(reverse(name)).status_code == 200


def test_the_page_lists_what_is_deleted(client: Client, instance: Instance) -> None:
    page = client.get(reverse("account-delete")).content.decode()

    for words in ("1 instance</b>", "the record of 1 payment</b>", "the access of 1 member</b>"):
        assert words in page


@pytest.mark.parametrize("typed", ["", "bob@example.org", "alice"])
def test_a_wrong_address_deletes_nothing(client: Client, instance: Instance, typed: str) -> None:
    page = client.post(reverse("account-delete"), {"email": typed}).content.decode()

    assert "to delete the account." in page
    assert (Account.objects.filter(name="Shop").count(), Instance.objects.count()) == (1, 1)


def test_deletion_removes_all_data_of_the_account(client: Client, instance: Instance) -> None:
    bob = InstanceFactory()

    page = client.post(reverse("account-delete"), {"email": " Alice@Example.org "}, follow=True)

    assert "Your account and everything in it is deleted." in page.content.decode()
    assert not User.objects.filter(email="alice@example.org").exists()
    assert list(Instance.objects.all()) == [bob]
    assert list(Endpoint.objects.all()) == [bob.endpoint]
    deleted_instances.drop()  # what the background does soon
    deleted_data.drop()
    for table in (Message, Hook, Bin, Capture, Payment, AccountKey, Member, Invitation):
        assert not table.objects.exists(), table
    assert User.objects.filter(email="vera@example.org").exists()  # a member keeps their own account


def test_deletion_ends_all_sessions(client: Client, alice: Account) -> None:
    elsewhere = Client()
    elsewhere.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
    elsewhere.get(reverse("accounts:account"))

    client.post(reverse("account-delete"), {"email": "alice@example.org"})

    assert elsewhere.get(reverse("accounts:account")).status_code == 302
    assert not Session.objects.filter(session_key=elsewhere.session.session_key).exists()


def test_the_address_can_be_used_again(client: Client, alice: Account) -> None:
    client.post(reverse("account-delete"), {"email": "alice@example.org"})

    assert sign_up("alice@example.org", password=PASSWORD).pk != alice.pk
