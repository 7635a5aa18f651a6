"""The account pages: only for signed-in users, and each user sees only their own."""

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
def test_signed_out_users_are_redirected_to_sign_in(client: Client, name: str) -> None:
    response = client.get(reverse(name))

    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={reverse(name)}")


@pytest.mark.parametrize(
    "name", ["accounts:account", "mfa_index", "usersessions_list", "account_change_password"]
)
def test_users_see_the_pages_of_their_account(client: Client, alice: Account, name: str) -> None:
    client.force_login(alice.owner)

    assert client.get(reverse(name)).status_code == 200


def test_the_page_shows_only_own_payments(client: Client, alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    record_payment(alice, instance_id=None, days=30, amount=Decimal("19.25"), acting_user=None)
    record_payment(bob, instance_id=None, days=30, amount=Decimal("47.75"), acting_user=None)
    client.force_login(alice.owner)

    page = client.get(reverse("accounts:account")).content.decode()

    assert "19.25 USD" in page
    assert "47.75" not in page


def test_a_new_key_is_shown_once(client: Client, alice: Account) -> None:
    client.force_login(alice.owner)

    response = client.post(reverse("accounts:rotate-key"))

    (plaintext,) = set(re.findall(r"uid_[A-Za-z0-9]{40}", response.content.decode()))
    assert AccountKey.objects.verify(plaintext) == alice
    assert "no-store" in response["Cache-Control"]
    page = client.get(reverse("accounts:account")).content.decode()
    assert plaintext not in page
    assert f"{plaintext[:12]}…" in page


def test_get_creates_no_key(client: Client, alice: Account) -> None:
    client.force_login(alice.owner)

    assert client.get(reverse("accounts:rotate-key")).status_code == 405
    assert AccountKey.objects.count() == 0


def test_signed_out_users_cannot_rotate_the_key(client: Client, alice: Account) -> None:
    assert client.post(reverse("accounts:rotate-key")).status_code == 302
    assert AccountKey.objects.count() == 0


def test_rotation_requires_the_csrf_token(alice: Account) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)

    assert client.post(reverse("accounts:rotate-key")).status_code == 403
    assert AccountKey.objects.count() == 0


def test_staff_find_an_account_by_the_prefix_of_its_key(client: Client, alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    key, _ = issue_key(alice, acting_user=alice.owner)
    issue_key(bob, acting_user=bob.owner)
    client.force_login(User.objects.create_superuser("charlie@example.org", "correct horse 9"))

    for name in ("accountkey", "account"):
        response = client.get(reverse(f"admin:accounts_{name}_changelist"), {"q": key.prefix})
        assert response.status_code == 200
        assert "alice@example.org" in response.content.decode()
        assert "bob@example.org" not in response.content.decode()


def test_staff_never_see_a_digest(client: Client, alice: Account) -> None:
    key, _ = issue_key(alice, acting_user=alice.owner)
    client.force_login(User.objects.create_superuser("charlie@example.org", "correct horse 9"))

    for address in ("admin:accounts_accountkey_changelist", "admin:accounts_accountkey_change"):
        arguments = [key.pk] if address.endswith("_change") else []
        assert key.digest not in client.get(reverse(address, args=arguments)).content.decode()


def test_the_admin_redirects_signed_out_users_to_sign_in(client: Client) -> None:
    response = client.get("/admin/", follow=True)

    assert response.request["PATH_INFO"] == reverse("account_login")


def test_a_name_is_stored_as_one_line_for_the_subject_of_mails(client: Client) -> None:
    alice = sign_up("alice@example.org", password="correct horse 9")
    client.force_login(alice.owner)
    client.post("/account/name/", {"name": "Shop\r\nBcc: bob@example.org"})
    alice.refresh_from_db()
    assert alice.name == "Shop Bcc: bob@example.org"
