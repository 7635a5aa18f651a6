"""SIGNUP: who may create an account, by every way to one."""

import json
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.actions import members, registration
from accounts.models import Account, AuditEntry, User
from tests.product import ROOT, product_environment

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"
INVITED, CLOSED = override_settings(SIGNUP="invited"), override_settings(SIGNUP="closed")


def post(client: Client, email: str, **more: str) -> Any:
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD} | more
    return client.post(reverse("account_signup"), form)


def invitation_token(link: str) -> str:
    return parse_qs(urlsplit(link).query)["invitation"][0]


@pytest.mark.parametrize("mode", ["invited", "closed"])
def test_nobody_signs_up_without_an_invitation(client: Client, alice: Account, mode: str) -> None:
    with override_settings(SIGNUP=mode, SUPPORT_EMAIL="help@example.org"):
        page = client.get(reverse("account_signup")).content.decode()
        response = post(client, "eve@example.org")

    assert ("By invitation only" if mode == "invited" else "No new accounts") in page
    assert "help@example.org" in page
    assert "password1" not in page
    assert "password1" not in response.content.decode()
    assert User.objects.get() == alice.owner


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "a:b:c", "\x00"])
@INVITED
def test_a_wrong_token_opens_nothing(client: Client, token: str) -> None:
    assert post(client, "eve@example.org", invitation=token).status_code == 200
    assert not User.objects.exists()


@INVITED
def test_a_member_invitation_lets_its_address_sign_up(client: Client, alice: Account) -> None:
    _, token = members.invite(alice, email="eve@example.org", role="viewer", acting_user=alice.owner)

    page = client.get(reverse("accounts:invitation"), {"token": token})
    form = client.get(f"{reverse('account_signup')}{page.context['sign_up_query']}")
    response = post(client, "Eve@example.org", **{
        name: form.context["form"][name].value() for name in ("invitation",)
    }, next=form.context["redirect_field_value"])  # fmt: skip

    assert form.context["form"]["email"].value() == "eve@example.org"
    assert (response.status_code, response["Location"]) == (
        302,
        f"{reverse('accounts:invitation')}?token={token}",
    )
    eve = User.objects.get(email="eve@example.org")
    assert members.accept(token, acting_user=eve).account == alice


@INVITED
def test_an_invitation_is_for_one_address(client: Client, alice: Account) -> None:
    _, token = members.invite(alice, email="eve@example.org", role="viewer", acting_user=alice.owner)

    response = post(client, "mallory@example.org", invitation=token)

    assert response.context["form"].errors["email"] == [
        "The invitation is for eve@example.org. Use that address, or ask for an invitation to this one."
    ]
    assert not User.objects.filter(email="mallory@example.org").exists()


@INVITED
def test_a_cancelled_or_expired_invitation_opens_nothing(client: Client, alice: Account) -> None:
    invitation, token = members.invite(alice, email="eve@example.org", role="viewer", acting_user=alice.owner)
    sent = registration.invite_to_sign_up("max@example.org", acting_user=None)
    members.revoke(invitation, acting_user=alice.owner)

    page = client.get(reverse("account_signup"), {"invitation": token}).content.decode()
    assert "This invitation is not valid" in page
    assert post(client, "eve@example.org", invitation=token).status_code == 200
    with time_machine.travel(timezone.now() + members.INVITATION_VALID_FOR + timedelta(seconds=2)):
        assert post(client, "max@example.org", invitation=sent).status_code == 200
    assert list(User.objects.all()) == [alice.owner]


@CLOSED
def test_closed_refuses_invitations_too(client: Client, alice: Account) -> None:
    _, token = members.invite(alice, email="eve@example.org", role="viewer", acting_user=alice.owner)

    page = client.get(reverse("accounts:invitation"), {"token": token}).content.decode()
    assert reverse("account_signup") not in page
    assert "does not accept new accounts" in page
    post(client, "eve@example.org", invitation=token)
    assert list(User.objects.all()) == [alice.owner]
    with pytest.raises(CommandError, match="does not accept new accounts"):
        call_command("invite", "eve@example.org")


@INVITED
def test_the_command_invites_an_address(client: Client) -> None:
    printed = StringIO()
    with override_settings(EMAIL_URL="submission://mail.example.org"):
        call_command("invite", "Max@Example.org", stdout=printed, stderr=StringIO())
    link = printed.getvalue().strip()
    assert link in str(mail.outbox[0].body)
    assert mail.outbox[0].to == ["max@example.org"]

    assert post(client, "max@example.org", invitation=invitation_token(link)).status_code == 302
    assert User.objects.get().email == "max@example.org"
    assert AuditEntry.objects.filter(
        action="account.sign_up_invited", subject_text="max@example.org"
    ).exists()
    with pytest.raises(CommandError, match="already has an account"):
        call_command("invite", "max@example.org")
    with pytest.raises(CommandError, match="is not an e-mail address"):
        call_command("invite", "max")


def test_a_link_does_not_open_another_purpose(client: Client) -> None:
    token = registration.invite_to_sign_up("max@example.org", acting_user=None)
    assert client.get(reverse("accounts:invitation"), {"token": token}).status_code == 404


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "open"),
        ({"DATABASE_URL": "postgresql://ann:pass@db.example.com/chat"}, "invited"),
        ({"DATABASE_URL": "postgresql://ann:pass@db.example.com/chat", "SIGNUP": "open"}, "open"),
        ({"SIGNUP": "Closed"}, "closed"),
    ],
)
def test_the_default_depends_on_the_database(
    tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    code = "import json; from django.conf import settings; print(json.dumps(settings.SIGNUP))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=product_environment(tmp_path, DJANGO_SETTINGS_MODULE="chatapi.settings", **environment),
    )  # fmt: skip
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("mode", ["open", "invited", "closed"])
def test_the_sign_in_page_says_how_to_get_an_account(client: Client, mode: str) -> None:
    with override_settings(SIGNUP=mode):
        page = client.get(reverse("account_login")).content.decode()
    assert ("Create account" in page) == (mode == "open")
    assert ("How to get one" in page) == (mode != "open")
