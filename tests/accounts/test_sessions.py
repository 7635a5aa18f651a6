"""Sessions: their cookie is in no table, and their content only encrypted."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.urls import reverse

from accounts.actions.users import sign_up
from accounts.sessions import SessionStore, key_of_cookie

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"


def signed_in() -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
    return client


@pytest.fixture(autouse=True)
def alice() -> None:
    sign_up("alice@example.org", password=PASSWORD)


def is_signed_in(cookie: str) -> bool:
    client = Client()
    client.cookies["sessionid"] = cookie
    return client.get(reverse("accounts:account")).status_code == 200


def test_the_database_has_a_digest_of_the_cookie() -> None:
    cookie = signed_in().cookies["sessionid"].value
    assert len(cookie) == 32
    assert Session.objects.get().session_key == UserSession.objects.get().session_key == key_of_cookie(cookie)
    assert is_signed_in(cookie)


def test_a_session_key_is_no_cookie() -> None:
    signed_in()
    assert not is_signed_in(Session.objects.get().session_key)
    assert not is_signed_in(Session.objects.get().session_data)


def test_the_content_is_encrypted_and_bound_to_its_session() -> None:
    alices, other = signed_in(), Client()
    other.get(reverse("account_login"))
    visitor = other.session  # without a user
    visitor["kept"] = "hello"
    visitor.save()
    stored = Session.objects.get(session_key=visitor.session_key)
    assert "hello" not in stored.session_data and "aGVsbG8" not in stored.session_data

    signed = Session.objects.get(session_key=alices.session.session_key)
    Session.objects.filter(pk=stored.pk).update(session_data=signed.session_data)
    assert not is_signed_in(other.cookies["sessionid"].value)


def test_content_without_its_key_ends_the_session() -> None:
    client = signed_in()
    with override_settings(SECRETS_KEY=("another key of 32 characters or more",)):
        assert client.get(reverse("accounts:account")).status_code == 302


def test_the_cookie_keeps_its_attributes() -> None:
    cookie = signed_in().cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


def test_an_unknown_cookie_is_replaced() -> None:
    client = Client()
    client.cookies["sessionid"] = "f" * 32  # an attacker's choice
    client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
    assert client.cookies["sessionid"].value != "f" * 32
    assert not is_signed_in("f" * 32)


def test_other_sessions_can_be_ended() -> None:
    here, elsewhere = signed_in(), signed_in()
    page = here.get(reverse("usersessions_list"))
    assert page.context["session_count"] == 2
    keys = [session.session_key for session in page.context["sessions"]]
    assert set(keys) == {here.session.session_key, elsewhere.session.session_key}
    assert page.content.decode().count("This session") == 1

    here.post(reverse("usersessions_list"))

    assert not is_signed_in(elsewhere.cookies["sessionid"].value)
    assert is_signed_in(here.cookies["sessionid"].value)


def test_signing_out_deletes_the_session() -> None:
    client = signed_in()
    cookie = client.cookies["sessionid"].value
    client.post(reverse("account_logout"))
    assert not is_signed_in(cookie)
    assert not Session.objects.filter(session_key=key_of_cookie(cookie)).exists()


def test_a_new_session_has_a_cookie() -> None:
    store = SessionStore()
    store["kept"] = 1
    store.save()
    assert store.cookie_value and store.session_key == key_of_cookie(store.cookie_value)
    assert SessionStore.from_cookie(store.cookie_value)["kept"] == 1
