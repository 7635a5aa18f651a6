"""Trials: a new instance says from its first minute when it ends; with the embedded database it never does."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import time_machine
from django.test import Client

from accounts.actions import keys
from accounts.models import Account
from chatapi.account_data.export import instance_json
from instances.actions.lifecycle import create_instance, end_expiry, record_payment
from instances.models import NEVER, Instance
from tests.factories import AccountFactory, InstanceFactory, UserFactory
from tests.product import Product

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def noon() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def account() -> Account:
    return AccountFactory(email="alice@example.org")


@pytest.fixture
def alice(account: Account) -> Client:
    client = Client()
    client.force_login(account.owner)
    return client


def text_of(client: Client, url: str) -> str:
    page = re.sub(r"<[^>]+>", " ", client.get(url).text)
    return re.sub(r"\s+", " ", page)


def rest(account: Account, number: int) -> Any:
    _, uid = keys.issue_key(account, acting_user=None)
    headers: Any = {"Authorization": f"Bearer {uid}"}
    return Client().get(f"/api/v1/instances/{number}/", headers=headers).json()


def test_a_new_instance_shows_its_trial_in_amber_with_the_date(account: Account, alice: Client) -> None:
    instance = create_instance(account, name="Shop")
    for url in ("/instances/", instance.get_absolute_url()):
        assert "Trial until 1 Dec 2026" in text_of(alice, url)
        assert re.search(r'class="\s*text-orange\s*"\s*>\s*Trial until', alice.get(url).text)
    banner = (
        "This instance is on trial until 1 Dec 2026, 12:00 UTC . Then its messages, hooks and simulations stop. "
        "To keep it working, ask the administrator of this site to record a payment."
    )
    for url in (instance.get_absolute_url(), f"{instance.get_absolute_url()}setup/"):
        assert banner in text_of(alice, url)
    shown = rest(account, instance.number)
    assert (shown["paidUntil"], shown["trial"]) == ("2026-12-01T12:00:00Z", True)


def test_an_ended_trial(account: Account, alice: Client, noon: Any) -> None:
    instance = create_instance(account, name="Shop")
    noon.move_to(NOON + timedelta(days=3))
    alice.force_login(account.owner)
    page = text_of(alice, instance.get_absolute_url())
    assert "Trial ended 1 Dec 2026" in page
    assert (
        "The trial of this instance has ended: messages, hooks and simulations are stopped. "
        "Ask the administrator of this site to record a payment." in page
    )
    assert "This instance is on trial" not in page
    assert "not paid" not in page
    assert "You cannot send messages: the trial of this instance has ended." in text_of(
        alice, f"/testing/sending/?instance={instance.number}"
    )
    assert "The trial of this instance has ended : messages, hooks" in text_of(
        alice, f"/testing/simulation/?instance={instance.number}"
    )


def test_a_payment_ends_the_trial(account: Account, alice: Client) -> None:
    instance = create_instance(account, name="Shop")
    record_payment(instance, days=30)
    page = text_of(alice, instance.get_absolute_url())
    assert "Paid until 31 Dec 2026" in page
    assert "rial until" not in page
    shown = rest(account, instance.number)
    assert (shown["paidUntil"], shown["trial"]) == ("2026-12-31T12:00:00Z", False)


class TestEmbeddedDatabase:
    """`INSTANCES_EXPIRE` is off."""

    @pytest.fixture(autouse=True)
    def embedded(self, settings: Any) -> None:
        settings.INSTANCES_EXPIRE = False

    def test_an_instance_does_not_expire(self, account: Account, alice: Client) -> None:
        instance = create_instance(account, name="Shop")
        with time_machine.travel(NOON + timedelta(days=3650)):
            assert instance.is_paid
        for url in ("/instances/", instance.get_absolute_url()):
            page = text_of(alice, url)
            assert "Does not expire" in page
            assert not re.search(r"rial until|aid until \d|on trial|9999", page)
        shown = rest(account, instance.number)
        assert (shown["paidUntil"], shown["trial"]) == (None, False)

    def test_the_wire_contract_lists_a_date_of_32_bits(self, account: Account) -> None:
        create_instance(account, name="Shop")
        _, uid = keys.issue_key(account, acting_user=None)
        [listed] = Client().get(f"/listInstances?uid={uid}").json()["result"]
        assert listed["paidTill"] == 2**31 - 1

    def test_a_payment_is_recorded_and_changes_nothing(self, account: Account) -> None:
        instance = create_instance(account, name="Shop")
        payment = record_payment(instance, days=30)
        assert (payment.days, Instance.objects.get().expires_at) == (30, None)

    def test_the_support_desk_says_it(self, account: Account) -> None:
        create_instance(account, name="Shop")
        desk = Client()
        desk.force_login(UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True))
        page = text_of(desk, "/admin/instances/instance/")
        assert "does not expire" in page
        assert "9999" not in page

    def test_the_export_has_no_date(self, account: Account) -> None:
        exported = json.loads("".join(instance_json(create_instance(account, name="Shop"))))
        assert exported["paid_until"] is None


def test_existing_instances_of_an_embedded_database_do_not_expire_after_a_start() -> None:
    instances = [InstanceFactory(), InstanceFactory(paid=False), InstanceFactory()]
    record_payment(instances[2], days=30)
    assert end_expiry() == 3
    assert set(Instance.objects.values_list("paid_until", "is_trial")) == {(NEVER, False)}
    assert end_expiry() == 0


def test_the_support_desk_shows_trials(account: Account, noon: Any) -> None:
    create_instance(account, name="Shop")
    charlie = UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True)
    desk = Client()
    desk.force_login(charlie)
    assert "trial until 2026-12-01 12:00 UTC" in text_of(desk, "/admin/instances/instance/")
    noon.move_to(NOON + timedelta(days=4))
    desk.force_login(charlie)
    assert "trial ended 2026-12-01 12:00 UTC" in text_of(desk, "/admin/instances/instance/")


@pytest.mark.django_db(transaction=True)
def test_the_product_of_a_newcomer_keeps_working(product: Product) -> None:
    """Real processes on the embedded database: a new instance, and the demo's."""
    headers = {"Authorization": f"Bearer {product.demo['uid']}"}
    created = requests.post(
        f"{product.url}/api/v1/instances/", json={"name": "Mine"}, headers=headers, timeout=60
    )
    new = f"{product.url}/api/v1/instances/{created.json()['id']}/"
    assert (
        requests.delete(new, headers=headers, timeout=60).status_code == 204
    )  # other tests count the demo's
    assert (created.json()["paidUntil"], created.json()["trial"]) == (None, False)
    [demo] = product.demo["instances"]
    shown = requests.get(f"{product.url}/api/v1/instances/{demo['id']}/", headers=headers, timeout=60).json()
    assert (shown["paidUntil"], shown["accountStatus"]) == (None, "authenticated")
