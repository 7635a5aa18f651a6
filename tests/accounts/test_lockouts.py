"""Wrong passwords and codes: growing pauses, shared by all processes, kept whatever else is counted, and one mail."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail, signing
from django.core.cache import cache, caches
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from accounts import lockouts
from accounts.actions.users import sign_up
from accounts.known_browsers import COOKIE, address_hash
from accounts.lockouts import PASSWORD, SECOND_FACTOR, LockoutRule, attempt, claim_notification, clear
from accounts.models import Lockout, SharedValue, User
from tests.authenticator_app import code_of

RIGHT = "correct horse 9"
NOON = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
PAUSED = re.compile(r"Try again in ([\w ]+?)[,.]")


@pytest.fixture
def alice(db: None, settings: Any) -> User:
    settings.EMAIL_URL = "smtp://mail.example.org"
    return sign_up("alice@example.org", password=RIGHT).owner


def log_in(password: str, email: str = "alice@example.org", address: str = "192.0.2.1") -> Any:
    client = Client(REMOTE_ADDR=address)
    return client.post(reverse("account_login"), {"login": email, "password": password})


def guess(number: int) -> str:
    """What the sign-in page says to a wrong password from the address with this number."""
    page = log_in("wrong", address=f"192.0.{number // 250}.{number % 250}").content.decode()
    found = PAUSED.search(page)
    return found[1] if found else "wrong" if "E-mail address or password is wrong" in page else page


def run_queued() -> list[str]:
    """Runs what the worker would run; returns the paths of the tasks."""
    paths = []
    for row in OrmQ.objects.order_by("pk"):
        task = SignedPackage.loads(row.payload)
        import_string(task["func"])(*task["args"])
        paths.append(task["func"])
        row.delete()
    return paths


# -- the pauses


def test_the_pauses_grow_whatever_address_the_guesses_come_from(alice: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        assert [guess(number) for number in range(7)] == ["wrong"] * 5 + ["1 min", "1 min"]
        pauses = []
        for number in range(8):
            pause = guess(10 + number)
            pauses.append(pause)
            clock.shift(lockouts_left())
            assert guess(30 + number) == "wrong"
    assert pauses == ["1 min", "2 min", "4 min", "8 min", "16 min", "32 min", "1 h", "1 h"]


def lockouts_left() -> timedelta:
    return Lockout.objects.get().blocked_until - datetime.now(UTC)


def test_a_pause_refuses_the_right_password_too_and_a_success_ends_the_series(alice: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(5):
            guess(number)
        assert log_in(RIGHT).status_code == 200
        clock.shift(60)
        assert log_in(RIGHT).status_code == 302
        assert [guess(number) for number in range(10, 16)] == ["wrong"] * 5 + ["1 min"]


def test_a_password_reset_ends_the_pause(alice: User) -> None:
    for number in range(6):
        guess(number)
    browser = Client()
    browser.post(reverse("account_reset_password"), {"email": alice.email})
    (link,) = re.findall(r"http://localhost:8000(/\S+)", str(mail.outbox[-1].body))
    form = browser.get(link, follow=True)
    browser.post(form.request["PATH_INFO"], {"password1": "new horse 10", "password2": "new horse 10"})
    assert log_in("new horse 10").status_code == 302


def test_guesses_of_others_do_not_keep_a_known_browser_out(alice: User) -> None:
    browser = Client()
    form = {"login": alice.email, "password": RIGHT}
    browser.post(reverse("account_login"), form)
    browser.post(reverse("account_logout"))
    for number in range(6):
        guess(number)
    assert PAUSED.search(log_in(RIGHT).content.decode())
    assert browser.post(reverse("account_login"), form).status_code == 302
    assert PAUSED.search(log_in(RIGHT).content.decode())  # the others' series goes its own way


def test_a_known_browser_is_paused_by_its_own_guesses(alice: User) -> None:
    browser = Client()
    browser.post(reverse("account_login"), {"login": alice.email, "password": RIGHT})
    browser.post(reverse("account_logout"))
    form = {"login": alice.email, "password": "wrong"}
    pages = [browser.post(reverse("account_login"), form).content.decode() for _ in range(6)]
    assert [bool(PAUSED.search(page)) for page in pages] == [False] * 5 + [True]
    assert log_in(RIGHT).status_code == 302


@pytest.mark.parametrize("cookie", ["forged", "mallory"])
def test_no_other_cookie_makes_a_browser_known(alice: User, cookie: str) -> None:
    sign_up("mallory@example.org", password=RIGHT)
    browser = Client()
    browser.post(reverse("account_login"), {"login": "mallory@example.org", "password": RIGHT})
    browser.post(reverse("account_logout"))
    if cookie == "forged":
        browser.cookies[COOKIE] = signing.dumps(["b", [address_hash(alice.email)]], key="other", salt=COOKIE)
    for number in range(5):
        guess(number)
    page = browser.post(reverse("account_login"), {"login": alice.email, "password": RIGHT}).content.decode()
    assert PAUSED.search(page)


def test_the_cookie_of_a_known_browser_is_for_sign_in_alone(alice: User) -> None:
    kept = log_in(RIGHT).cookies[COOKIE]
    assert (kept["path"], kept["httponly"], kept["samesite"]) == ("/accounts/", True, "Lax")
    assert "alice" not in kept.value


def test_an_unknown_address_is_paused_like_a_known_one(alice: User) -> None:
    """The pause must not show who has an account."""
    known, unknown = (
        [
            log_in("wrong", email, f"192.0.2.{number}").content.decode().replace(email, "")
            for number in range(6)
        ]
        for email in ("alice@example.org", "unknown@example.org")
    )
    assert [bool(PAUSED.search(page)) for page in known] == [False] * 5 + [True]
    assert [bool(PAUSED.search(page)) for page in unknown] == [False] * 5 + [True]
    assert OrmQ.objects.count() == 0


def test_after_a_day_without_a_failure_the_series_starts_again(alice: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(5):
            guess(number)
        clock.shift(timedelta(hours=25))
        assert [guess(number) for number in range(10, 16)] == ["wrong"] * 5 + ["1 min"]


@pytest.mark.parametrize("rule", [PASSWORD, SECOND_FACTOR])
def test_in_a_day_a_patient_attacker_gets_thirty_guesses(db: None, rule: LockoutRule) -> None:
    """It tries again as soon as each pause ends."""
    guesses = 0
    with time_machine.travel(NOON, tick=False) as clock:
        end = datetime.now(UTC) + timedelta(days=1)
        while datetime.now(UTC) < end:
            found = attempt(rule, "alice@example.org")
            guesses += not found.seconds
            clock.shift(found.seconds or found.pause or 1)
    assert 25 <= guesses <= 35


# -- what the counts withstand


def test_no_number_of_other_keys_removes_a_count(alice: User) -> None:
    """Django's LocMemCache forgets after 300 entries."""
    with time_machine.travel(NOON, tick=False):
        for number in range(5):
            guess(number)
        cache.set("count", [1.5], 60)
        for number in range(400):
            attempt(PASSWORD, f"other{number}@example.org")
            cache.set(f"other{number}", [1.0], 60)
        assert guess(99) == "1 min"
        assert cache.get("count") == [1.5]


