"""Each page on which staff see a customer's data leaves an entry in the audit log of the customer's account."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success

from accounts.models import Account, AccountKey, AuditEntry, Invitation, Member, Payment, User
from hooks.actions import redelivery
from hooks.models import Attempt, Endpoint, Hook, Outcome, Redelivery
from instances.actions.lifecycle import delete_instance, record_payment
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import Bin
from tests.chatapi.permissions import World
from tests.factories import InstanceFactory, UserFactory

# Tables of the site, without customers' data.
OF_SITE = {Failure, OrmQ, Schedule, Success}


@pytest.fixture
def world(db: None) -> World:
    """Alice's account, with a row in every table."""
    world = World()
    record_payment(world.instance, days=1, acting_user=None)
    Attempt.objects.create(
        hook=world.hook, number=1, started_at=timezone.now(), url="https://x.example", outcome=Outcome.OK
    )
    return world


def rows_of(world: World) -> dict[type[models.Model], Any]:
    of_account = {"account": world.account}
    return {
        User: world.account.owner,
        Account: world.account,
        AccountKey: AccountKey.objects.get(**of_account),
        Payment: Payment.objects.get(**of_account),
        Member: world.member,
        Invitation: world.invitation,
        AuditEntry: AuditEntry.objects.filter(**of_account).latest("pk"),
        Instance: world.instance,
        Endpoint: world.instance.endpoint,
        Hook: world.hook,
        Attempt: Attempt.objects.get(hook=world.hook),
        Redelivery: world.job,
        Bin: world.bin,
    }


def change_page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def views(client: Client, page: str) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Opens the page. Returns action, account and details of the entries that this has written."""
    before = AuditEntry.objects.latest("pk").pk
    assert client.get(page).status_code == 200, page
    written = AuditEntry.objects.filter(pk__gt=before, actor_text="charlie@example.org").order_by("pk")
    return [(entry.action, entry.account_id, entry.detail) for entry in written]


def test_the_page_of_every_row_is_audited(world: World) -> None:
    rows = rows_of(world)
    assert set(admin.site._registry) == set(rows) | OF_SITE
    client = world.client("staff")
    for model, row in rows.items():
        name = row.webhook_id if model is Hook else world.hook.webhook_id if model is Attempt else ""
        detail = {"hook": name} if name else {"row": f"{model._meta.verbose_name} {row.pk}"}
        page = change_page(row)
        assert views(client, page) == [("look.record", world.account.pk, detail)], page


def test_the_owner_reads_which_row_without_the_staff_users_name(world: World) -> None:
    world.client("staff").get(change_page(world.instance.endpoint))
    page = world.client("owner").get("/account/history/").text
    assert "Staff viewed a record" in page and f"endpoint {world.instance.pk}" in page
    assert "charlie@example.org" not in page


def test_a_redelivery_of_several_accounts_is_in_the_log_of_each(world: World) -> None:
    other = InstanceFactory(url="https://b.example/")
    pair = Instance.objects.filter(pk__in=[world.instance.pk, other.pk])
    Hook.objects.create(
        endpoint=other.endpoint, kind="message", body=b"{}", state="failed", finished_at=timezone.now()
    )
    job = redelivery.plan(pair, wanted={}, acting_user=None)
    written = views(world.client("staff"), change_page(job))
    assert {account for _, account, _ in written} == {world.account.pk, other.owner_id}
    assert len(written) == 2


def test_a_users_own_bin_is_in_the_log_of_the_account(world: World) -> None:
    own = bin_actions.open_own_bin(world.account)
    assert views(world.client("staff"), change_page(own)) == [
        ("look.record", world.account.pk, {"row": f"bin {own.pk}"})
    ]


def test_what_is_left_of_a_deleted_instance_has_no_page(world: World) -> None:
    attempt = Attempt.objects.get(hook=world.hook)
    delete_instance(world.instance, acting_user=None)
    client = world.client("staff")
    assert client.get(change_page(attempt)).status_code == 404
    assert client.get(f"/admin/hooks/attempt/{attempt.pk}/body/").status_code == 404


def test_a_refused_view_leaves_no_entry(world: World, of_group: Callable[[str], Client]) -> None:
    before = AuditEntry.objects.filter(action="look.record").count()
    assert of_group("billing").get(change_page(world.hook)).status_code == 403
    assert AuditEntry.objects.filter(action="look.record").count() == before


def test_a_user_without_an_account_is_recorded_for_staff(world: World) -> None:
    member = UserFactory(email="erin@example.org")
    Account.objects.filter(owner=member).delete()
    assert views(world.client("staff"), change_page(member)) == [
        ("look.record", None, {"row": f"user {member.pk}"})
    ]
