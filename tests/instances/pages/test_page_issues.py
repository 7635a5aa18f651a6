"""The pages of issues: the list over all instances, one issue, its buttons, and the number in the menu."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.audit import AuditAction, AuditEntry
from hooks.actions import redelivery
from hooks.maintenance import issues
from hooks.models import Hook, Issue, IssueState, Outcome, Redelivery, State
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, create_issue, member_of
from tests.hooks.attempted import attempt_hook

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    account = AccountFactory(email="alice@example.org")
    found = InstanceFactory(owner=account, number=12345, name="Shop", url="https://shop.example.com/hook")
    issues.update()
    return found


def fail(instance: Instance, *ages: float, status: int = 500) -> Issue:
    for age in ages:
        attempt_hook(instance.endpoint, status, at=timezone.now() - timedelta(minutes=age))
    issues.update()
    return Issue.objects.get(endpoint=instance.endpoint, status=status)


def menu_count(page: str) -> str:
    found = re.search(r'class="menu-count">(\S+)<span class="visually-hidden"> open', page)
    return found[1] if found else ""


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_list_says_what_failed_where_since_when_and_what_to_do(alice: Client, instance: Instance) -> None:
    other = InstanceFactory(owner=instance.owner, name="Bakery", url="https://bakery.example.com/")
    fail(instance, 9, 8, 7)
    attempt_hook(other.endpoint, None, outcome=Outcome.REFUSED)
    issues.update()
    page = alice.get("/issues/")
    words = text_of(page.text)
    assert "shop.example.com responded with 500: your server failed while handling it." in words
    assert "Check your server&#x27;s error log for this time." in words
    assert "bakery.example.com refused the connection" in words
    assert "3 hooks failed since" in words
    assert "Resend the 3 that failed since" in words
    assert menu_count(page.text) == "2"
    assert "Bakery" not in text_of(alice.get("/issues/?instance=12345").text.split('id="main"')[1])


def test_without_issues_the_page_and_the_menu_say_so(alice: Client, instance: Instance) -> None:
    page = alice.get("/issues/").text
    assert "No open issues" in page
    assert menu_count(page) == ""
    assert 'href="/issues/?instance=12345"' in alice.get("/instances/12345/").text
    assert 'href="/issues/?instance=12345"' in alice.get("/log/?instance=12345").text


def test_an_issue_shows_its_facts_and_its_last_failed_attempts(alice: Client, instance: Instance) -> None:
    issue = fail(instance, *range(12))
    attempt_hook(instance.endpoint, 500, simulated=True)
    page = alice.get(f"/issues/{issue.public_id}/")
    assert page.text.count("<td>500</td>") == 10
    assert "https://shop.example.com/hook" in page.text
    assert "12 failed with this cause; 12 can be resent." in text_of(page.text)
    log = re.search(r'href="(/log/\?[^"]+)">Open the failed hooks', page.text)
    assert log
    rows = alice.get(log[1].replace("&amp;", "&")).text
    assert len(set(re.findall(r"/log/([0-9a-f-]{36})/", rows))) == 12


def test_acknowledging_names_the_user_and_leaves_the_menu(alice: Client, instance: Instance) -> None:
    issue = fail(instance, 3)
    response = alice.post(f"/issues/{issue.public_id}/acknowledge/", {"next": "/issues/"}, follow=True)
    assert "acknowledged by alice@example.org" in text_of(response.text)
    assert menu_count(response.text) == ""
    issue.refresh_from_db()
    assert (issue.state, issue.acknowledged_by) == (IssueState.ACKNOWLEDGED, instance.owner.owner)
    assert AuditEntry.objects.filter(action=AuditAction.ISSUE_ACKNOWLEDGED).count() == 1
    again = alice.post(f"/issues/{issue.public_id}/acknowledge/", follow=True)
    assert "The issue is acknowledged already." in again.text


def test_a_resolved_issue_offers_to_resend_what_was_missed(alice: Client, instance: Instance) -> None:
    attempt_hook(instance.endpoint, 404)  # another cause, which the resend leaves alone
    issue = fail(instance, 9, 8)
    attempt_hook(instance.endpoint, 200)
    issues.update()
    page = alice.get(f"/issues/{issue.public_id}/").text
    assert "It has not received 2 hooks of this issue." in text_of(page)
    response = alice.post(f"/issues/{issue.public_id}/resend/")
    job = Redelivery.objects.get()
    assert response["Location"] == f"/log/redeliveries/{job.public_id}/"
    assert job.planned == 2
    redelivery.work()
    assert Hook.objects.filter(redelivery=job, state=State.RETRYING, last_status=500).count() == 2
    page = alice.get(f"/issues/{issue.public_id}/").text
    assert "No hook of this issue is left to resend." in text_of(page)
    assert "2 hooks failed" in text_of(page)
    assert "Resend the" not in page
    again = alice.post(f"/issues/{issue.public_id}/resend/", follow=True)
    assert "No matching hook can be resent." in again.text


def test_a_viewer_sees_issues_without_buttons(instance: Instance, client: Client) -> None:
    issue = fail(instance, 3)
    client.force_login(member_of(instance.owner, "viewer"))
    for url in ("/issues/", f"/issues/{issue.public_id}/"):
        page = client.get(url).text
        assert "responded with 500" in page
        assert "Acknowledge issue" not in page
        assert "Resend the" not in page


def test_an_issue_of_a_removed_attempt_is_explained_by_its_status(alice: Client, instance: Instance) -> None:
    create_issue(instance.endpoint, status=502)
    assert "shop.example.com responded with 502: the proxy" in text_of(alice.get("/issues/").text)
