"""Who of the staff may what: support, billing and administrators, as a table over every page and every tool."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actions.users import set_groups, set_rights
from accounts.models import AuditEntry, User
from hooks.models import Attempt, Hook, Kind, Outcome, State
from instances.models import Instance
from tests.factories import UserFactory

ALL = {"support", "billing", "administrator"}
TECHNICAL = {"support", "administrator"}
ADMINISTRATOR = {"administrator"}

SEES = {
    "accounts/user": ALL,
    "accounts/account": ALL,
    "accounts/payment": ALL,
    "accounts/auditentry": ALL,
    "instances/instance": ALL,
    "accounts/accountkey": TECHNICAL,
    "accounts/member": TECHNICAL,
    "accounts/invitation": TECHNICAL,
    "hooks/endpoint": TECHNICAL,
    "hooks/hook": TECHNICAL,
    "hooks/attempt": TECHNICAL,
    "hooks/redelivery": TECHNICAL,
    "testing_tools/bin": TECHNICAL,
    "testing_tools/bin/by-size": TECHNICAL,
    "django_q/ormq": TECHNICAL,
    "django_q/schedule": TECHNICAL,
    "django_q/success": TECHNICAL,
    "django_q/failure": TECHNICAL,
    "health": TECHNICAL,
    "issues": TECHNICAL,
}
DOES = {
    "accounts/account/do/look": TECHNICAL,
    "accounts/account/do/block": ADMINISTRATOR,
    "accounts/account/do/unblock": ADMINISTRATOR,
    "accounts/account/do/quota": {"billing", "administrator"},
    "instances/instance/do/look": TECHNICAL,
    "instances/instance/do/pay": {"billing", "administrator"},
    "instances/instance/do/stop": TECHNICAL,
    "instances/instance/do/start": TECHNICAL,
    "instances/instance/do/log-out": TECHNICAL,
    "instances/instance/do/cancel-hooks": TECHNICAL,
    "hooks/hook/do/cancel": TECHNICAL,
    "hooks/hook/do/resend": TECHNICAL,
}


@pytest.fixture
def hook(instance: Instance) -> Hook:
    now = timezone.now()
    hook = Hook.objects.create(
        endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b"<b>a private text</b>",
        state=State.DELIVERED, finished_at=now,
    )  # fmt: skip
    Attempt.objects.create(
        hook=hook, number=1, started_at=now, url="https://example.com/hook", outcome=Outcome.OK, status=200,
        response_body=b"a private answer",
    )  # fmt: skip
    return hook


def test_every_list_and_every_tool_is_in_the_table() -> None:
    lists = {f"{model._meta.app_label}/{model._meta.model_name}" for model in admin.site._registry}
    tools = {
        f"{model._meta.app_label}/{model._meta.model_name}/do/{tool.name}"
        for model, desk in admin.site._registry.items()
        for tool in getattr(desk, "tools", ())
    }
    assert lists == set(SEES) - {"health", "issues", "testing_tools/bin/by-size"}
    assert tools == set(DOES)


def test_the_groups_are_there() -> None:
    assert {"support", "billing", "administrator"} == ALL


@pytest.mark.django_db
def test_the_migration_has_made_them() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == ALL


@pytest.mark.parametrize("group", sorted(ALL))
def test_who_sees_what(of_group: Callable[[str], Client], group: str) -> None:
    client = of_group(group)
    answers = {page: client.get(f"/admin/{page}/").status_code for page in SEES}
    assert answers == {page: 200 if group in groups else 403 for page, groups in SEES.items()}


@pytest.mark.parametrize("group", sorted(ALL))
def test_who_does_what(of_group: Callable[[str], Client], hook: Hook, instance: Instance, group: str) -> None:
    client = of_group(group)
    keys = {"account": instance.owner_id, "instance": instance.pk, "hook": hook.pk}
    answers = {page: client.get(f"/admin/{page}/?pk={keys[page.split('/')[1]]}").status_code for page in DOES}
    assert answers == {page: 200 if group in groups else 403 for page, groups in DOES.items()}


@pytest.mark.parametrize("group", sorted(ALL))
def test_who_gets_403_changes_nothing(
    of_group: Callable[[str], Client], hook: Hook, instance: Instance, group: str
) -> None:
    client = of_group(group)
    keys = {"account": instance.owner_id, "instance": instance.pk, "hook": hook.pk}
    AuditEntry.objects.all().delete()
    asked = {"reason": "x", "days": "1", "amount": "1", "currency": "USD"}
    for page, groups in DOES.items():
        if group not in groups:
            assert client.post(f"/admin/{page}/?pk={keys[page.split('/')[1]]}", asked).status_code == 403, (
                page
            )
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("group", sorted(ALL))
def test_a_row_has_the_buttons_that_its_reader_may_press(
    of_group: Callable[[str], Client], instance: Instance, group: str
) -> None:
    page = of_group(group).get(f"/admin/instances/instance/{instance.pk}/change/").content.decode()
    for name in ("look", "pay", "stop", "log-out", "cancel-hooks"):
        assert (f"do/{name}/" in page) == (group in DOES[f"instances/instance/do/{name}"]), name


def test_bodies_take_a_right_of_their_own_and_leave_an_entry(
    of_group: Callable[[str], Client], hook: Hook, instance: Instance
) -> None:
    pages = {
        f"/admin/hooks/hook/{hook.pk}/body/": "&lt;b&gt;a private text&lt;/b&gt;",
        f"/admin/hooks/attempt/{hook.attempts.get().pk}/body/": "a private answer",
    }
    support, administrator = of_group("support"), of_group("administrator")
    read = AuditEntry.objects.filter(action="hook.body_read")
    for page, text in pages.items():
        assert support.get(page).status_code == 403
        assert "private" not in support.get(page.replace("body", "change")).content.decode()
        assert "Read body" not in support.get(page.replace("body", "change")).content.decode()
        assert "Read body" in administrator.get(page.replace("body", "change")).content.decode()
        assert not read.all().exists()
        assert text in administrator.get(page).content.decode()
        [entry] = read.all()
        assert (entry.actor_text, entry.account) == ("administrator@example.org", instance.owner)
        assert entry.detail["hook"] == hook.webhook_id
        entry.delete()


def test_administrators_put_people_into_groups(of_group: Callable[[str], Client]) -> None:
    client, dora = of_group("administrator"), UserFactory(email="dora@example.org")
    page = reverse("admin:accounts_user_change", args=[dora.pk])
    support = Group.objects.get(name="support")
    asked = {"is_active": "on", "is_staff": "on", "is_superuser": "on", "groups": [support.pk]}
    assert client.post(page, asked).status_code == 302
    dora.refresh_from_db()
    assert (dora.is_staff, dora.is_superuser, list(dora.groups.all())) == (True, False, [support])
    entries = AuditEntry.objects.filter(action="user.rights").order_by("pk")
    assert [entry.detail for entry in entries] == [{"is_staff": True}, {"groups": ["support"]}]
    assert {entry.actor_text for entry in entries} == {"administrator@example.org"}


@pytest.mark.parametrize("group", ["support", "billing"])
def test_the_others_do_not(of_group: Callable[[str], Client], group: str) -> None:
    client, dora = of_group(group), UserFactory(email="dora@example.org")
    page = reverse("admin:accounts_user_change", args=[dora.pk])
    assert client.post(page, {"is_active": "on", "is_staff": "on"}).status_code == 403
    assert not User.objects.get(pk=dora.pk).is_staff


def test_a_superuser_is_changed_by_superusers_alone(of_group: Callable[[str], Client], charlie: User) -> None:
    client = of_group("administrator")
    page = reverse("admin:accounts_user_change", args=[charlie.pk])
    assert client.post(page, {"is_active": ""}).status_code == 403
    with pytest.raises(PermissionError):
        set_groups(charlie, groups=[], acting_user=client.person)  # type: ignore[attr-defined]
    with pytest.raises(PermissionError):
        set_rights(
            charlie,
            is_active=False,
            is_staff=False,
            is_superuser=True,
            acting_user=client.person,  # type: ignore[attr-defined]
        )
    assert User.objects.get(pk=charlie.pk).is_active
