"""The authenticator app with its recovery codes, and the sessions: the user's pages and our error messages."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.actions.users import sign_up
from accounts.models import User
from tests.authenticator_app import code_of

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def alice() -> User:
    return sign_up("alice@example.org", password=PASSWORD).owner


def signed_in() -> Client:
    client = Client()
    client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
    return client


def set_up(client: Client) -> Any:
    """The app is on; the response after it."""
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
    return client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}, follow=True)


def test_setting_up_the_app_leads_to_the_recovery_codes(alice: User) -> None:
    page = set_up(signed_in())

    assert page.request["PATH_INFO"] == reverse("mfa_view_recovery_codes")
    assert "10 of 10 left" in page.content.decode()
    assert len(page.context["unused_codes"]) == 10


def test_a_wrong_code_does_not_enable_the_app(alice: User) -> None:
    client = signed_in()
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    client.get(reverse("mfa_activate_totp"))

    page = client.post(reverse("mfa_activate_totp"), {"code": "000000"}).content.decode()

    assert "The code is wrong. Enter the code that the app shows now" in page
    assert not alice.authenticator_set.exists()  # type: ignore[attr-defined]


def test_a_code_is_accepted_until_the_one_after_it_ends_and_once(alice: User) -> None:
    with time_machine.travel(NOON, tick=False):
        client = signed_in()
        client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
        secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
        client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
        opened = []
        for periods_ago in (2, 1, 1):
            client = signed_in()
            client.post(reverse("mfa_authenticate"), {"code": code_of(secret, periods_ago=periods_ago)})
            opened.append("_auth_user_id" in client.session)

    assert opened == [False, True, False]


def test_sign_in_requires_a_code_and_accepts_a_recovery_code_once(alice: User) -> None:
    codes = set_up(signed_in()).context["unused_codes"]

    opened = []
    for _ in range(2):
        client = signed_in()
        assert "_auth_user_id" not in client.session
        client.post(reverse("mfa_authenticate"), {"code": codes[0]})
        opened.append("_auth_user_id" in client.session)

    assert opened == [True, False]


def test_new_recovery_codes_replace_the_old_ones(alice: User) -> None:
    client = signed_in()
    before = set(set_up(client).context["unused_codes"])
    assert "stop working immediately" in client.get(reverse("mfa_generate_recovery_codes")).content.decode()

    page = client.post(reverse("mfa_generate_recovery_codes"), follow=True)

    assert not before & set(page.context["unused_codes"])


def test_the_codes_can_be_downloaded(alice: User) -> None:
    client = signed_in()
    codes = set_up(client).context["unused_codes"]

    response = client.get(reverse("mfa_download_recovery_codes"))

    assert response["Content-Disposition"].startswith("attachment")
    assert response.content.decode().split() == codes


def test_after_disabling_the_app_no_code_is_required(alice: User) -> None:
    client = signed_in()
    set_up(client)

    client.post(reverse("mfa_deactivate_totp"))

    assert "_auth_user_id" in signed_in().session


def test_signing_out_other_sessions_keeps_this_one(alice: User) -> None:
    here, elsewhere = signed_in(), signed_in()
    for client in (elsewhere, here):
        client.get(reverse("accounts:account"))
    assert "Sign out other sessions" in here.get(reverse("usersessions_list")).content.decode()

    page = here.post(reverse("usersessions_list"), follow=True).content.decode()

    assert "Your other sessions are signed out." in page
    assert here.get(reverse("accounts:account")).status_code == 200
    assert elsewhere.get(reverse("accounts:account")).status_code == 302


def test_at_most_five_codes_can_be_tried(alice: User) -> None:
    """With the right password, whatever browser or address the tries come from."""
    set_up(signed_in())
    responses = []
    for number in range(7):
        guesser = Client(REMOTE_ADDR=f"192.0.2.{number}")
        guesser.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
        responses.append(guesser.post(reverse("mfa_authenticate"), {"code": f"{number:06}"}).content.decode())
    assert ["The code is wrong" in page for page in responses] == [True] * 5 + [False] * 2
