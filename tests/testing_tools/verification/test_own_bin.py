"""A user has a bin of their own that belongs to no instance."""

import pytest

from accounts.models import Role
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Bin, Capture
from tests.factories import AccountFactory, member_of

pytestmark = pytest.mark.django_db
SIGNED = [("webhook-id", "1"), ("webhook-timestamp", "1700000000"), ("webhook-signature", "v1,AAAA")]


@pytest.fixture
def account():
    return AccountFactory(email="alice@example.org")


@pytest.fixture
def alice(client, account):
    client.force_login(account.owner)
    return client


def test_it_is_created_on_first_use(alice, account):
    first = alice.get("/testing/bins/mine/")["Location"]
    assert alice.get("/testing/bins/mine/")["Location"] == first
    bin = Bin.objects.get()
    assert (bin.account, bin.instance, first) == (account, None, f"/testing/bins/{bin.key}/")


def test_its_pages_work_without_an_instance(alice, account):
    bin = bin_actions.open_own_bin(account)
    page = f"/testing/bins/{bin.key}/"
    empty = alice.get(page).content.decode()
    assert "My bin" in empty
    assert "Waiting for the first request" in empty
    assert f"curl {bin.url} " in empty
    alice.post(f"/bin/{bin.key}", b"hello", content_type="text/plain")
    news = alice.get(f"{page}news/?after=0&q=", headers={"HX-Request": "true"})
    assert [found.number for found in news.context["captures"]] == [1]
    capture = Capture.objects.get()
    for address in ("", "replay/"):
        assert alice.get(f"{page}{capture.public_id}/{address}").status_code == 200
    for path in ("response/", "share/", "forward/", "export/?as=har"):
        assert alice.get(f"{page}{path}").status_code == 200


def test_signatures_are_unchecked_until_a_secret_is_entered(alice, account):
    bin = bin_actions.open_own_bin(account)
    capture_actions.capture(bin.key, method="POST", body=b"{}", headers=SIGNED)
    page = alice.get(f"/testing/bins/{bin.key}/{Capture.objects.get().public_id}/").content.decode()
    assert "signed, not checked." in page
    assert "suggests <strong>Standard Webhooks</strong>" in page


def test_members_of_the_account_cannot_see_it(client, account):
    bin = bin_actions.open_own_bin(account)
    manager = member_of(account, Role.MANAGER)
    for person in (manager, AccountFactory(email="bob@example.org").owner):
        client.force_login(person)
        assert client.get(f"/testing/bins/{bin.key}/").status_code == 404


def test_the_verification_page_links_to_it(alice):
    assert 'href="/testing/bins/mine/"' in alice.get("/testing/verification/").content.decode()
