"""Sensitive changes ask for the password again, on pages and for htmx, and lose nothing that was typed."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.audit import AuditAction
from accounts.models import AccountKey, AuditEntry, Invitation
from instances.models import Instance
from tests.chatapi.permissions import ADDRESSES, World
from tests.chatapi.test_permissions import ROWS
from tests.sessions import METHODS, forget_password

pytestmark = pytest.mark.django_db
PASSWORD = "password"

NEW_KEY = {"name": "CI", "can_read": "on"}

# Every one asks. Of account_email, each button does: add, remove, make main.
SENSITIVE = {
    "accounts:keys", "accounts:key-rotate", "accounts:members", "accounts:member-role", "accounts:member-remove",
    "account-delete", "account_email", "mfa_activate_totp", "mfa_generate_recovery_codes", "instances:token",
    "instances:secret", "instances:secret-end", "instances:delete", "instances:endpoint-secret",
    "instances:endpoint-secret-end", "account-alerts:rotate-secret", "account-alerts:end-secret",
}  # fmt: skip
# Their names sound like the ones above. Why they do not ask:
NOT_SENSITIVE = {
    "accounts:member-leave": "one's own access ends",
    "accounts:key-revoke": "a key's access ends",
    "accounts:invitation-revoke": "no user gains access",
    "accounts:invitation-accept": "gives access to the user themselves, who holds the link",
    "account_change_password": "its form has the current password",
    "account_set_password": "for users without a password",
    "account_reset_password": "for users who are not signed in",
    "account_reset_password_from_key": "the key of the mail is the proof",
    "account_confirm_email": "the key of the mail is the proof",
    "account_reauthenticate": "takes the password",
    "mfa_reauthenticate": "takes the code",
    "mfa_authenticate": "the sign-in itself",
    "mfa_deactivate_totp": "404 without an app; see test_second_factor",
    "mfa_download_recovery_codes": "404 without codes; see test_second_factor",
    "account_signup": "no user yet",
    "account-alerts:remove": "no data leaves the site, and the owner still gets mails about issues",
    "instances:endpoint-remove": "like removing the webhook URL: the log stays, and no data leaves the site",
    "instances:account-remove": "stops the instance; its messages and settings stay, and no data leaves the site",
    "testing:bin-delete": "test data",
    "testing:bin-delete-all": "test data",
    "testing:bin-signature": "verifies one, changes nothing",
}
SOUNDS_SENSITIVE = re.compile(
    r"delet|remov|role|token|secret|key|member|email|password|recovery|totp|invit|sign"
)


@pytest.fixture
def world(settings: Any) -> World:
    settings.ACCOUNT_RATE_LIMITS = False
    return World()


def owner_without_password(world: World) -> Client:
    client = world.client("owner")
    forget_password(client)
    return client


def form_of(world: World, name: str) -> dict[str, str]:
    """The fields of the sensitive forms."""
    return {
        "accounts:keys": NEW_KEY,
        "accounts:members": {"email": "eve@example.org", "role": "viewer"},
        "accounts:member-role": {"role": "manager"},
        "account_email": {"action_add": "", "email": "eve@example.org"},
        "instances:delete": {"number": str(world.instance.number)},
        "account-delete": {"email": world.account.owner.email},
    }.get(name, {})


@pytest.mark.parametrize("name", sorted(SENSITIVE))
def test_a_sensitive_change_asks_for_the_password(world: World, name: str) -> None:
    client, entries = owner_without_password(world), AuditEntry.objects.count()
    response = client.post(world.address(name), form_of(world, name))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_reauthenticate")), name
    assert AuditEntry.objects.count() == entries  # nothing was changed
    page = client.get(response["Location"]).content.decode()
    assert "Confirm it's you" in page
    assert "Enter your password to continue." in page


@pytest.mark.parametrize("name", sorted(SENSITIVE - {"account_email", "mfa_activate_totp"}))
def test_for_htmx_the_refusal_names_the_page_that_takes_the_password(world: World, name: str) -> None:
    response = owner_without_password(world).post(world.address(name), headers={"HX-Request": "true"})
    assert (response.status_code, response["Confirm-Password"]) == (403, reverse("account_reauthenticate"))
    assert response["Content-Type"].startswith("text/plain")
    assert "password" in response.content.decode()


def test_every_address_that_sounds_sensitive_is_decided() -> None:
    posted = {name for name, method in ROWS if method == "POST" and not name.startswith("instances-api:")}
    sounding = {name for name in posted if SOUNDS_SENSITIVE.search(name)}
    undecided = sounding - SENSITIVE - set(NOT_SENSITIVE)
    assert not undecided, f"Add them to SENSITIVE, or to NOT_SENSITIVE with the reason: {sorted(undecided)}"
    assert set(ADDRESSES) >= SENSITIVE | set(NOT_SENSITIVE)


def test_no_decorated_view_is_missing_here() -> None:
    def views(resolver: Any, namespace: str = "") -> set[str]:
        found: set[str] = set()
        for pattern in resolver.url_patterns:
            if hasattr(pattern, "url_patterns"):
                inner = namespace + (f"{pattern.namespace}:" if pattern.namespace else "")
                found |= views(pattern, inner)
            elif asks(pattern.callback):
                found.add(namespace + pattern.name)
        return found

    def asks(view: Any) -> bool:
        while view is not None:
            if getattr(view, "asks_password", False):
                return True
            view = getattr(view, "__wrapped__", None)
        return False

    decorated = {name for name in views(get_resolver()) if not name.startswith("admin:")}
    assert decorated - SENSITIVE == {"account-export"}  # it is read with GET


def confirm(client: Client, asked: Any, password: str = PASSWORD) -> Any:
    return client.post(asked["Location"], {"password": password})


def test_after_the_password_the_form_is_sent_as_it_was(world: World) -> None:
    client = owner_without_password(world)
    asked = client.post("/account/members/", {"email": "eve@example.org", "role": "manager"})
    wrong = confirm(client, asked, "wrong")
    assert "The password is wrong." in wrong.content.decode()
    assert not Invitation.objects.filter(email="eve@example.org").exists()
    done = confirm(client, asked)
    assert done.status_code in (200, 302)
    assert Invitation.objects.get(email="eve@example.org").role == "manager"


def test_a_key_is_shown_after_the_password_and_only_once(world: World) -> None:
    client = owner_without_password(world)
    asked = client.post("/account/keys/", NEW_KEY)
    page = confirm(client, asked).content.decode()
    [key] = re.findall(r"uid_\w{40}", page)[:1]
    assert AccountKey.objects.matching(key) is not None
    number = AccountKey.objects.count()
    confirm(client, asked)  # the page of the password is sent again: the form is gone
    assert AccountKey.objects.count() == number


def test_an_instance_is_deleted_after_the_password(world: World) -> None:
    client, number = owner_without_password(world), world.instance.number
    asked = client.post(f"/instances/{number}/delete/", {"number": str(number)})
    assert Instance.objects.filter(number=number).exists()
    assert confirm(client, asked)["Location"] == reverse("instances:list")
    assert not Instance.objects.filter(number=number).exists()


def test_a_form_that_was_left_is_not_sent_by_a_later_question(world: World) -> None:
    client, keys = owner_without_password(world), AccountKey.objects.count()
    client.post("/account/keys/", NEW_KEY)  # left behind
    asked = client.get("/account/export/")
    done = confirm(client, asked)
    assert done["Location"] == "/account/export/"
    assert AccountKey.objects.count() == keys

    forget_password(client)
    client.post(
        "/account/keys/", NEW_KEY
    )  # left behind, then the page of the password is opened for another page
    done = client.post(f"{reverse('account_reauthenticate')}?next=/account/", {"password": PASSWORD})
    assert done["Location"] == "/account/"
    assert AccountKey.objects.count() == keys


def test_a_form_is_kept_for_ten_minutes(world: World, time_machine: Any) -> None:
    client, keys = owner_without_password(world), AccountKey.objects.count()
    asked = client.post("/account/keys/", NEW_KEY)
    time_machine.move_to(time.time() + 601)
    assert confirm(client, asked)["Location"] == "/account/keys/"
    assert AccountKey.objects.count() == keys


def test_the_session_keeps_neither_cookies_nor_the_csrf_token(world: World) -> None:
    client = owner_without_password(world)
    client.post("/account/members/", {"email": "eve@example.org", "csrfmiddlewaretoken": "x" * 64})
    kept = str(dict(client.session))
    assert "eve%40example.org" in kept
    assert str(client.session.session_key) not in kept
    assert "xxxx" not in kept
    assert "COOKIE" not in kept


def test_the_password_counts_for_five_minutes(world: World, time_machine: Any) -> None:
    client = world.client("owner")
    assert client.post("/account/keys/", NEW_KEY).status_code == 200
    given_at = max(record["at"] for record in client.session[METHODS])
    time_machine.move_to(given_at + 299, tick=False)
    assert client.post("/account/keys/", NEW_KEY).status_code == 200
    time_machine.move_to(given_at + 301, tick=False)
    assert client.post("/account/keys/", NEW_KEY).status_code == 302


def test_signing_in_alone_is_not_enough(world: World) -> None:
    client = Client()
    client.post(reverse("account_login"), {"login": world.account.owner.email, "password": PASSWORD})
    assert client.session[METHODS][0]["method"] == "password"
    assert client.post("/account/keys/", NEW_KEY).status_code == 302


def test_staff_confirm_a_change_of_rights(world: World) -> None:
    client = world.client("staff")
    forget_password(client)
    user = world.people["stranger"]
    path = reverse("admin:accounts_user_change", args=[user.pk])
    assert client.get(path).status_code == 200
    asked = client.post(path, {"is_active": "on", "is_staff": "on"})
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    confirm(client, asked)
    user.refresh_from_db()
    assert user.is_staff
    assert AuditEntry.objects.filter(action=AuditAction.RIGHTS, subject_id=user.pk).exists()
