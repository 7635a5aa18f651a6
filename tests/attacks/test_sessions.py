"""Sessions: none can be planted, kept after its end, or used without the second factor."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actions.users import sign_up
from accounts.models import User
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

PASSWORD = "correct horse 9"
COOKIE = settings.SESSION_COOKIE_NAME


@pytest.fixture
def alice() -> User:
    return sign_up("alice@example.org", password=PASSWORD).owner


def sign_in(client: Client, password: str = PASSWORD, email: str = "alice@example.org") -> int:
    """The status of the sign-in: 302 if it worked."""
    return client.post(reverse("account_login"), {"login": email, "password": password}).status_code


def is_signed_in(client: Client) -> bool:
    return client.get(reverse("accounts:account")).status_code == 200


def copy_of(client: Client) -> Client:
    """Another browser that has stolen the session's cookie."""
    thief = Client()
    thief.cookies[COOKIE] = client.cookies[COOKIE].value
    return thief


@pytest.mark.parametrize("planted", ["a" * 32, "0123456789abcdefghijklmnopqrstuv", "", "../../x", "x" * 5000])
def test_a_planted_session_key_is_not_used(alice: User, planted: str) -> None:
    client = Client()
    client.cookies[COOKIE] = planted
    client.get(reverse("account_login"))
    assert sign_in(client) == 302
    assert client.cookies[COOKIE].value not in ("", planted)
    stolen = Client()
    stolen.cookies[COOKIE] = planted
    assert not is_signed_in(stolen)


def test_a_session_of_before_the_sign_in_is_not_signed_in_afterwards(alice: User) -> None:
    """The attacker's anonymous session, put into the victim's browser."""
    attacker = Client()
    session = attacker.session
    session["kept"] = "x"
    session.save()
    victim = Client()
    victim.cookies[COOKIE] = attacker.cookies[COOKIE].value
    assert sign_in(victim) == 302
    assert is_signed_in(victim)
    assert not is_signed_in(attacker)


def test_signing_out_ends_the_session_on_the_server(alice: User) -> None:
    client = Client()
    sign_in(client)
    thief = copy_of(client)
    assert is_signed_in(thief)
    client.post(reverse("account_logout"))
    assert not is_signed_in(thief)
    assert not is_signed_in(client)


def test_another_persons_sign_in_takes_over_no_session(alice: User) -> None:
    UserFactory(email="bob@example.org", password=PASSWORD)
    client = Client()
    sign_in(client)
    of_alice = copy_of(client)
    client.post(reverse("account_logout"))
    sign_in(client, email="bob@example.org")
    assert not is_signed_in(of_alice)
    assert b"bob@example.org" in client.get(reverse("accounts:account")).content


def test_a_new_password_ends_every_other_session(alice: User) -> None:
    client, other = Client(), Client()
    sign_in(client)
    sign_in(other)
    thief = copy_of(other)
    client.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": "better horse 10", "password2": "better horse 10"},
    )
    assert not is_signed_in(other)
    assert not is_signed_in(thief)
    assert sign_in(Client()) == 200  # the old one is refused
    assert sign_in(Client(), "better horse 10") == 302


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "!"}])
def test_a_disabled_user_is_signed_out(alice: User, change: dict[str, object]) -> None:
    client = Client()
    sign_in(client)
    User.objects.filter(pk=alice.pk).update(**change)
    assert not is_signed_in(client)


def test_a_deleted_session_ends_at_once(alice: User) -> None:
    """The page of all sessions, and the end of each."""
    client, other = Client(), Client()
    sign_in(client)
    sign_in(other)
    client.post(reverse("usersessions_list"))
    assert is_signed_in(client)
    assert not is_signed_in(other)


def test_the_password_alone_opens_nothing_with_a_second_factor(alice: User) -> None:
    """Between the password and the code there is a session, and it is worth nothing."""
    TOTP.activate(alice, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    assert Authenticator.objects.filter(user=alice).exists()
    client = Client()
    sign_in(client)
    for name in (
        "accounts:account",
        "instances:list",
        "account_email",
        "mfa_index",
        "account-export",
        "admin:index",
    ):
        response = client.get(reverse(name))
        assert response.status_code in (302, 404), name
        assert "login" in response.headers.get("Location", "") or "2fa" in response.headers.get(
            "Location", ""
        )
    for name in ("mfa_generate_recovery_codes", "mfa_deactivate_totp", "account_change_password"):
        assert client.post(reverse(name)).status_code == 302, name
    assert Authenticator.objects.filter(user=alice, type=Authenticator.Type.TOTP).exists()
    for code in ("", "000000", "0" * 7, "' OR 1=1 --", "１２３４５６"):
        client.post(reverse("mfa_authenticate"), {"code": code})
        assert not is_signed_in(client), code


def test_the_cookie_is_not_for_scripts_or_other_sites(alice: User) -> None:
    client = Client()
    sign_in(client)
    cookie = client.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["domain"] == ""  # this host only, not the hosts below it
    assert cookie["path"] == "/"


def test_the_cookie_holds_no_data_and_the_key_cannot_be_guessed(alice: User) -> None:
    client = Client()
    sign_in(client)
    key = client.cookies[COOKIE].value
    assert len(key) >= 32
    for wrong in (key[:-1], key + "a", key.upper(), key[:-1] + ("a" if key[-1] != "a" else "b")):
        thief = Client()
        thief.cookies[COOKIE] = wrong
        assert not is_signed_in(thief)


def test_an_expired_session_is_refused(alice: User) -> None:
    client = Client()
    sign_in(client)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not is_signed_in(client)


def test_a_user_signed_out_in_one_browser_gets_no_page_from_its_cache(alice: User) -> None:
    client = Client()
    sign_in(client)
    for name in ("accounts:account", "instances:list"):
        assert "no-store" in client.get(reverse(name)).headers.get("Cache-Control", ""), name


@pytest.mark.parametrize(
    "url",
    [
        "https://attacker.example/",
        "//attacker.example/",
        "///attacker.example",
        "/\\attacker.example",
        "\\\\attacker.example",
        "https:attacker.example",
        "javascript:alert(1)",
        "/%09/attacker.example",
        "\thttps://attacker.example",
        "http://testserver@attacker.example/",
    ],
)
def test_signing_in_and_out_redirects_to_no_other_site(alice: User, url: str) -> None:
    client = Client()
    answer = client.post(
        reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD, "next": url}
    )
    assert answer.status_code == 302
    assert leads_here(answer.headers["Location"]), answer.headers["Location"]
    for path in ("account_logout", "account_login"):
        response = client.generic("POST" if "out" in path else "GET", f"{reverse(path)}?next={url}")
        assert leads_here(response.headers.get("Location", "/")), response.headers["Location"]


def leads_here(location: str) -> bool:
    """As a browser reads it: it drops tabs and takes a backslash for a slash."""
    read = location.replace("\t", "").replace("\n", "").replace("\\", "/").strip()
    return read.startswith("/") and not read.startswith("//")
