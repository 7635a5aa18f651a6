"""Quotas of accounts: the same rule for pages, REST and the wire contract, shown where users look."""

import re
from collections import Counter
from typing import Any

import pytest
from django.test import Client, override_settings

from accounts import quotas
from accounts.actions import keys
from accounts.actions.accounts import set_quota
from accounts.models import Account, AuditEntry, User
from instances.actions.lifecycle import create_instance, delete_instance
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory
from tests.threads import results_in_threads

pytestmark = pytest.mark.django_db
TWO = override_settings(QUOTA_INSTANCES=2, SUPPORT_EMAIL="help@example.org")
SENTENCE = (
    "Quota reached: the account uses 2 of 2 instances. Delete an instance that you no longer need, "
    "or ask help@example.org for a higher quota."
)


@pytest.fixture
def alice() -> Account:
    """An account with two instances."""
    account = AccountFactory(email="alice@example.org")
    for _ in range(2):
        InstanceFactory(owner=account)
    return account


def rest(account: Account, method: str, path: str, data: Any = None) -> Any:
    _, uid = keys.issue_key(account, acting_user=None)
    headers: Any = {"Authorization": f"Bearer {uid}"}
    return getattr(Client(), method)(
        f"/api/v1/{path}", data, content_type="application/json", headers=headers
    )


@TWO
def test_one_rule_for_rest_the_contract_and_the_page(client: Client, alice: Account) -> None:
    _, uid = keys.issue_key(alice, acting_user=None)
    by_contract = client.get(f"/newInstance?uid={uid}&type=sandbox")
    by_rest = rest(alice, "post", "instances/", {"name": "Third"})
    client.force_login(alice.owner)
    by_page = client.post("/instances/new/", {"name": "Third", "channel": "sandbox"})

    assert (by_contract.status_code, by_contract.json()) == (409, {"error": SENTENCE})
    assert (by_rest.status_code, by_rest.json()) == (409, {"error": SENTENCE})
    assert (by_page.status_code, by_page.context["form"].non_field_errors()) == (200, [SENTENCE])
    assert SENTENCE in by_page.content.decode()
    assert Instance.objects.count() == 2


@TWO
def test_a_deleted_instance_makes_room(alice: Account) -> None:
    delete_instance(Instance.objects.of_account(alice)[0], acting_user=alice.owner)
    create_instance(alice)
    with pytest.raises(quotas.QuotaExceeded):
        create_instance(alice)


@TWO
def test_a_manager_uses_the_quota_of_the_owner(alice: Account) -> None:
    bob = AccountFactory()
    create_instance(bob)
    with pytest.raises(quotas.QuotaExceeded, match="2 of 2 instances"):
        create_instance(alice, acting_user=bob.owner)


@pytest.mark.django_db(transaction=True)
def test_concurrent_calls_do_not_exceed_the_quota() -> None:
    account = AccountFactory()
    _, uid = keys.issue_key(account, acting_user=None)
    with override_settings(QUOTA_INSTANCES=3):
        statuses = results_in_threads(lambda _: Client().get(f"/newInstance?uid={uid}").status_code, 8)
    assert Counter(statuses) == {200: 3, 409: 5}
    assert account.instances.count() == 3


@TWO
def test_staff_set_the_quota_of_an_account(client: Client, alice: Account) -> None:
    client.force_login(User.objects.create_superuser("charlie@example.org", "correct horse 9"))
    url = f"/admin/accounts/account/do/quota/?pk={alice.pk}"

    client.post(url, {"quota": "instances", "limit": "3", "reason": "Ticket 12"})
    create_instance(Account.objects.get(pk=alice.pk))
    page = client.get(f"/admin/accounts/account/{alice.pk}/change/").content.decode()
    assert "Instances: 3 of 3, set for this account" in page
    client.post(url, {"quota": "instances", "limit": "", "reason": "Back to the default"})

    alice.refresh_from_db()
    assert alice.own_quotas == {}
    newest, oldest = AuditEntry.objects.filter(action="account.quota_set").order_by("-pk")
    assert oldest.detail == {"quota": "instances", "limit": 3, "reason": "Ticket 12"}
    assert (newest.detail["limit"], newest.actor_text) == (None, "charlie@example.org")


def test_a_limit_of_zero_is_a_limit(alice: Account) -> None:
    set_quota(alice, name="instances", limit=0, acting_user=None)
    with pytest.raises(quotas.QuotaExceeded, match="2 of 0 instances"):
        create_instance(alice)


@TWO
def test_the_account_page_shows_the_usage(client: Client, alice: Account) -> None:
    client.force_login(alice.owner)
    page = re.sub(r"\s+", " ", client.get("/account/").content.decode())
    assert "<b>2</b> of 2" in page
    assert "Full" in page
    assert "ask help@example.org for a higher quota" in page


@TWO
def test_rest_shows_the_usage(alice: Account) -> None:
    response = rest(alice, "get", "account/")
    body = response.json()
    assert response.status_code == 200
    assert (body["email"], body["name"]) == ("alice@example.org", "")
    assert body["quotas"]["instances"] == {"used": 2, "limit": 2}
    assert body["quotas"]["invitationsPerDay"] == {"used": 0, "limit": 100}
    assert Client().get("/api/v1/account/").status_code == 401


@pytest.mark.parametrize(
    ("used", "percent", "state"),
    [(0, 0, ""), (1, 1, ""), (799, 79, ""), (800, 80, "Almost full"), (1000, 100, "Full")],
)
def test_the_state_of_a_usage(used: int, percent: int, state: str) -> None:
    usage = quotas.Usage(quotas.all_quotas()[0], used, 1000)
    assert (usage.percent, usage.state) == (percent, state)