def test_requests_at_once_do_not_pass_together(transactional_db: None) -> None:
    allowed: list[bool] = []

    def try_once() -> None:
        try:
            allowed.append(attempt(PASSWORD, "alice@example.org").seconds == 0)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_once) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 15 + [True] * 5


OTHER_PROCESS = """
import django, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from django.core.cache import cache
from accounts.known_browsers import COOKIE, address_hash
from accounts.lockouts import PASSWORD, attempt
print(attempt(PASSWORD, "alice@example.org").seconds > 0, cache.get("shared"), cache.add("used-code", "y", 60))
"""


def test_another_process_shares_the_counts_and_the_cache(transactional_db: None) -> None:
    for _ in range(5):
        attempt(PASSWORD, "alice@example.org")
    cache.set("shared", [1.5], 60)
    assert cache.add("used-code", "y", 60)  # as allauth remembers a code that was used
    name = str(connection.settings_dict["NAME"])
    said = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, name], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "True [1.5] False"


# -- the cache


def test_the_cache_keeps_values_until_they_expire(db: None) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        cache.set("a", [1.5, 2], 60)
        assert not cache.add("a", "other", 60)
        clock.shift(59)
        assert (cache.get("a"), cache.get("b", "none")) == ([1.5, 2], "none")
        clock.shift(1)
        assert cache.get("a") is None
        assert cache.add("a", "other", 60)
        cache.set("a", True, 60)
        assert cache.get("a") is True
        assert (cache.delete("a"), cache.delete("a")) == (True, False)
        cache.set("forever", 1, None)
        clock.shift(timedelta(days=3650))
        assert cache.get("forever") == 1
        cache.clear()
        assert cache.get("forever") is None


