"""The account page and its siblings: for the signed-in alone, each for their own."""

import re
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.actions.keys import issue_key
from accounts.actions.payments import record_payment
from accounts.actions.users import sign_up
from accounts.models import Account, AccountKey, User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "name", ["accounts:account", "mfa_index", "usersessions_list", "account_change_password"]
)
def test_strangers_are_sent_to_the_sign_in_page(client: Client, name: str) -> None:
    answer = client.get(reverse(name))

    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={reverse(name)}")


@pytest.mark.parametrize(
    "name", ["accounts:account", "mfa_index", "usersessions_list", "account_change_password"]
)
def test_people_see_the_pages_of_their_account(client: Client, alice: Account, name: str) -> None:
    client.force_login(alice.owner)

    assert client.get(reverse(name)).status_code == 200


def test_the_page_shows_ones_own_payments_and_no_others(client: Client, alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    record_payment(alice, instance_id=None, days=30, amount=Decimal("19.25"), acting_user=None)
    record_payment(bob, instance_id=None, days=30, amount=Decimal("47.75"), acting_user=None)
    client.force_login(alice.owner)

    page = client.get(reverse("accounts:account")).content.decode()

    assert "19.25 USD" in page
    assert "47.75" not in page


def test_a_new_key_is_shown_once(client: Client, alice: Account) -> None:
    client.force_login(alice.owner)

    answer = client.post(reverse("accounts:rotate-key"))

    (plaintext,) = set(re.findall(r"uid_[A-Za-z0-9]{40}", answer.content.decode()))
    assert AccountKey.objects.verify(plaintext) == alice
    assert "no-store" in answer["Cache-Control"]
    page = client.get(reverse("accounts:account")).content.decode()
    assert plaintext not in page
    assert f"{plaintext[:12]}…" in page


def test_looking_at_the_address_of_rotation_makes_no_key(client: Client, alice: Account) -> None:
    client.force_login(alice.owner)

    assert client.get(reverse("accounts:rotate-key")).status_code == 405
    assert AccountKey.objects.count() == 0


def test_a_stranger_rotates_nothing(client: Client, alice: Account) -> None:
    assert client.post(reverse("accounts:rotate-key")).status_code == 302
    assert AccountKey.objects.count() == 0


def test_rotation_needs_the_token_of_the_form(alice: Account) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)

    assert client.post(reverse("accounts:rotate-key")).status_code == 403
    assert AccountKey.objects.count() == 0


def test_staff_find_an_account_by_the_beginning_of_its_key(client: Client, alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    key, _ = issue_key(alice, acting_user=alice.owner)
    issue_key(bob, acting_user=bob.owner)
    client.force_login(User.objects.create_superuser("charlie@example.org", "correct horse 9"))

    for name in ("accountkey", "account"):
        answer = client.get(reverse(f"admin:accounts_{name}_changelist"), {"q": key.prefix})
        assert answer.status_code == 200
        assert "alice@example.org" in answer.content.decode()
        assert "bob@example.org" not in answer.content.decode()


def test_staff_never_see_a_digest(client: Client, alice: Account) -> None:
    key, _ = issue_key(alice, acting_user=alice.owner)
    client.force_login(User.objects.create_superuser("charlie@example.org", "correct horse 9"))

    for address in ("admin:accounts_accountkey_changelist", "admin:accounts_accountkey_change"):
        arguments = [key.pk] if address.endswith("_change") else []
        assert key.digest not in client.get(reverse(address, args=arguments)).content.decode()


def test_the_admin_sends_strangers_to_the_one_sign_in_page(client: Client) -> None:
    answer = client.get("/admin/", follow=True)

    assert answer.request["PATH_INFO"] == reverse("account_login")


def test_a_name_stands_on_one_line_for_it_is_in_the_subject_of_mails(client: Client) -> None:
    alice = sign_up("alice@example.org", password="correct horse 9")
    client.force_login(alice.owner)
    client.post("/account/name/", {"name": "Shop\r\nBcc: bob@example.org"})
    alice.refresh_from_db()
    assert alice.name == "Shop Bcc: bob@example.org"
