"""Mails about sensitive changes: who gets one, what it says, and that a program cannot fill the mailbox."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from accounts import notices
from accounts.actions.keys import issue_key
from accounts.actions.users import set_password
from accounts.audit import AuditAction
from accounts.models import AuditEntry, User
from tests.authenticator_app import code_of
from tests.chatapi.permissions import World
from tests.factories import InstanceFactory, UserFactory

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def with_mail(settings: Any) -> None:
    settings.EMAIL_URL, settings.ACCOUNT_EMAIL_VERIFICATION = "submission://h", "mandatory"
    settings.ACCOUNT_RATE_LIMITS = False


@pytest.fixture
def world() -> World:
    made = World()
    forget_queue()
    return made


def forget_queue() -> None:
    OrmQ.objects.all().delete()
    mail.outbox.clear()


def send_queued() -> list[Any]:
    """Runs the queued notices, as a worker does; returns the mails."""
    for row in OrmQ.objects.order_by("pk"):
        task = row.task
        if task["func"] == "accounts.notices.send_notice":
            notices.send_notice(*task["args"])
        row.delete()
    return mail.outbox


def body_of(sent: Any) -> str:
    return str(sent.body)


CHANGES = {
    "accounts:keys": ({"name": "CI", "can_read": "on"}, "A new account key, uid_"),
    "accounts:members": ({"email": "eve@example.org", "role": "manager"}, "eve@example.org was invited"),
    "accounts:member-role": ({"role": "manager"}, "vera@example.org is now a manager"),
    "accounts:member-remove": ({}, "vera@example.org is no longer a member"),
    "instances:token": ({}, "The token of "),
    "instances:secret": ({}, "The signing secret of "),
    "instances:delete": ({"number": ""}, "was deleted, with its messages and hooks"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_owner_gets_a_mail_in_plain_words(world: World, name: str) -> None:
    form, sentence = CHANGES[name]
    if "number" in form:
        form = {"number": str(world.instance.number)}
    client = world.client("owner")
    client.post(world.address(name), form, headers={"User-Agent": FIREFOX}, REMOTE_ADDR="203.0.113.7")
    sent = [one for one in send_queued() if one.to == [world.account.owner.email]]
    assert len(sent) == 1
    text = body_of(sent[0])
    assert sentence in text
    assert re.search(r"When: \d+ \w+ \d{4}, \d\d:\d\d UTC", text)
    assert f"By: {world.account.owner.email}" in text
    assert "From: 203.0.113.7, Firefox on Windows" in text
    assert "If it was not you:" in text
    assert f"http://localhost:8000{reverse('account_change_password')}" in text
    assert "&#" not in text
    assert sent[0].subject.startswith("[Chat API] ")


def test_a_managers_change_is_mailed_to_the_owner(world: World) -> None:
    world.client("manager").post(world.address("instances:token"))
    [sent] = send_queued()
    assert sent.to == [world.account.owner.email]
    assert "By: max@example.org" in body_of(sent)


def test_a_programs_change_is_mailed_to_the_owner(world: World) -> None:
    response = world.client("owner", by_key=True).delete(f"/api/v1/instances/{world.instance.number}/")
    assert response.status_code == 204
    [sent] = send_queued()
    assert sent.to == [world.account.owner.email]
    assert "not a browser" in body_of(sent)


def test_a_new_main_address_is_mailed_to_the_old_one_too(world: World) -> None:
    owner, client = world.account.owner, world.client("owner")
    EmailAddress.objects.create(user=owner, email=owner.email, primary=True, verified=True)
    client.post(reverse("account_email"), {"action_add": "", "email": "new@example.org"})
    EmailAddress.objects.filter(email="new@example.org").update(verified=True)
    [added] = [one for one in send_queued() if "added" in one.subject]
    assert (added.to, "new@example.org" in body_of(added)) == ([owner.email], True)
    forget_queue()

    old = owner.email
    client.post(reverse("account_email"), {"action_primary": "", "email": "new@example.org"})
    owner.refresh_from_db()
    assert owner.email == "new@example.org"
    sent = send_queued()
    assert sorted(one.to[0] for one in sent) == sorted([old, "new@example.org"])
    assert all(f"changed from {old} to new@example.org" in body_of(one) for one in sent)
    forget_queue()

    client.post(reverse("account_email"), {"action_remove": "", "email": old})
    assert sorted(one.to[0] for one in send_queued()) == sorted([old, "new@example.org"])


def test_changes_of_the_password_and_the_second_factor_are_mailed(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    owner, client = world.account.owner, world.client("owner")
    EmailAddress.objects.create(user=owner, email=owner.email, primary=True, verified=True)
    form = client.get(reverse("mfa_activate_totp")).context["form"]
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("mfa_activate_totp"), {"code": code_of(form.secret)})
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("mfa_generate_recovery_codes"))
    client.post(reverse("mfa_deactivate_totp"))
    client.post(
        reverse("account_change_password"),
        {"oldpassword": "password", "password1": "another horse 8", "password2": "another horse 8"},
    )
    client.logout()
    client.post(reverse("account_reset_password"), {"email": owner.email})
    (link,) = re.findall(r"http://localhost:8000(/accounts/password/reset/\S+)", body_of(mail.outbox[-1]))
    page = client.get(link, follow=True)
    client.post(page.request["PATH_INFO"], {"password1": "a third horse 7", "password2": "a third horse 7"})
    mail.outbox.clear()
    subjects = [one.subject.removeprefix("[Chat API] ") for one in send_queued()]
    assert subjects == [
        "Two-factor authentication on",
        "Recovery codes created",
        "Two-factor authentication off",
        "Password changed",
        "Password reset",
    ]
    recorded = (
        AuditEntry.objects.filter(account=world.account).order_by("pk").values_list("action", flat=True)
    )
    assert list(recorded)[-5:] == [
        AuditAction.SECOND_FACTOR_ON,
        AuditAction.RECOVERY_CODES,
        AuditAction.SECOND_FACTOR_OFF,
        AuditAction.PASSWORD_CHANGED,
        AuditAction.PASSWORD_RESET,
    ]


def test_a_password_set_by_staff_is_mailed_without_their_name(world: World) -> None:
    set_password(world.people["owner"], password="new", acting_user=world.people["staff"])
    [sent] = send_queued()
    assert "By: staff of this site" in body_of(sent)
    assert "charlie" not in body_of(sent)
    assert "From: this server" in body_of(sent)


def test_a_deleted_account_is_mailed_once(world: World) -> None:
    InstanceFactory(owner=world.account)
    forget_queue()
    email = world.account.owner.email
    world.client("owner").post("/account/delete/", {"email": email})
    assert not User.objects.filter(email=email).exists()
    [sent] = send_queued()  # none for its instances
    assert (sent.to, sent.subject) == ([email], "[Chat API] Account deleted")
    assert "The data cannot be restored." in body_of(sent)
    assert "/account/" not in body_of(sent)


def test_a_rolled_back_change_is_not_mailed(world: World) -> None:
    from django.db import transaction

    with transaction.atomic():
        issue_key(world.account, acting_user=world.account.owner)
        transaction.set_rollback(True)
    assert send_queued() == []


def test_at_most_twenty_an_hour(world: World) -> None:
    for _ in range(22):
        issue_key(world.account, acting_user=world.account.owner)
    sent = send_queued()
    earlier = 1  # the invitation of World's
    assert len(sent) <= notices.MAX_PER_HOUR - earlier
    assert "This is the last mail for this hour" in body_of(sent[-1])
    assert "last mail" not in body_of(sent[0])


def test_without_mail_nothing_is_queued(world: World, settings: Any) -> None:
    settings.EMAIL_URL = ""
    issue_key(world.account, acting_user=world.account.owner)
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (FIREFOX, "Firefox on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Linux"),
        ("Your mailbox is full: open http://evil.example", "not a browser"),
        ("", "not a browser"),
    ],
)
def test_the_browser_is_named_in_words_of_ours(header: str, shown: str) -> None:
    assert notices.program_name(header) == shown


def test_every_notice_can_be_written() -> None:
    alice = UserFactory(email="alice@example.org")
    detail = {"email": "new@example.org", "old": "old@example.org", "role": "viewer"}
    for action in notices.NOTICES:
        entry = AuditEntry.objects.create(
            account=alice.account,
            action=action,
            subject_kind="x",
            subject_id="1",
            subject_text="It",
            detail=detail,
        )
        AuditEntry.objects.exclude(pk=entry.pk).delete()
        assert notices.send_notice(entry.pk, ["alice@example.org"], "here") == "1 sent"
    assert all("{" not in f"{one.subject}{one.body}" for one in mail.outbox)
    assert Client().get("/accounts/login/").status_code == 200
