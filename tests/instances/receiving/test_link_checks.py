"""Links that a messenger revokes and accepts again, and a messenger that is away: checks over real sockets."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks.models import Hook
from instances import tasks
from instances.actions.channel_links import lose_link, save_link, unlink_account
from instances.actions.receiver_states import record_failure, record_successes
from instances.models import ChannelLink, Instance, ReceiverState
from instances.receiving import link_checks
from instances.receiving.link_checks import LinkChecks
from instances.receiving.linking import link_account
from instances.receiving.network import LoopNetwork
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.receiving.desk import NAME, TOKEN, Desk
from tests.instances.receiving.processes import Receive

pytestmark = pytest.mark.django_db(transaction=True)

OWNER = 4711  # the receiver


@pytest.fixture
def shop(desk: Desk) -> Instance:
    made: Instance = InstanceFactory(
        channel=NAME,
        account_status="init",
        name="Shop",
        url="https://example.com/hook",
        status_notifications_on=True,
        owner__email="owner@example.org",
    )
    link_account(made, desk.add(), acting_user=None)
    return made


def check() -> None:
    """Check every link, as if it were due."""
    ReceiverState.objects.update(next_check_at=timezone.now())
    check_due()


def check_due() -> None:
    async def once() -> None:
        network = LoopNetwork()
        checks = LinkChecks(network)
        await checks.start_due()
        await asyncio.gather(*checks.tasks)
        await checks.end()
        network.close()

    asyncio.run(once())


def record_failed_connection(instance: Instance, failures: int) -> None:
    record_failure(
        instance,
        owner=OWNER,
        linked_at=instance.channel_link.changed_at,
        error="The messenger cannot be reached.",
        failures=failures,
        next_try_at=timezone.now(),
        is_link_lost=False,
    )


def status(instance: Instance) -> tuple[str, str]:
    instance.refresh_from_db()
    return instance.account_status, instance.substatus


def test_a_revoked_token_becomes_the_status_hook_banner_and_mail_and_is_found_again(
    desk: Desk, shop: Instance, client: Client
) -> None:
    check()
    assert status(shop) == ("authenticated", "normal")
    hooks = Hook.objects.filter(endpoint=shop.pk, kind="status").count()
    account = desk.accounts.pop(TOKEN)
    check()
    check()
    assert status(shop) == ("init", "normal")
    state = ReceiverState.objects.get()
    assert state.lost_at and state.lost_reason == "The desk does not accept the token *** any more."
    assert Hook.objects.filter(endpoint=shop.pk, kind="status").count() == hooks + 1
    client.force_login(shop.owner.owner)
    page = " ".join(client.get(f"/instances/{shop.number}/queue/").content.decode().split())
    assert "The account is not linked any more</strong>, since" in page
    assert "The desk does not accept the token *** any more." in page
    assert (tasks.mail_lost_links(), tasks.mail_lost_links()) == ("1 notified", "0 notified")
    [sent] = mail.outbox
    assert (sent.subject, sent.to) == ("Shop is not linked any more", ["owner@example.org"])
    assert f"/instances/{shop.number}/#account" in sent.body and TOKEN not in sent.body
    desk.accounts[TOKEN] = account
    check()
    assert status(shop) == ("authenticated", "normal")
    assert ReceiverState.objects.get().lost_at is None
    assert "not linked any more" not in client.get(f"/instances/{shop.number}/queue/").content.decode()


def test_a_link_that_is_lost_again_and_again_is_mailed_once_in_six_hours(shop: Instance, desk: Desk) -> None:
    for _ in range(3):
        lose_link(shop, reason="The token was revoked.")
        tasks.mail_lost_links()
        check()
        assert shop.is_unlinked is False or status(shop)[0] == "authenticated"
    assert len(mail.outbox) == 1
    ReceiverState.objects.update(lost_mailed_at=timezone.now() - timedelta(hours=7))
    lose_link(shop, reason="The token was revoked.")
    tasks.mail_lost_links()
    assert len(mail.outbox) == 2


def test_a_messenger_that_is_away_is_offline_after_two_failures_and_back_after_a_success(
    desk: Desk, shop: Instance
) -> None:
    desk.faults["/account"] = 503
    check()
    assert status(shop) == ("authenticated", "normal"), "one request may fail"
    state = ReceiverState.objects.get()
    assert state.next_check_at < timezone.now() + timedelta(seconds=10)
    check()
    assert status(shop) == ("authenticated", "offline")
    assert ReceiverState.objects.get().check_error == "The desk responded with 503."
    desk.faults.clear()
    check()
    assert status(shop) == ("authenticated", "normal")
    assert not mail.outbox


def test_a_connection_that_is_open_again_has_its_link_checked_at_once(
    desk: Desk, shop: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_checks, "receiving_names", lambda: [NAME])  # as if it were polled
    ReceiverState.objects.update(owner=OWNER, next_check_at=timezone.now() + timedelta(seconds=40))
    record_successes([shop.pk], owner=OWNER)
    desk.faults["/account"] = 503
    for failures in (1, 2):  # the connection is tried every second
        record_failed_connection(shop, failures)
    assert link_checks.claim_due(10) == [shop.pk]
    ReceiverState.objects.update(check_failures=1, next_check_at=timezone.now() + timedelta(seconds=5))
    record_failed_connection(shop, 3)
    assert link_checks.claim_due(10) == [], "the second check is a few seconds after the first"
    check()
    assert status(shop) == ("authenticated", "offline")
    desk.faults.clear()
    record_successes([shop.pk], owner=OWNER)
    check_due()
    assert status(shop) == ("authenticated", "normal")


def test_a_messenger_that_hangs_is_away(desk: Desk, shop: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_checks, "SECONDS", 0.2)
    monkeypatch.setattr(desk, "respond", lambda handler: handler.rfile.read())
    check()
    check()
    assert status(shop) == ("authenticated", "offline")


def test_a_link_that_was_not_connected_or_is_not_paid_is_not_checked(desk: Desk, shop: Instance) -> None:
    asked = desk.asked["/account"]
    ChannelLink.objects.update(connected_at=None)
    check()
    ChannelLink.objects.update(connected_at=timezone.now())
    Instance.objects.update(paid_until=timezone.now())
    check()
    Instance.objects.update(paid_until=timezone.now() + timedelta(days=1), stopped_at=timezone.now())
    check()
    assert desk.asked["/account"] == asked
    due = ReceiverState.objects.get().next_check_at
    assert due > timezone.now() + timedelta(minutes=4), "it is not looked at every second"
    Instance.objects.update(stopped_at=None)
    unlink_account(shop, acting_user=None)
    check()
    assert desk.asked["/account"] == asked


def test_what_a_check_says_about_credentials_that_were_changed_meanwhile_is_ignored(
    desk: Desk, shop: Instance
) -> None:
    stored = ChannelLink.objects.get()
    save_link(shop, credentials={"token": "desk-newer"}, external_id="desk 1", acting_user=None)
    link_checks.record_check(
        shop,
        linked_at=stored.changed_at,
        status=None,
        error="Revoked.",
        is_lost=True,
        seen_at=timezone.now(),
    )
    assert status(shop) == ("authenticated", "normal")


def test_a_check_that_changes_nothing_writes_one_row_however_many_links_there_are(
    desk: Desk, shop: Instance
) -> None:
    for number in range(2, 6):
        more = InstanceFactory(channel=NAME, account_status="init")
        link_account(more, desk.add(f"desk-{number:04}", id=f"desk {number}"), acting_user=None)
    ReceiverState.objects.update(next_check_at=timezone.now())
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = link_checks.load_due(100)
    assert len(found) == 5 and len(queries) == 2
    assert link_checks.load_due(100) == [], "they are claimed for now"


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("checked")
def test_a_receiver_checks_links(desk: Desk, shop: Instance, tmp_path: Path) -> None:
    account = desk.accounts.pop(TOKEN)
    with Receive(tmp_path):
        ReceiverState.objects.update(next_check_at=timezone.now())
        wait_until(lambda: status(shop)[0] == "init", "the loss is noticed", 120)
        desk.accounts[TOKEN] = account
        ReceiverState.objects.update(next_check_at=timezone.now())
        wait_until(lambda: status(shop)[0] == "authenticated", "it is found again", 120)
