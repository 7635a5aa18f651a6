"""The account pages: only for signed-in users, and each user sees only their own."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.actions.payments import record_payment
from accounts.actions.users import sign_up
from accounts.models import Account, AccountKey, Scope, User

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


NEW_KEY = {"name": "CI", "can_read": "on", "can_send": "on", "lifetime": "30"}


def text_in(response: Any) -> str:
    """The key that the response shows."""
    (plaintext,) = set(re.findall(r"uid_[A-Za-z0-9]{40}", response.content.decode()))
    assert "no-store" in response["Cache-Control"]
    return str(plaintext)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_new_key_is_shown_once(client: Client, alice: Account, headers: dict[str, str]) -> None:
    client.force_login(alice.owner)

    plaintext = text_in(client.post(reverse("accounts:keys"), NEW_KEY, headers=headers))

    key = AccountKey.objects.get()
    assert AccountKey.objects.verify(plaintext) == alice
    assert (key.name, key.scopes) == ("CI", [Scope.READ, Scope.SEND])
    assert key.expires_at is not None and key.expires_at - key.created_at > timedelta(days=29)
    page = client.get(reverse("accounts:keys")).content.decode()
    assert plaintext not in page
    assert f"{plaintext[:12]}…" in page


def test_loading_the_page_of_a_new_key_again_creates_no_second_one(client: Client, alice: Account) -> None:
    """The browser sends the form again. Another form, also with the same values, creates another key."""
    client.force_login(alice.owner)
    ids = [
        re.findall(r'name="form_id" value="([\w-]+)"', client.get(reverse("accounts:keys")).content.decode())
        for _ in range(2)
    ]
    assert len(ids[0]) == 1 and ids[0] != ids[1]
    text_in(client.post(reverse("accounts:keys"), NEW_KEY | {"form_id": ids[0][0]}))
    again = client.post(reverse("accounts:keys"), NEW_KEY | {"form_id": ids[0][0]}, follow=True)
    assert not re.search(r"uid_[A-Za-z0-9]{40}", again.content.decode())
    assert "This key was created already" in again.content.decode()
    assert AccountKey.objects.count() == 1
    text_in(client.post(reverse("accounts:keys"), NEW_KEY | {"form_id": ids[1][0]}))
    assert AccountKey.objects.count() == 2


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"can_read": "", "can_send": ""}, "Choose at least one scope."),
        ({"name": ""}, "Enter a name"),
        ({"lifetime": "9999"}, "Choose when the key expires."),
    ],
)
def test_a_wrong_form_creates_no_key(
    client: Client, alice: Account, changed: dict[str, str], sentence: str
) -> None:
    client.force_login(alice.owner)
    given = {name: value for name, value in {**NEW_KEY, **changed}.items() if value}
    for headers in ({}, {"HX-Request": "true"}):
        response = client.post(reverse("accounts:keys"), given, headers=headers)
        assert (response.status_code, sentence in response.content.decode()) == (422, True)
    assert not AccountKey.objects.exists()


def test_a_key_is_rotated_and_revoked(client: Client, alice: Account) -> None:
    key, first = issue_key(alice, name="CI", acting_user=alice.owner)
    client.force_login(alice.owner)
    rotate = reverse("accounts:key-rotate", args=[key.prefix])

    second = text_in(client.post(rotate, {"hours": "24"}))
    assert [AccountKey.objects.verify(text) for text in (first, second)] == [alice, alice]
    assert "Old value, still valid" in client.get(reverse("accounts:keys")).content.decode()
    refused = client.post(rotate, {"hours": "24"}, headers={"HX-Request": "true"})
    assert "Only an active key can be rotated." in refused.content.decode()

    client.post(reverse("accounts:key-revoke", args=[second[:12]]))
    assert [AccountKey.objects.verify(text) for text in (first, second)] == [alice, None]
    assert "Revoked" in client.get(reverse("accounts:keys")).content.decode()


def test_the_page_shows_keys_that_ended_in_the_last_month(client: Client, alice: Account) -> None:
    for days in (29, 31):
        long_ago = timezone.now() - timedelta(days=days)
        for field in ("revoked_at", "expires_at"):
            key, _ = issue_key(alice, name=f"{field} {days}", acting_user=alice.owner)
            AccountKey.objects.filter(pk=key.pk).update(**{field: long_ago})
    client.force_login(alice.owner)
    page = client.get(reverse("accounts:keys")).content.decode()
    shown = {
        name for name in ("revoked_at 29", "revoked_at 31", "expires_at 29", "expires_at 31") if name in page
    }
    assert shown == {"revoked_at 29", "expires_at 29"}


def test_a_key_of_another_account_is_not_found(client: Client, alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    key, text = issue_key(bob, name="Secret name", acting_user=bob.owner)
    client.force_login(alice.owner)
    for name in ("accounts:key-rotate", "accounts:key-revoke"):
        assert client.post(reverse(name, args=[key.prefix]), {"hours": "24"}).status_code == 404
    assert AccountKey.objects.verify(text) == bob
    assert "Secret name" not in client.get(reverse("accounts:keys")).content.decode()


def test_signed_out_users_cannot_create_a_key(client: Client, alice: Account) -> None:
    assert client.post(reverse("accounts:keys"), NEW_KEY).status_code == 302
    assert AccountKey.objects.count() == 0


def test_a_new_key_requires_the_csrf_token(alice: Account) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)

    assert client.post(reverse("accounts:keys"), NEW_KEY).status_code == 403
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
