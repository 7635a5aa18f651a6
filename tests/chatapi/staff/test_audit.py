"""Every change that a person makes is in the audit trail: who, what, to what; and no secret is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actions import members
from accounts.actions.keys import issue_key, rotate_key
from accounts.actions.users import set_password, set_rights, sign_up
from accounts.audit import AuditAction
from accounts.models import Account, AuditEntry, User
from hooks.actions import redelivery
from hooks.actions.endpoints import (
    end_override,
    end_previous_secret,
    override_url,
    pause,
    resume,
    rotate_secret,
)
from hooks.actions.hooks import NotPossible, cancel, resend, skip, try_now
from hooks.actions.simulation import simulate
from hooks.models import Hook, Kind, State
from instances.actions.lifecycle import (
    change_instance,
    create_instance,
    delete_instance,
    link_sandbox,
    rotate_token,
)
from instances.actions.settings import change_settings
from instances.actions.status import change_status
from instances.models import Instance
from testing_tools.simulation.actions import advance, cancel_run, create_run
from testing_tools.simulation.models import Plan, SimulationRun
from tests.factories import UserFactory


@pytest.fixture
def alice(instance: Instance) -> User:
    AuditEntry.objects.all().delete()
    return instance.owner.owner


def trail() -> list[tuple[str, str, str]]:
    """Who, what, to what; the oldest first."""
    entries = AuditEntry.objects.order_by("pk")
    return [(one.actor_text, one.action, f"{one.subject_kind} {one.subject_text}") for one in entries]


def newest() -> AuditEntry:
    return AuditEntry.objects.order_by("-pk")[0]


@pytest.mark.django_db
def test_signing_up_is_the_first_entry_of_an_account() -> None:
    account = sign_up("bob@example.org", password="correct horse 9")
    assert trail() == [("bob@example.org", "account.signed_up", "account bob@example.org")]
    assert newest().account == account


def test_keys_are_named_by_the_beginning_that_is_shown_anyway(alice: User) -> None:
    key, text = issue_key(alice.account, acting_user=alice)
    assert trail() == [("alice@example.org", "key.issued", f"key {key.prefix}…")]
    new, _ = rotate_key(key, acting_user=alice)
    assert trail()[1:] == [
        ("alice@example.org", "key.rotated", f"key {key.prefix}…"),
        ("alice@example.org", "key.issued", f"key {new.prefix}…"),
    ]
    assert text[12:] not in json.dumps(list(AuditEntry.objects.values("detail", "subject_text")))


def test_of_settings_it_says_which_and_not_what(alice: User, instance: Instance) -> None:
    change_settings(
        instance, changes={"webhookUrl": "https://example.com/?secret=7", "sendDelay": 3}, acting_user=alice
    )
    assert trail() == [("alice@example.org", "instance.settings", "instance Shop")]
    assert newest().detail == {"changed": ["sendDelay", "webhookUrl"]}
    assert (newest().subject_id, newest().account) == ("12345", instance.owner)


def test_settings_that_stay_as_they_are_leave_no_entry(alice: User, instance: Instance) -> None:
    change_settings(instance, changes={"sendDelay": 0}, acting_user=alice)
    assert trail() == []


def test_what_a_token_does_has_no_person(alice: User, instance: Instance) -> None:
    change_settings(instance, changes={"sendDelay": 3}, acting_user=None)
    assert trail() == [("", "instance.settings", "instance Shop")]


def test_tokens_and_secrets_are_rotated_by_somebody(alice: User, instance: Instance) -> None:
    before = instance.token
    rotate_token(instance, acting_user=alice)
    secret = rotate_secret(instance.endpoint, acting_user=alice)
    end_previous_secret(instance.endpoint, acting_user=alice)
    assert trail() == [
        ("alice@example.org", "instance.token_rotated", "instance Shop"),
        ("alice@example.org", "instance.secret_rotated", "instance Shop"),
        ("alice@example.org", "instance.old_secret_ended", "instance Shop"),
    ]
    kept = json.dumps(list(AuditEntry.objects.values("detail", "subject_text")))
    assert not any(text in kept for text in (before, instance.token, secret))


def test_an_instance_from_its_making_to_its_deletion(alice: User) -> None:
    made = create_instance(alice.account, name="Bot", acting_user=alice)
    link_sandbox(made, acting_user=alice)
    change_instance(made, acting_user=alice, name="Robot")
    delete_instance(made, acting_user=alice)
    assert trail() == [
        ("alice@example.org", "instance.created", "instance Bot"),
        ("alice@example.org", "instance.status", "instance Bot"),
        ("alice@example.org", "instance.status", "instance Bot"),
        ("alice@example.org", "instance.renamed", "instance Robot"),
        ("alice@example.org", "instance.deleted", "instance Robot"),
    ]


def test_a_status_that_the_phone_changes_is_nobodys_deed(alice: User, instance: Instance) -> None:
    change_status(instance, substatus="battery_low")
    assert trail() == []


def test_delivery_is_paused_and_resumed_once_each(alice: User, instance: Instance) -> None:
    for change in (pause, pause, resume, resume):
        change(instance.endpoint, acting_user=alice)
    assert [action for _, action, _ in trail()] == ["delivery.paused", "delivery.resumed"]


def test_hooks_are_named_in_the_entry_about_their_instance(alice: User, instance: Instance) -> None:
    hook = Hook.objects.create(
        endpoint=instance.endpoint,
        kind=Kind.MESSAGE,
        body=b"{}",
        state=State.FAILED,
        finished_at=timezone.now(),
    )
    for change in (resend, try_now, cancel):
        change(hook, acting_user=alice)
    assert trail() == [
        ("alice@example.org", action, "instance Shop")
        for action in ("hook.resent", "hook.tried_now", "hook.cancelled")
    ]
    assert newest().detail == {"hook": hook.webhook_id}
    resend(hook, acting_user=alice)
    skip(hook, acting_user=alice)
    assert newest().action == "hook.skipped"


def test_a_simulated_hook_is_audited_and_a_run_of_them_once(alice: User, instance: Instance) -> None:
    url = "http://127.0.0.1:9/"
    hook = simulate(instance.endpoint, kind=Kind.ACK, body=b"{}", to_url=url, acting_user=alice)
    assert trail() == [("alice@example.org", "hook.simulated", "instance Shop")]
    assert newest().detail == {"hook": hook.webhook_id}

    def new_run() -> SimulationRun:
        return create_run(
            instance,
            kind="message",
            plan=Plan.REPEAT,
            body=b"{}",
            to_url=url,
            count=3,
            pause=0,
            acting_user=alice,
        )

    run = new_run()
    assert (newest().action, newest().detail) == ("simulation.run_created", {"plan": "repeat", "hooks": 3})
    advance(run)
    cancel_run(run, acting_user=alice)  # it has finished, so nothing changes
    cancelled = new_run()
    for _ in range(2):
        cancel_run(cancelled, acting_user=alice)
    assert [action for _, action, _ in trail()[1:]] == [
        "simulation.run_created", "simulation.run_created", "simulation.run_cancelled",
    ]  # fmt: skip


def test_a_refused_change_leaves_no_entry(alice: User, instance: Instance) -> None:
    hook = Hook.objects.create(endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b"{}")
    with pytest.raises(NotPossible):
        resend(hook, acting_user=alice)
    assert trail() == []


def test_redelivery_jobs(alice: User, instance: Instance) -> None:
    Hook.objects.create(
        endpoint=instance.endpoint,
        kind=Kind.MESSAGE,
        body=b"{}",
        state=State.FAILED,
        finished_at=timezone.now(),
    )
    job = redelivery.plan(Instance.objects.all(), wanted={"states": ["failed"]}, acting_user=alice)
    for change in (redelivery.pause, redelivery.resume, redelivery.cancel):
        change(job, acting_user=alice)
    assert [action for _, action, _ in trail()] == [
        "redelivery.planned", "redelivery.paused", "redelivery.resumed", "redelivery.cancelled",
    ]  # fmt: skip
    assert AuditEntry.objects.order_by("pk")[0].detail == {
        "job": job.public_id.hex, "hooks": 1, "filter": {"states": ["failed"]},
    }  # fmt: skip


def test_the_start_and_the_end_of_a_verification_are_audited(alice: User, instance: Instance) -> None:
    until = timezone.now() + timedelta(minutes=30)
    override_url(instance.endpoint, url="https://example.org/bin", until=until, acting_user=alice)
    end_override(instance.endpoint, acting_user=alice)
    assert [action for _, action, _ in trail()] == ["verification.started", "verification.ended"]


def test_members_come_and_go(alice: User) -> None:
    bob = UserFactory(email="bob@example.org")
    AuditEntry.objects.all().delete()
    _, token = members.invite(alice.account, email="bob@example.org", role="viewer", acting_user=alice)
    member = members.accept(token, acting_user=bob)
    members.change_role(member, role="manager", acting_user=alice)
    members.remove(member, acting_user=alice)
    again, secret = members.invite(alice.account, email="bob@example.org", role="viewer", acting_user=alice)
    members.revoke(again, acting_user=alice)
    members.revoke(again, acting_user=alice)
    assert [(who, action) for who, action, _ in trail()] == [
        ("alice@example.org", "member.invited"),
        ("bob@example.org", "member.joined"),
        ("alice@example.org", "member.role_changed"),
        ("alice@example.org", "member.removed"),
        ("alice@example.org", "member.invited"),
        ("alice@example.org", "member.invitation_revoked"),
    ]
    assert {entry.account for entry in AuditEntry.objects.all()} == {alice.account}
    assert not any(text in json.dumps(list(AuditEntry.objects.values("detail"))) for text in (token, secret))


def test_staff_sets_a_password_and_rights(alice: User, charlie: User) -> None:
    AuditEntry.objects.all().delete()
    set_password(alice, password="another-one-7", acting_user=charlie)
    set_rights(alice, is_active=True, is_staff=True, is_superuser=False, acting_user=charlie)
    assert trail() == [
        ("charlie@example.org", "user.password_set", "user alice@example.org"),
        ("charlie@example.org", "user.rights", "user alice@example.org"),
    ]
    assert newest().detail == {"is_staff": True}
    assert newest().account == alice.account


def test_an_entry_lives_and_dies_with_its_change(alice: User, instance: Instance) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        rotate_token(instance, acting_user=alice)
        raise ZeroDivisionError
    assert trail() == []


@pytest.mark.django_db(transaction=True)
def test_no_entry_is_written_outside_of_a_transaction() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record(Account(pk=1, name="Shop"), AuditAction.SIGNED_UP, acting_user=None)


def test_an_entry_outlives_its_account_and_its_actor(alice: User, instance: Instance) -> None:
    rotate_token(instance, acting_user=alice)
    alice.delete()
    [entry] = AuditEntry.objects.all()
    assert (entry.actor, entry.account) == (None, None)
    assert (entry.actor_text, entry.subject_text) == ("alice@example.org", "Shop")


def test_staff_finds_entries_by_person_by_instance_and_by_account(
    alice: User, instance: Instance, staff: Any, charlie: User
) -> None:
    bob = UserFactory(email="bob@example.org")
    rotate_token(instance, acting_user=alice)
    set_password(bob, password="another-one-7", acting_user=charlie)
    for text, actions in {
        "alice@": ["instance.token_rotated"],
        "12345": ["instance.token_rotated"],
        "instance:12345": ["instance.token_rotated"],
        "account:alice@example.org": ["instance.token_rotated"],
        f"user:{bob.pk}": ["user.password_set"],
        "dora@": [],
        "99999": [],
    }.items():
        page = staff.get("/admin/accounts/auditentry/", {"q": text})
        assert [entry.action for entry in page.context["cl"].result_list] == actions, text
    entry = AuditEntry.objects.get(action="instance.token_rotated")
    row = f"/admin/accounts/auditentry/{entry.pk}"
    assert "Token rotated" in staff.get(f"{row}/change/").content.decode()
    assert staff.post(f"{row}/change/", {"action": "x"}).status_code == 403
    assert staff.post(f"{row}/delete/", {"post": "yes"}).status_code == 403
    assert staff.get("/admin/accounts/auditentry/add/").status_code == 403
    assert AuditEntry.objects.filter(pk=entry.pk).exists()
