"""A user and their account are created together, in every way to create a user."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from accounts.actions.accounts import rename_account
from accounts.actions.users import open_account, set_rights, sign_up
from accounts.models import Account, User

pytestmark = pytest.mark.django_db


def test_sign_up_creates_a_user_with_one_account() -> None:
    account = sign_up("alice@example.org", password="correct horse 9")

    assert account.owner.email == "alice@example.org"
    assert account.owner.check_password("correct horse 9")
    assert (account.owner.is_staff, account.owner.is_superuser) == (False, False)
    assert (account.name, account.blocked_at) == ("", None)
    assert str(account) == "alice@example.org"


def test_an_address_is_stored_in_lower_case_and_found_in_any_case() -> None:
    alice = sign_up("  Alice@Example.ORG ", password="correct horse 9").owner

    assert alice.email == "alice@example.org"
    assert User.objects.get_by_natural_key("ALICE@example.org") == alice


def test_one_address_is_one_user_in_any_case() -> None:
    sign_up("alice@example.org", password="correct horse 9")

    with pytest.raises(IntegrityError), transaction.atomic():
        sign_up("ALICE@example.org", password="correct horse 9")
    assert (User.objects.count(), Account.objects.count()) == (1, 1)


def test_the_database_refuses_an_address_in_upper_case() -> None:
    sign_up("alice@example.org", password="correct horse 9")

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.update(email="Alice@example.org")
    assert User.objects.get().email == "alice@example.org"


def test_a_user_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an e-mail address"):
        sign_up("", password="correct horse 9")
    assert (User.objects.count(), Account.objects.count()) == (0, 0)


def test_opening_an_account_twice_creates_one() -> None:
    alice = sign_up("alice@example.org", password="correct horse 9").owner

    assert open_account(alice) == alice.account
    assert Account.objects.count() == 1


def test_createsuperuser_creates_staff_with_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse 9")

    call_command("createsuperuser", email="charlie@example.org", interactive=False, verbosity=0)

    charlie = User.objects.get()
    assert (charlie.email, charlie.is_staff, charlie.is_superuser) == ("charlie@example.org", True, True)
    assert charlie.account.owner == charlie


def test_users_see_only_their_own_account() -> None:
    alice = sign_up("alice@example.org", password="correct horse 9")
    bob = sign_up("bob@example.org", password="correct horse 9")

    assert list(Account.objects.visible_to(alice.owner)) == [alice]
    assert list(Account.objects.visible_to(bob.owner)) == [bob]


def test_an_account_is_shown_by_its_name_or_its_owner() -> None:
    account = sign_up("alice@example.org", password="correct horse 9")

    rename_account(account, name="Shop", acting_user=account.owner)

    account.refresh_from_db()
    assert str(account) == "Shop"


def test_only_a_superuser_can_create_a_superuser() -> None:
    alice = sign_up("alice@example.org", password="correct horse 9").owner
    charlie = User.objects.create_user("charlie@example.org", "correct horse 9", is_staff=True)

    with pytest.raises(PermissionError):
        set_rights(alice, is_active=True, is_staff=True, is_superuser=True, acting_user=charlie)
    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser) == (False, False)
