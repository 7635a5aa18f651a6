"""Each page on which staff see a customer's data leaves an entry in the audit log of the customer's account."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

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


# -- hooks and messages in the desk's own frame


def page_of(name: str, *arguments: Any) -> str:
    return reverse(f"admin:customer_{name}", args=arguments)


PRIVATE = "whsec_" + "A" * 32


@pytest.fixture
def private(world: World) -> World:
    """The hook's body, its attempt and its message have something private, and its URL and headers a secret."""
    body = b'{"messages": [{"type": "chat", "body": "a private text"}]}'
    Hook.objects.filter(pk=world.hook.pk).update(
        body=body, to_url="https://u:pass-1@x.example/in?key=secret-1"
    )
    Attempt.objects.filter(hook=world.hook).update(
        status=500, outcome=Outcome.NOT_200, url="https://x.example/hook?key=secret-1",
        request_headers=[["webhook-signature", "v1,c2lnbmF0dXJlLW9mLXRoZS1ob29r"]],
        response_headers=[["content-type", "text/plain"]],
        response_body=f"a private response {world.instance.token} {PRIVATE}".encode(), response_size=40,
    )  # fmt: skip
    Endpoint.objects.filter(pk=world.instance.pk).update(url="https://u:pass-1@x.example/in?key=secret-1")
    world.received.body = "a private message"
    world.received.save()
    return world


def pages_of(world: World) -> dict[str, str]:
    number = world.instance.number
    return {
        page_of("hook", world.hook.public_id): "a private text",
        page_of("received_message", number, world.received.message_id): "a private message",
        page_of("sent_message", number, world.failed.message_id): "failed",
    }


SECRETS = ("secret-1", "pass-1", "c2lnbmF0dXJl", PRIVATE)


def test_support_sees_what_happened_without_contents_and_secrets(
    private: World, of_group: Callable[[str], Client]
) -> None:
    support = of_group("support")
    for page, _ in pages_of(private).items():
        for query in ("", "?contents=1"):
            shown = support.get(page + query)
            assert shown.status_code == 200
            assert "private" not in shown.text and "Show contents" not in shown.text
            assert not [secret for secret in (*SECRETS, private.instance.token) if secret in shown.text]
            assert "Contents and secrets are masked" in shown.text
            assert "You are a viewer in this account" not in shown.text
            assert reverse("admin:customer", args=[private.account.pk]) in shown.text
    page = support.get(page_of("hook", private.hook.public_id)).text
    assert "Responded with 500, not 200" in page and "https://x.example/hook?key=***" in page
    assert f"/admin/hooks/hook/{private.hook.pk}/change/" in page
    assert f"/admin/hooks/attempt/?q={private.hook.webhook_id}" in page


def test_djangos_rows_behind_them_show_no_secret_either(private: World) -> None:
    client = private.client("staff")
    rows = rows_of(private)
    for model in (Instance, Endpoint, Hook, Attempt):
        for page in (change_page(rows[model]), f"/admin/{model._meta.app_label}/{model._meta.model_name}/"):
            shown = client.get(page)
            assert shown.status_code == 200
            assert [secret for secret in (*SECRETS, private.instance.token) if secret in shown.text] == []
    assert "https://x.example/in?key=***" in client.get(change_page(rows[Endpoint])).text


def test_contents_are_shown_on_request_and_the_audit_log_says_so(private: World) -> None:
    client = private.client("staff")
    for page, content in pages_of(private).items():
        [(action, account, detail)] = views(client, page)
        assert (action, account) == ("look.record", private.account.pk)
        assert content not in client.get(page).text
        assert views(client, f"{page}?contents=1") == [("hook.body_read", private.account.pk, detail)]
        shown = client.get(f"{page}?contents=1").text
        assert content in shown and "Hide contents" in shown
        assert not [secret for secret in (*SECRETS, private.instance.token) if secret in shown]
    assert detail == {"message": private.failed.message_id}


def test_nothing_on_these_pages_leads_to_the_customers_own_or_changes_them(private: World) -> None:
    """Links of the account's pages would be 404 for staff; the only forms are those of the frame."""
    client = private.client("staff")
    frame = client.get("/admin/tables/").text
    for page in pages_of(private):
        shown = client.get(f"{page}?contents=1").text
        links = set(re.findall(r'(?:href|action|hx-get)="([^"#?]+)', shown))
        links -= set(re.findall(r'(?:href|action|hx-get)="([^"#?]+)', frame))
        assert not [link for link in links if re.match(r"/(?!admin/|static/)", link)]
        for link in sorted(link for link in links if link.startswith("/admin/")):
            assert client.get(link).status_code in (200, 404) if "/do/" in link else 200, link
        assert shown.count("<form") == frame.count("<form")


def test_a_hook_has_its_tools_which_lead_back_to_it(
    private: World, of_group: Callable[[str], Client]
) -> None:
    client, page = of_group("support"), page_of("hook", private.hook.public_id)
    tool = f"/admin/hooks/hook/do/resend/?pk={private.hook.pk}"
    assert tool in client.get(page).text
    assert client.post(tool)["Location"] == page


def test_the_message_of_a_hook_and_the_hooks_of_a_message_lead_to_each_other(private: World) -> None:
    hook, received, _ = pages_of(private)
    client = private.client("staff")
    assert f'href="{received}"' in client.get(hook).text
    assert f'href="{hook}"' in client.get(received).text


@pytest.mark.parametrize("group", ["billing", "support", "administrator"])
def test_who_may_open_them(private: World, of_group: Callable[[str], Client], group: str) -> None:
    client, before = of_group(group), AuditEntry.objects.latest("pk").pk
    status = 403 if group == "billing" else 200
    assert {client.get(page).status_code for page in pages_of(private)} == {status}
    written = AuditEntry.objects.filter(pk__gt=before, action="look.record").count()
    assert written == (0 if group == "billing" else 3)
    stranger = private.client("stranger")
    assert {stranger.get(page).status_code for page in pages_of(private)} == {404}


def test_what_is_not_there_is_404_and_leaves_no_entry(private: World) -> None:
    client, before = private.client("staff"), AuditEntry.objects.latest("pk").pk
    number, other = private.instance.number, InstanceFactory()
    for page in (
        page_of("hook", uuid4()),
        page_of("received_message", number, private.failed.message_id),
        page_of("sent_message", number, private.received.message_id),
        page_of("received_message", other.number, private.received.message_id),
        page_of("received_message", 10**30, "x"),
        page_of("sent_message", number, "a/b\x00"),
        page_of("sent_message", number, "a" * 10_000),
    ):
        assert client.get(page).status_code == 404, page
    assert not AuditEntry.objects.filter(pk__gt=before, action__startswith="look").exists()
    delete_instance(private.instance, acting_user=None)
    assert {client.get(page).status_code for page in pages_of(private)} == {404}
