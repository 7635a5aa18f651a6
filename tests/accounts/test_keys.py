"""The account key `uid`: shown once, stored as a digest, listed by its prefix, rotated, revoked."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from accounts.actions import keys
from accounts.actions.keys import (
    KeyEnded,
    NotAllowed,
    NotPossible,
    authenticate_key,
    issue_key,
    revoke_key,
    rotate_key,
)
from accounts.actions.users import set_rights, sign_up
from accounts.models import Account, AccountKey, KeyState, Scope, User, key_digest
from tests.threads import plain_session, wait_until_a_session_waits

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


def accepted(*texts: str) -> list[bool]:
    """Which of the keys are accepted, by both ways of finding one."""

    def found(text: str) -> bool:
        try:
            return authenticate_key(text) is not None
        except KeyEnded:
            return False

    verified = [AccountKey.objects.verify(text) is not None for text in texts]
    assert verified == [found(text) for text in texts]
    return verified


def test_the_old_value_of_a_rotated_key_is_valid_for_the_chosen_time(alice: Account) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        old, first = issue_key(alice, name="CI", scopes=[Scope.READ], acting_user=alice.owner)
        new, second = rotate_key(old, overlap=timedelta(hours=2), acting_user=alice.owner)
        old.refresh_from_db()
        assert (new.name, new.scopes, new.state) == ("CI", [Scope.READ], KeyState.ACTIVE)
        assert old.state == KeyState.REPLACED
        assert accepted(first, second) == [True, True]
        clock.shift(timedelta(hours=2))
        assert accepted(first, second) == [False, True]
        with pytest.raises(
            KeyEnded, match="was rotated, and its old value expired on 04 May 2026 at 14:00 UTC"
        ):
            authenticate_key(first)
        with pytest.raises(NotPossible, match="This key is expired"):
            rotate_key(old, acting_user=alice.owner)


def test_rotation_without_overlap_revokes_the_old_value(alice: Account) -> None:
    old, first = issue_key(alice, acting_user=alice.owner)
    _, other = issue_key(alice, acting_user=alice.owner)
    _, second = rotate_key(old, overlap=timedelta(0), acting_user=alice.owner)

    assert accepted(first, second, other) == [False, True, True]


def test_rotation_does_not_prolong_the_old_value(alice: Account) -> None:
    soon = NOON + timedelta(hours=1)
    with time_machine.travel(NOON, tick=False) as clock:
        old, _ = issue_key(alice, expires_at=soon, acting_user=alice.owner)
        clock.shift(timedelta(minutes=20))
        new, _ = rotate_key(old, acting_user=alice.owner)
        old.refresh_from_db()
        last, _ = rotate_key(new, by_key=old, acting_user=alice.owner)
    assert (old.expires_at, last.expires_at) == (soon, soon)
    assert new.expires_at == soon + timedelta(minutes=20)  # it is valid for as long as the old one was


def test_a_key_is_refused_from_its_expiry_on(alice: Account) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        _, text = issue_key(alice, expires_at=NOON + timedelta(minutes=1), acting_user=alice.owner)
        assert accepted(text) == [True]
        clock.shift(timedelta(minutes=1))
        assert accepted(text) == [False]
        with pytest.raises(KeyEnded, match="expired on 04 May 2026 at 12:01 UTC"):
            authenticate_key(text)


def test_a_revoked_key_is_refused_and_its_holder_learns_when(alice: Account) -> None:
    with time_machine.travel(NOON, tick=False):
        key, text = issue_key(alice, acting_user=alice.owner)
        revoke_key(key, acting_user=alice.owner)
        assert accepted(text) == [False]
        with pytest.raises(KeyEnded, match="was revoked on 04 May 2026 at 12:00 UTC"):
            authenticate_key(text)


def test_a_key_has_a_scope_and_ends_in_the_future(alice: Account) -> None:
    with pytest.raises(NotPossible, match="Choose at least one scope"):
        issue_key(alice, scopes=[], acting_user=alice.owner)
    with pytest.raises(NotPossible, match="would expire in the past"):
        issue_key(alice, expires_at=datetime(2020, 1, 1, tzinfo=UTC), acting_user=alice.owner)
    assert not AccountKey.objects.exists()


def test_an_account_has_a_limited_number_of_valid_keys(
    alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 2)
    first, _ = issue_key(alice, acting_user=alice.owner)
    issue_key(alice, acting_user=alice.owner)
    with pytest.raises(NotPossible, match="at most 2 valid keys"):
        issue_key(alice, acting_user=alice.owner)
    revoke_key(first, acting_user=alice.owner)
    issue_key(alice, acting_user=alice.owner)


def test_a_key_that_the_last_release_creates_has_all_scopes(alice: Account) -> None:
    """Also those from before keys had scopes: its columns get their values from the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_accountkey (account_id, prefix, digest, created_at) VALUES (%s, 'uid_a', 'd', now())",
            [alice.pk],
        )
    key = AccountKey.objects.get()
    assert (key.name, key.scopes, key.state) == ("Account key", list(Scope), KeyState.ACTIVE)


def test_the_address_of_the_last_use_is_recorded(alice: Account) -> None:
    key, plaintext = issue_key(alice, acting_user=alice.owner)
    authenticate_key(plaintext, address="203.0.113.7")
    key.refresh_from_db()
    assert key.last_used_from == "203.0.113.7"


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
    key, plaintext = issue_key(alice, acting_user=alice.owner)
    noted = []
    with time_machine.travel(NOON, tick=False) as clock:
        for step in (0, 59, 1):
            clock.shift(timedelta(seconds=step))
            assert authenticate_key(plaintext) == key
            noted.append(AccountKey.objects.get().last_used_at)

    assert noted == [NOON, NOON, NOON + timedelta(seconds=60)]


def test_a_clock_that_was_ahead_does_not_stop_the_recording_of_uses(alice: Account) -> None:
    _, plaintext = issue_key(alice, acting_user=alice.owner)
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        authenticate_key(plaintext)
    with time_machine.travel(NOON, tick=False):
        authenticate_key(plaintext)
    assert AccountKey.objects.get().last_used_at == NOON


def test_a_key_that_is_revoked_during_its_call_creates_none(alice: Account) -> None:
    """Its holder could continue with the new key."""
    _, text = issue_key(alice, acting_user=alice.owner)
    other, _ = issue_key(alice, acting_user=alice.owner)
    caller = authenticate_key(text)
    assert caller is not None
    revoke_key(AccountKey.objects.get(pk=caller.pk), acting_user=alice.owner)
    for create in (issue_key, lambda *_, **given: rotate_key(other, **given)):
        with pytest.raises(NotAllowed, match="was revoked on"):
            create(alice, by_key=caller, acting_user=alice.owner)
    other.refresh_from_db()
    assert (AccountKey.objects.count(), other.state) == (2, KeyState.ACTIVE)


@pytest.mark.django_db(transaction=True)
def test_a_key_created_beside_a_revocation_is_seen_or_refused(alice: Account) -> None:
    """The creation waits for a revocation that is not committed yet."""
    caller, _ = issue_key(alice, acting_user=alice.owner)
    with plain_session() as session, ThreadPoolExecutor(1) as threads:
        session.execute("UPDATE accounts_accountkey SET revoked_at = now() WHERE id = %s", [caller.pk])

        def create() -> str:
            try:
                issue_key(alice, by_key=caller, acting_user=None)
            except NotAllowed as error:
                return str(error)
            finally:
                connection.close()
            return "created"

        result = threads.submit(create)
        wait_until_a_session_waits(session)
        session.commit()
        assert "was revoked on" in result.result()
    assert AccountKey.objects.count() == 1
