"""The account key `uid`: shown once, stored as a digest, listed by its prefix, rotated, revoked."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accounts.actions.keys import authenticate_key, issue_key, rotate_key
from accounts.actions.users import set_rights, sign_up
from accounts.models import Account, AccountKey, User, key_digest

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def test_a_key_is_uid_and_forty_letters_or_digits(alice: Account) -> None:
    key, plaintext = issue_key(alice, acting_user=alice.owner)

    assert re.fullmatch(r"uid_[A-Za-z0-9]{40}", plaintext)
    assert key.prefix == plaintext[:12]
    assert key.digest == key_digest(plaintext)


def test_the_text_of_a_key_is_not_stored(alice: Account) -> None:
    _, plaintext = issue_key(alice, acting_user=alice.owner)

    kept = AccountKey.objects.values_list().get()
    assert not [value for value in kept if plaintext in str(value)]


def test_a_key_authenticates_only_its_account(alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    _, of_alice = issue_key(alice, acting_user=alice.owner)
    _, of_bob = issue_key(bob, acting_user=bob.owner)

    assert AccountKey.objects.verify(of_alice) == alice
    assert AccountKey.objects.verify(of_bob) == bob


@pytest.mark.parametrize("wrong", ["", "uid_", "uid_" + "a" * 40, "\x00", "é" * 50])
def test_a_wrong_key_is_refused(alice: Account, wrong: str) -> None:
    issue_key(alice, acting_user=alice.owner)

    assert AccountKey.objects.verify(wrong) is None
    assert authenticate_key(wrong) is None


def test_the_prefix_of_a_key_is_refused(alice: Account) -> None:
    key, plaintext = issue_key(alice, acting_user=alice.owner)

    assert AccountKey.objects.verify(key.prefix) is None
    assert AccountKey.objects.verify(plaintext[:-1]) is None
    assert AccountKey.objects.verify(plaintext + " ") is None


def test_rotation_revokes_all_keys_and_issues_one(alice: Account) -> None:
    _, first = issue_key(alice, acting_user=alice.owner)
    _, second = issue_key(alice, acting_user=alice.owner)

    key, third = rotate_key(alice, acting_user=alice.owner)

    assert [AccountKey.objects.verify(text) for text in (first, second, third)] == [None, None, alice]
    assert list(AccountKey.objects.filter(revoked_at=None)) == [key]


def test_rotation_does_not_revoke_keys_of_other_accounts(alice: Account) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9")
    _, of_bob = issue_key(bob, acting_user=bob.owner)

    rotate_key(alice, acting_user=alice.owner)

    assert AccountKey.objects.verify(of_bob) == bob


def test_the_key_of_a_blocked_account_is_refused(alice: Account) -> None:
    _, plaintext = issue_key(alice, acting_user=alice.owner)

    Account.objects.filter(pk=alice.pk).update(blocked_at=NOON)

    assert AccountKey.objects.verify(plaintext) is None


def test_the_key_of_an_inactive_user_is_refused(alice: Account) -> None:
    _, plaintext = issue_key(alice, acting_user=alice.owner)
    charlie = User.objects.create_superuser("charlie@example.org", "correct horse 9")

    set_rights(alice.owner, is_active=False, is_staff=False, is_superuser=False, acting_user=charlie)

    assert AccountKey.objects.verify(plaintext) is None


def test_verifying_a_key_writes_nothing(alice: Account) -> None:
    _, plaintext = issue_key(alice, acting_user=alice.owner)

    AccountKey.objects.verify(plaintext)

    assert AccountKey.objects.get().last_used_at is None


def test_the_use_of_a_key_is_recorded_once_a_minute(alice: Account) -> None:
    _, plaintext = issue_key(alice, acting_user=alice.owner)
    noted = []
    with time_machine.travel(NOON, tick=False) as clock:
        for step in (0, 59, 1):
            clock.shift(timedelta(seconds=step))
            assert authenticate_key(plaintext) == alice
            noted.append(AccountKey.objects.get().last_used_at)

    assert noted == [NOON, NOON, NOON + timedelta(seconds=60)]
