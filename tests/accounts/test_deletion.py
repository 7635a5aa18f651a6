"""After a deletion no table has the person's address, name or number; the export has everything before it."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.sessions.models import Session
from django.core.files.storage import storages
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Task

from accounts.actions import members, sessions
from accounts.actions.keys import issue_key
from accounts.actions.users import record_own_change
from accounts.audit import AuditAction
from accounts.models import Account, AuditEntry, Invitation, User
from accounts.pseudonyms import pseudonym_of_user
from chatapi.account_data import contents
from chatapi.account_data.deletion import delete_everything
from chatapi.account_data.export import account_json
from hooks.actions import redelivery
from hooks.maintenance import deleted_instances
from instances.actions import deleted_data, media
from instances.actions.media import store_media
from instances.actions.messages import receive_message
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from tests.factories import InstanceFactory, UserFactory, member_of

pytestmark = pytest.mark.django_db
PASSWORD = "password"
# Planted in every place that a person or a contact of theirs can be in.
EMAIL, OLD_EMAIL, INVITED = "alice.liddell@example.org", "alice.old@example.org", "invited@example.org"
NAME, CONTACT, BODY = "Wonderland Ltd", "17680561234", "the-words-of-a-contact"
PLANTED = ("alice.liddell", "alice.old", "invited@", "wonderland", CONTACT, BODY)


@pytest.fixture(autouse=True)
def with_mail(settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_URL = "submission://h"
    local = settings.STORAGES["media"]
    options = local["OPTIONS"] | {"location": tmp_path / "media"}
    settings.STORAGES = settings.STORAGES | {"media": local | {"OPTIONS": options}}


@pytest.fixture
def alice() -> User:
    """With an instance and everything in it, traces in other accounts, and staff who looked at her pages."""
    alice = UserFactory(email=EMAIL, name=NAME)
    account, client = alice.account, Client()
    bob, staff = (
        UserFactory(email="bob@example.org"),
        UserFactory(email="staff@example.org", is_superuser=True, is_staff=True),
    )
    client.post(reverse("account_login"), {"login": EMAIL, "password": PASSWORD})
    EmailAddress.objects.update_or_create(
        user=alice, email=EMAIL, defaults={"primary": True, "verified": True}
    )
    EmailAddress.objects.create(user=alice, email=OLD_EMAIL)
    record_own_change(alice, action=AuditAction.EMAIL_CHANGED, email=EMAIL, old_email=OLD_EMAIL)
    AuditEntry.objects.filter(actor=alice).first().save()  # type: ignore[union-attr]
    issue_key(account, acting_user=alice)
    instance = InstanceFactory(
        owner=account, name=f"Shop of {NAME}", url="http://127.0.0.1:9/hook", phone=CONTACT
    )
    receive_message(instance, sender=CONTACT, body=BODY)
    store_media(instance, content=io.BytesIO(b"\xff\xd8\xffpicture"), filename=f"{NAME}.jpg")
    redelivery.plan(
        Instance.objects.filter(pk=instance.pk), wanted={"chat": f"{CONTACT}@c.us"}, acting_user=alice
    )
    for owned in (bin_actions.open_bin(instance), bin_actions.open_own_bin(account)):
        capture_actions.capture(owned.key, method="POST", body=BODY.encode())
    members.invite(account, email=INVITED, role="viewer", acting_user=alice)
    members.remove(account.members.get(user=member_of(account, "viewer")), acting_user=alice)
    _, token = members.invite(bob.account, email=EMAIL, role="manager", acting_user=bob)
    members.accept(token, acting_user=alice)
    members.invite(bob.account, email=OLD_EMAIL, role="viewer", acting_user=bob)
    looking = Client()
    looking.force_login(staff)
    tool = reverse("admin:accounts_account_tool", args=["look"])
    looking.post(f"{tool}?pk={account.pk}", {"reason": f"{NAME} called"})
    looking.get(f"/instances/{instance.number}/messages/{CONTACT}@c.us/")
    LogEntry.objects.log_actions(staff.pk, [alice], CHANGE, "Changed rights.", single_object=True)
    return alice


def tables_with(words: tuple[str, ...]) -> dict[str, list[str]]:
    """Returns the tables that contain one of the words, read as text, queued tasks unpacked."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{name}" t')
            rows = [row[0].lower() for row in cursor.fetchall()]
            if name == "django_q_ormq":
                rows += [str(queued.task).lower() for queued in OrmQ.objects.all()]
            if name == "hooks_hook":  # bodies are bytea
                cursor.execute("SELECT convert_from(body, 'UTF8') FROM hooks_hook")
                rows += [row[0].lower() for row in cursor.fetchall() if row[0]]
            hits = sorted({word for word in words if any(word in row for row in rows)})
            if hits:
                found[name] = hits
    return found


