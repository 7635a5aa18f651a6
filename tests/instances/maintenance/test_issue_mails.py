"""Mails about issues: when, in which words, and how many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.utils import timezone

from accounts.actions.users import set_time_zone
from hooks.actions.issues import acknowledge
from hooks.maintenance import issues
from hooks.models import Issue, Outcome
from instances.maintenance import issue_mails
from instances.maintenance.due_issues import NOTIFY_AFTER
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, create_issue
from tests.hooks.attempted import attempt_hook

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Instance:
    owner = AccountFactory(email="alice@example.org")
    found = InstanceFactory(owner=owner, name="Shop", url="https://shop.example.com/hook")
    issues.update()
    return found


def let_time_pass() -> None:
    for issue in Issue.objects.all():
        earlier = issue.opened_at - NOTIFY_AFTER
        Issue.objects.filter(pk=issue.pk).update(opened_at=earlier)


def test_the_times_are_in_the_zone_of_the_owner(shop: Instance) -> None:
    set_time_zone(shop.owner.owner, time_zone="Asia/Tokyo")
    attempt_hook(shop.endpoint, 500, at=timezone.now() - timedelta(minutes=5))
    issues.update()
    let_time_pass()
    issue_mails.send()
    since = timezone.localtime(Issue.objects.get().first_failed_at, ZoneInfo("Asia/Tokyo"))
    assert f"since {since:%-d %B %Y, %H:%M} JST" in mail.outbox[-1].body

    attempt_hook(shop.endpoint, 200)
    issues.update()
    issue_mails.send()
    resolved = timezone.localtime(Issue.objects.get().resolved_at, ZoneInfo("Asia/Tokyo"))
    assert f"{resolved:%-d %B %Y, %H:%M} JST, after" in mail.outbox[-1].body


def test_an_issue_is_mailed_once_after_a_while_and_its_recovery_once(shop: Instance) -> None:
    for age in (5, 4):
        attempt_hook(shop.endpoint, 500, at=timezone.now() - timedelta(minutes=age))
    issues.update()
    issue_mails.send()
    assert mail.outbox == []
    let_time_pass()
    assert issue_mails.send() == "1 mails sent"
    issue_mails.send()
    [sent] = mail.outbox
    assert (sent.subject, sent.to) == ("Hooks of Shop fail", ["alice@example.org"])
    issue = Issue.objects.get()
    for words in (
        "shop.example.com responded with 500: your server failed while handling it.",
        "Check your server's error log for this time.", "2 hooks since", f"/issues/{issue.public_id}/",
        "\n    Fix         Turn on guaranteedHooks: a button on the issue's page does it\n    Issue ",
    ):  # fmt: skip
        assert words in sent.body

    attempt_hook(shop.endpoint, 200)
    issues.update()
    issue_mails.send()
    issue_mails.send()
    [_, resolved] = mail.outbox
    assert resolved.subject == "Hooks of Shop are delivered again"
    assert "2: resend them on the issue's page" in resolved.body


def test_the_url_to_use_instead_is_mailed(shop: Instance) -> None:
    attempt_hook(shop.endpoint, 301, outcome=Outcome.REDIRECT, headers=[["Location", "/other/"]])
    issues.update()
    let_time_pass()
    issue_mails.send()
    [sent] = mail.outbox
    assert "\n    Fix         Use the URL https://shop.example.com/other/: a button" in sent.body
    assert "guaranteedHooks" not in sent.body.split("Fix ")[1]


def test_an_acknowledged_issue_and_a_short_outage_are_not_mailed(shop: Instance) -> None:
    attempt_hook(shop.endpoint, 404)
    attempt_hook(shop.endpoint, 200)
    attempt_hook(shop.endpoint, 500)
    issues.update()
    for issue in Issue.objects.unresolved():
        acknowledge(issue, acting_user=None)
    let_time_pass()
    issue_mails.send()
    assert mail.outbox == []


def test_many_issues_are_few_mails(shop: Instance) -> None:
    for number in range(issue_mails.MAX_PER_HOUR + 3):
        create_issue(shop.endpoint, status=500 + number, opened_at=timezone.now() - timedelta(hours=1))
        issue_mails.send()
    assert len(mail.outbox) == issue_mails.MAX_PER_HOUR
    Issue.objects.exclude(mails_at=[]).update(mails_at=[timezone.now() - timedelta(hours=2)])
    issue_mails.send()
    last = mail.outbox[-1]
    assert len(mail.outbox) == issue_mails.MAX_PER_HOUR + 1
    assert last.body.count("What to do") == 3


def test_an_issue_that_comes_back_and_back_is_few_mails(shop: Instance) -> None:
    issue = create_issue(shop.endpoint, opened_at=timezone.now() - timedelta(hours=1))
    for _ in range(issue_mails.MAX_PER_HOUR):
        Issue.objects.filter(pk=issue.pk).update(state="open", resolved_at=None)
        issue_mails.send()
        Issue.objects.filter(pk=issue.pk).update(state="resolved", resolved_at=timezone.now())
        issue_mails.send()
    assert len(mail.outbox) == issue_mails.MAX_PER_HOUR


def test_a_mail_that_was_not_sent_is_sent_by_the_next_run(
    shop: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_issue(shop.endpoint, opened_at=timezone.now() - timedelta(hours=1))

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(mail.EmailMessage, "send", refuse)
        issue_mails.send()
    assert issue_mails.send() == "1 mails sent"


def test_a_mail_whose_run_was_killed_is_sent_again_with_its_message_id(
    shop: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mailboxes drop a second mail with the same id. A crash in each run does not send more than usual."""
    create_issue(shop.endpoint, opened_at=timezone.now() - timedelta(hours=1))
    send = issue_mails.send_issue_mail

    def die_afterwards(*arguments: Any) -> None:
        send(*arguments)
        raise SystemExit

    def let_the_claim_end() -> None:
        Issue.objects.update(mailing_at=timezone.now() - issue_mails.RETRY_AFTER)

    with monkeypatch.context() as patched:
        patched.setattr(issue_mails, "send_issue_mail", die_afterwards)
        for _ in range(issue_mails.MAX_PER_HOUR - 1):
            with pytest.raises(SystemExit):
                issue_mails.send()
            assert issue_mails.send() == "0 mails sent"  # it may still be at work
            let_the_claim_end()
    assert issue_mails.send() == "1 mails sent"
    let_the_claim_end()
    issue_mails.send()
    assert len(mail.outbox) == issue_mails.MAX_PER_HOUR
    assert len({sent.extra_headers["Message-ID"] for sent in mail.outbox}) == 1


def test_a_run_during_a_run_sends_no_second_mail(shop: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow mail server makes a run last longer than the minute until the next one."""
    create_issue(shop.endpoint, opened_at=timezone.now() - timedelta(hours=1))
    send, results = issue_mails.send_issue_mail, []

    def run_meanwhile(*arguments: Any) -> None:
        results.append(issue_mails.send())
        send(*arguments)

    monkeypatch.setattr(issue_mails, "send_issue_mail", run_meanwhile)
    results.append(issue_mails.send())
    assert (results, len(mail.outbox)) == (["0 mails sent", "1 mails sent"], 1)


def test_a_clock_that_was_ahead_delays_no_mail(shop: Instance) -> None:
    later = timezone.now() + timedelta(days=1)
    create_issue(shop.endpoint, opened_at=later, mails_at=[later - timedelta(minutes=n) for n in range(4)])
    assert issue_mails.send() == "1 mails sent"
