"""E-mail addresses with a non-ASCII domain: IDNA 2008 wherever one is stored, compared or mailed to."""

import re
from importlib import import_module
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.actions import members
from accounts.actions.users import sign_up
from accounts.email_addresses import normal_address
from accounts.models import Invitation, User
from chatapi.settings import with_a_labels
from tests.factories import AccountFactory

PASSWORD = "correct horse 9"
WIRE = "ann@xn--strae-oqa.example"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Ann@Straße.example", WIRE),
        (" ann@STRASSE.example ", "ann@strasse.example"),
        (WIRE.upper(), WIRE),
        ("ann@faß.de", "ann@xn--fa-hia.de"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@βόλος.com", "ann@xn--nxasmm1c.com"),
        ("ann@ｅｘａｍｐｌｅ.org", "ann@example.org"),
        ("ann@i❤.ws", "ann@xn--i-7iq.ws"),
        ("josé@example.org", "josé@example.org"),
        ("ann", "ann"),
        ("", ""),
        ("ann@\u200d.example", "ann@\u200d.example"),
    ],
)
def test_the_stored_spelling(typed: str, stored: str) -> None:
    assert normal_address(typed) == stored
    assert normal_address(stored) == stored


@pytest.fixture
def with_mail(settings: Any) -> None:
    settings.EMAIL_URL, settings.ACCOUNT_EMAIL_VERIFICATION = "submission://h", "mandatory"


def wire_recipients() -> list[str]:
    """The To headers as they are sent."""
    return [str(sent.message()["To"]) for sent in mail.outbox]


@pytest.mark.django_db
class TestPages:
    def test_sign_up_confirms_at_the_right_domain(self, client: Client, with_mail: None) -> None:
        form = {"email": "Ann@straße.example", "password1": PASSWORD, "password2": PASSWORD}
        assert client.post(reverse("account_signup"), form).status_code == 302
        assert wire_recipients() == [WIRE]
        assert User.objects.get().email == EmailAddress.objects.get().email == WIRE

    @pytest.mark.parametrize("spelling", ["ann@straße.example", "ANN@STRAßE.example", WIRE])
    def test_both_spellings_are_one_account(self, client: Client, spelling: str) -> None:
        user = sign_up("ann@straße.example", password=PASSWORD).owner
        form = {"email": spelling, "password1": PASSWORD, "password2": PASSWORD}
        assert client.post(reverse("account_signup"), form).context["form"].errors["email"]
        client.post(reverse("account_login"), {"login": spelling, "password": PASSWORD})
        assert client.session["_auth_user_id"] == str(user.pk)

    def test_another_domain_is_another_account(self, client: Client) -> None:
        sign_up("ann@strasse.example", password=PASSWORD)
        client.post(reverse("account_login"), {"login": "ann@straße.example", "password": PASSWORD})
        assert "_auth_user_id" not in client.session

    @pytest.mark.parametrize("spelling", ["ann@straße.example", WIRE])
    def test_a_reset_goes_to_the_right_domain(self, client: Client, with_mail: None, spelling: str) -> None:
        sign_up("ann@straße.example", password=PASSWORD)
        client.post(reverse("account_reset_password"), {"email": spelling})
        assert wire_recipients() == [WIRE]
        assert re.search(r"/accounts/password/reset/key/", str(mail.outbox[0].body))

    def test_a_reset_for_an_unknown_address(self, client: Client, with_mail: None) -> None:
        client.post(reverse("account_reset_password"), {"email": "ann@straße.example"})
        assert wire_recipients() == [WIRE]

    def test_an_invitation(self, client: Client, settings: Any) -> None:
        settings.EMAIL_URL = "submission://h"
        account = AccountFactory(email="alice@example.org")
        client.force_login(account.owner)
        client.post(reverse("accounts:members"), {"email": "ann@straße.example", "role": "viewer"})
        assert wire_recipients() == [WIRE]
        assert Invitation.objects.get().email == WIRE

    def test_the_invited_user_accepts(self) -> None:
        account = AccountFactory(email="alice@example.org")
        _, token = members.invite(
            account, email="ann@straße.example", role="viewer", acting_user=account.owner
        )
        ann = sign_up(WIRE, password=PASSWORD).owner
        assert members.accept(token, acting_user=ann).user == ann


def test_the_sender_of_mails() -> None:
    assert with_a_labels("Straße <chatapi@straße.example>") == "Straße <chatapi@xn--strae-oqa.example>"
    assert with_a_labels("chatapi@straße.example") == "<chatapi@xn--strae-oqa.example>"
    assert with_a_labels("Chat API <chatapi@example.org>") == "Chat API <chatapi@example.org>"


@pytest.mark.django_db
def test_stored_addresses_are_rewritten_unless_that_spelling_is_taken() -> None:
    old, twin = (sign_up(f"{name}@example.org", password=PASSWORD).owner for name in ("old", "twin"))
    taken = sign_up("twin@straße.example", password=PASSWORD).owner
    for user, email in ((old, "old@straße.example"), (twin, "twin@straße.example")):
        User.objects.filter(pk=user.pk).update(email=email)
    EmailAddress.objects.create(user=old, email="old@straße.example")
    migration = import_module("accounts.migrations.0008_addresses_in_a_labels")
    migration.rewrite(apps, None)
    stored = dict(User.objects.values_list("pk", "email"))
    assert stored[old.pk] == EmailAddress.objects.get().email == "old@xn--strae-oqa.example"
    assert (stored[twin.pk], stored[taken.pk]) == ("twin@straße.example", "twin@xn--strae-oqa.example")