def delete(user: User) -> None:
    delete_everything(user.account, acting_user=user)
    deleted_instances.drop()
    deleted_data.drop()
    media.drop_old()


def test_the_person_is_in_no_table_after_the_deletion(alice: User) -> None:
    before = tables_with(PLANTED)
    assert {"accounts_user", "accounts_auditentry", "django_admin_log", "hooks_redelivery"} <= set(before)
    delete(alice)
    after = tables_with(PLANTED)
    # The mail that says so is queued; it goes once it is sent.
    assert after == {"django_q_ormq": ["alice.liddell"]}
    [left] = [queued.task for queued in OrmQ.objects.all() if EMAIL in str(queued.task["args"])]
    assert AuditEntry.objects.get(pk=left["args"][0]).action == AuditAction.ACCOUNT_DELETED


def test_the_audit_log_keeps_one_pseudonym_of_the_person(alice: User) -> None:
    name, pk = pseudonym_of_user(alice), alice.pk
    actions = set(AuditEntry.objects.filter(actor=alice).values_list("action", flat=True))
    delete(alice)
    kept = AuditEntry.objects.filter(actor_text=name)
    assert set(kept.values_list("action", flat=True)) == actions | {
        AuditAction.INSTANCE_DELETED,
        AuditAction.ACCOUNT_DELETED,
    }
    assert len(actions) > 5
    assert re.fullmatch(r"user-[0-9a-f]{12}", name)
    assert name != pseudonym_of_user(User(pk=pk + 1))
    assert AuditEntry.objects.filter(subject_kind="user", subject_id=str(pk)).first().subject_text == name  # type: ignore[union-attr]
    joined = AuditEntry.objects.get(action=AuditAction.MEMBER_JOINED, subject_id=name)
    assert (joined.account, joined.detail) == (
        Account.objects.get(owner__email="bob@example.org"),
        {"role": "manager"},
    )
    invited = AuditEntry.objects.filter(action=AuditAction.MEMBER_INVITED, subject_id__startswith="person-")
    assert invited.exists()


def test_looks_keep_no_path_and_no_reason(alice: User) -> None:
    looks = [AuditAction.IMPERSONATION_STARTED, AuditAction.PAGE_VIEWED]
    keys = list(AuditEntry.objects.filter(action__in=looks).values_list("pk", flat=True))
    assert len(keys) == 2
    delete(alice)
    for entry in AuditEntry.objects.filter(pk__in=keys):
        assert set(entry.detail) <= {"until"}
        assert entry.actor_text == "staff@example.org"  # they still exist


def test_other_accounts_keep_their_own_history(alice: User) -> None:
    bob = Account.objects.get(owner__email="bob@example.org")
    before = AuditEntry.objects.filter(account=bob, actor=bob.owner).count()
    delete(alice)
    kept = AuditEntry.objects.filter(account=bob, actor=bob.owner)
    assert kept.count() == before
    assert set(kept.values_list("actor_text", flat=True)) == {"bob@example.org"}
    assert not bob.members.exists()
    assert not Invitation.objects.filter(account=bob, email=OLD_EMAIL).exists()