def test_the_clusters_statistics_stay_out_of_the_database(settings: Any) -> None:
    assert settings.Q_CLUSTER["cache"] == "process"
    assert type(caches["process"]).__name__ == "LocMemCache"


def test_what_has_expired_is_deleted(db: None) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        attempt(PASSWORD, "old@example.org")
        cache.set("old", 1, 60)
        clock.shift(timedelta(hours=24))
        attempt(PASSWORD, "new@example.org")
        cache.set("new", 1, 7200)
        clock.shift(timedelta(hours=1, seconds=1))
        lockouts.delete_expired()
    assert Lockout.objects.count() == SharedValue.objects.count() == 1


def test_neither_table_has_an_address_in_clear_text(alice: User) -> None:
    guess(1)
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    stored = str([*Lockout.objects.values(), *SharedValue.objects.values()])
    assert "alice" not in stored
    assert "192.0." not in stored


# -- the mail


def test_a_user_is_told_once_per_attack(alice: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(5):
            guess(number)
        assert run_queued() == []  # five may be the user's own
        for number in range(6, 12):
            clock.shift(lockouts_left())
            guess(number)
        assert run_queued() == ["accounts.tasks.send_guessing_mail"]
        [sent] = mail.outbox
        assert (sent.to, sent.subject) == (
            ["alice@example.org"],
            "[Chat API] Failed sign-ins to your account",
        )
        assert "tried 6 times" in sent.body
        assert "from the IP address 192.0.0.6" in sent.body
        assert "http://localhost:8000/accounts/password/reset/" in sent.body
        # a success in between starts a new series, and no new mail
        clock.shift(lockouts_left())
        assert log_in(RIGHT).status_code == 302
        for number in range(20, 30):
            guess(number)
            clock.shift(max(lockouts_left(), timedelta()))
        assert run_queued() == []
        clock.shift(timedelta(hours=24))
        for number in range(40, 50):
            guess(number)
            clock.shift(max(lockouts_left(), timedelta()))
        assert run_queued() == ["accounts.tasks.send_guessing_mail"]


def test_the_right_password_with_wrong_codes_is_another_mail(alice: User) -> None:
    secret = turn_on_codes()
    for number in range(6):
        browser = Client(REMOTE_ADDR=f"192.0.2.{number}")
        browser.post(reverse("account_login"), {"login": alice.email, "password": RIGHT})
        page = browser.post(reverse("mfa_authenticate"), {"code": "000000"}).content.decode()
    assert "Too many wrong codes. Try again in 1 min." in page
    browser.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert "_auth_user_id" not in browser.session  # the right code waits too
    assert run_queued() == ["accounts.tasks.send_guessing_mail"]
    assert mail.outbox[-1].subject == "[Chat API] Someone knows your password"
    assert "Change it now" in mail.outbox[-1].body


def turn_on_codes() -> str:
    browser = Client()
    browser.post(reverse("account_login"), {"login": "alice@example.org", "password": RIGHT})
    browser.post(reverse("account_reauthenticate"), {"password": RIGHT})
    secret: str = browser.get(reverse("mfa_activate_totp")).context["form"].secret
    browser.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    return secret


def test_of_concurrent_failures_one_sends_the_mail(db: None) -> None:
    for _ in range(5):
        attempt(SECOND_FACTOR, "1")
    assert [claim_notification(SECOND_FACTOR, "1") for _ in range(3)] == [5, 0, 0]
    clear(SECOND_FACTOR, "1")
    assert claim_notification(SECOND_FACTOR, "1") == 0


# -- the rates of mails and sign-ups


def test_a_user_gets_few_reset_mails_a_day(alice: User) -> None:
    def ask() -> int:
        return Client().post(reverse("account_reset_password"), {"email": alice.email}).status_code

    with time_machine.travel(NOON, tick=False) as clock:
        codes: list[int] = []
        for _ in range(60):
            codes.append(ask())
            clock.shift(timedelta(minutes=4))
    assert codes[:4] == [302, 302, 302, 429]
    assert len(mail.outbox) == codes.count(302) == 10


def sign_up_form(**values: str) -> int:
    form = {"email": "new@example.org", "password1": RIGHT, "password2": RIGHT} | values
    return Client().post(reverse("account_signup"), form).status_code


@pytest.mark.parametrize("post", [sign_up_form, lambda: sign_up_form(email="no address")])
def test_sign_ups_from_one_address_are_counted_even_if_they_fail(
    db: None, settings: Any, post: Callable[[], int]
) -> None:
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"sign_up": "2/m/ip"}
    assert [post() for _ in range(3)][2] == 429
