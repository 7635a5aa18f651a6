"""Data of 0.1.0: its secrets are encrypted by the migrations, and everything that it had opened still opens."""

import importlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as OldSessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.sessions import key_of_cookie
from chatapi.encryption.columns import encrypted_columns
from hooks.models import Endpoint
from instances.models import Chat, Instance
from tests.authenticator_app import code_of
from tests.hooks.newest_tables import restore_newest_tables

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]  # it migrates three times

BEFORE = [
    ("accounts", "0008_addresses_in_a_labels"),
    ("hooks", "0015_staff_search"),
    ("instances", "0015_staff_search"),
]
TOKEN, SECRET, PREVIOUS, CODE = (
    "0123456789abcdef01234567",
    "whsec_" + "A" * 32,
    "whsec_" + "B" * 32,
    "Kq3vX9mBt0aZ",
)
SEED, RECOVERY_SEED, COOKIE = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "f" * 80, "abcdefghijklmnopqrstuvwxyz012345"

KNOWN = (TOKEN, SECRET, PREVIOUS, CODE, SEED, RECOVERY_SEED, COOKIE)


def migrate(targets: list[tuple[str, str]] | None = None) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets or executor.loader.graph.leaf_nodes())
    return executor.loader.project_state(targets or executor.loader.graph.leaf_nodes()).apps


@pytest.fixture
def old() -> Iterator[Any]:
    """The models of 0.1.0, on its tables. The tables are the newest again after the test."""
    yield migrate(BEFORE)
    restore_newest_tables()


def write_rows(old: Any) -> None:
    """One row of every table with secrets, as 0.1.0 wrote them."""
    user = old.get_model("accounts", "User").objects.create(email="alice@example.org", password="!")
    account = old.get_model("accounts", "Account").objects.create(owner=user)
    instance = old.get_model("instances", "Instance").objects.create(
        owner=account, number=12345, token=TOKEN, paid_until=timezone.now() + timedelta(days=9)
    )
    old.get_model("instances", "OutgoingQueue").objects.create(instance=instance)
    old.get_model("hooks", "Endpoint").objects.create(
        instance=instance,
        secret=SECRET,
        previous_secret=PREVIOUS,
        previous_secret_until=timezone.now() + timedelta(hours=3),
    )
    for name in ("Lane", "Tally"):
        old.get_model("hooks", name).objects.create(endpoint_id=instance.pk)
    chats = old.get_model("instances", "Chat").objects
    chats.create(instance=instance, chat_id="1-2@g.us", is_group=True, invite_code=CODE)
    chats.create(instance=instance, chat_id="17680561234@c.us")
    made = Authenticator.objects
    made.create(user_id=user.pk, type="totp", data={"secret": SEED})
    made.create(user_id=user.pk, type="recovery_codes", data={"seed": RECOVERY_SEED, "used_mask": 5})
    content = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "accounts.backends.EntranceBackend",
        HASH_SESSION_KEY: User(password="!").get_session_auth_hash(),
        "kept": "hellö",
    }
    ends = timezone.now() + timedelta(days=1)
    Session.objects.create(
        session_key=COOKIE, session_data=OldSessionStore().encode(content), expire_date=ends
    )
    Session.objects.create(session_key="x" * 32, session_data="unreadable", expire_date=ends)
    UserSession.objects.create(user_id=user.pk, ip="127.0.0.1", session_key=COOKIE, user_agent="old")


def test_secrets_are_encrypted_and_open_what_they_opened(old: Any) -> None:
    write_rows(old)
    migrate()
    check_that_all_open()
    assert stored_in_plain_text() == []

    for app, name, function in REPEATED:  # as after an interruption: nothing is encrypted or hashed twice
        getattr(importlib.import_module(f"{app}.migrations.{name}"), function)(None, None)
    check_that_all_open()

    reversed_models = migrate(BEFORE)
    assert reversed_models.get_model("instances", "Instance").objects.get().token == TOKEN
    endpoint = reversed_models.get_model("hooks", "Endpoint").objects.get()
    assert (endpoint.secret, endpoint.previous_secret) == (SECRET, PREVIOUS)
    assert {one.data.get("secret") for one in Authenticator.objects.all()} == {SEED, None}
    assert not Session.objects.exists()


REPEATED = [
    ("instances", "0018_encrypt_tokens", "encrypt"),
    ("hooks", "0017_encrypt_secrets", "encrypt"),
    ("accounts", "0011_encrypt_seeds_and_sessions", "forwards"),
]


def check_that_all_open() -> None:
    assert Instance.objects.get().token == TOKEN
    assert Client().get(f"/instance12345/status?token={TOKEN}").status_code == 200
    assert Endpoint.objects.get().valid_secrets() == [SECRET, PREVIOUS]
    assert list(Chat.objects.with_invite_code(CODE).values_list("chat_id", flat=True)) == ["1-2@g.us"]
    assert sorted(chat.invite_code for chat in Chat.objects.all()) == ["", CODE]
    authenticators = {one.type: one for one in Authenticator.objects.all()}
    cache.clear()  # a code is accepted once
    assert TOTP(authenticators["totp"]).validate_code(code_of(SEED))
    assert authenticators["recovery_codes"].data["used_mask"] == 5
    assert len(RecoveryCodes(authenticators["recovery_codes"]).get_unused_codes()) == 8

    client = Client()
    client.cookies["sessionid"] = COOKIE
    assert client.get(reverse("accounts:account")).status_code == 200
    assert client.session["kept"] == "hellö"
    assert Session.objects.get().session_key == UserSession.objects.get().session_key == key_of_cookie(COOKIE)


def stored_in_plain_text() -> list[tuple[str, str]]:
    """The tables, with the secrets of 0.1.0 that their rows contain."""
    found = []
    for table in {column.table for column in encrypted_columns()} | {"usersessions_usersession"}:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT t::text FROM {table} t")
            rows = "\n".join(row for (row,) in cursor.fetchall())
        found += [(table, secret) for secret in KNOWN if secret in rows]
    return found