def test_files_and_sessions_go(alice: User) -> None:
    folder = Path(storages["media"].location)  # type: ignore[attr-defined]
    assert [path for path in folder.rglob("*") if path.is_file()]
    assert UserSession.objects.filter(user=alice).exists()
    keys = list(UserSession.objects.filter(user=alice).values_list("session_key", flat=True))
    delete_everything(alice.account, acting_user=alice)
    assert not Session.objects.filter(session_key__in=keys).exists()
    queued = [row.task["func"] for row in OrmQ.objects.all()]
    assert "instances.actions.media.drop_old" in queued
    media.drop_old()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_queued_and_failed_mails_go(alice: User) -> None:
    failed = {"func": "accounts.notices.send_notice", "started": timezone.now(), "stopped": timezone.now()}
    Task.objects.create(id="a" * 32, name="a", args=(1, [EMAIL], "x"), success=False, **failed)
    Task.objects.create(id="b" * 32, name="b", args=(1, ["bob@example.org"], "x"), success=False, **failed)
    assert OrmQ.objects.exists()
    delete_everything(alice.account, acting_user=alice)
    notices = [row.task for row in OrmQ.objects.all() if row.task["func"] == "accounts.notices.send_notice"]
    to_alice = [task for task in notices if EMAIL in task["args"][1]]
    assert len(to_alice) == 1  # of the deletion
    assert list(Task.objects.values_list("name", flat=True)) == ["b"]


def test_expired_sessions_are_cleared_with_their_list_entries() -> None:
    alice = UserFactory(email=EMAIL)
    old, new = Client(), Client()
    for client in (old, new):
        client.post(reverse("account_login"), {"login": EMAIL, "password": PASSWORD})
    Session.objects.filter(session_key=old.session.session_key).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    assert UserSession.objects.filter(user=alice).count() == 2
    sessions.delete_expired()
    assert Session.objects.count() == 1
    assert UserSession.objects.get(user=alice).session_key == new.session.session_key


def test_expired_sessions_are_cleared_every_day(settings: Any) -> None:
    assert ("accounts.actions.sessions.delete_expired", 24 * 60) in settings.SCHEDULES.values()


# -- the export


def models_of_a_person() -> set[str]:
    """All models with a relation that leads to a user or an account, at any distance."""
    found = {"accounts.User", "accounts.Account"}
    while True:
        more = {
            model._meta.label
            for model in apps.get_models(include_auto_created=False)
            for field in model._meta.get_fields()
            if field.concrete
            and field.is_relation
            and field.related_model
            and getattr(field.related_model, "_meta", None)
            and field.related_model._meta.label in found
        }
        if more <= found:
            return found
        found |= more


def test_every_model_about_a_person_is_exported_or_named_as_lacking() -> None:
    decided = set(contents.exported_models()) | set(contents.WITHOUT_CONTENT)
    undecided = models_of_a_person() - decided
    assert not undecided, f"Export them (contents.py), or say in WITHOUT_CONTENT why not: {sorted(undecided)}"
    labels = {model._meta.label for model in apps.get_models()}
    assert decided <= labels, "These models do not exist."


def test_the_export_has_everything_that_was_planted(alice: User) -> None:
    text = "".join(account_json(alice.account))
    data = json.loads(text)
    lists = {table.name for table in contents.account_tables()}
    assert lists | {"account", "not_contained", "history", "instances"} == set(data)
    [instance] = data["instances"]
    assert {table.name for table in contents.instance_tables()} <= set(instance)
    assert instance["messages"][0]["body"] == BODY
    assert BODY in instance["hooks"][-1]["body"]
    assert instance["captures"][0]["body"] == BODY
    assert data["my_bin_captures"][0]["body"] == BODY
    assert [row["email"] for row in data["email_addresses"]] == [EMAIL, OLD_EMAIL]
    assert data["sessions"][0]["ip"] == "127.0.0.1"
    assert data["memberships"][0]["account__owner__email"] == "bob@example.org"
    assert data["invitations"][0]["email"] == INVITED
    assert data["redeliveries"][0]["filter"] == {"chat": f"{CONTACT}@c.us"}
    assert instance["files"][0]["filename"] == f"{NAME}.jpg"
    assert AuditAction.KEY_ISSUED in [row["action"] for row in data["history"]]
    assert "staff@example.org" not in text
    assert f"{NAME} called" not in text


def test_the_export_says_what_it_lacks(alice: User) -> None:
    lacking = json.loads("".join(account_json(alice.account)))["not_contained"]
    assert set(lacking) == {"secrets", "files", "other accounts", "staff"}
    assert "recovery codes" in lacking["secrets"]


def test_bytes_that_are_no_text_are_base64(alice: User) -> None:
    instance = Instance.objects.get()
    capture_actions.capture(instance.bin.key, method="POST", body=b"\xff\x00")
    data = json.loads("".join(account_json(alice.account)))
    assert data["instances"][0]["captures"][-1]["body"] == {"base64": "/wA="}
