"""The alert webhook: what it is sent and when, retries, kills, rate limits, and that it makes no issues or hooks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.models import Account, AuditEntry
from hooks import http
from hooks.actions.endpoints import end_previous_secret, rotate_secret
from hooks.actions.issues import acknowledge
from hooks.explain.failure_causes import STATUSES
from hooks.explain.sentences import explain_response
from hooks.maintenance import issues
from hooks.models import Attempt, Hook, Issue, Outcome
from hooks.urls.webhook_urls import InvalidUrl
from instances.actions import alerts
from instances.maintenance import alert_webhook
from instances.maintenance.due_issues import MAX_PER_HOUR, NOTIFY_AFTER
from instances.models import Alert, AlertState, AlertWebhook, Instance
from instances.pages.docs.openapi_document import DOCUMENT, parse
from tests.factories import AccountFactory, InstanceFactory, create_issue
from tests.hooks.attempted import attempt_hook
from tests.openapi import pointer, validator
from tests.receiver import Answer, Received, Receiver
from tests.threads import results_in_threads, wait_until_a_session_waits

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def shop() -> Instance:
    owner = AccountFactory(email="alice@example.org")
    found = InstanceFactory(owner=owner, name="Shop", url="https://shop.example.com/hook")
    issues.update()
    return found


@pytest.fixture
def webhook(shop: Instance, receiver: Receiver) -> AlertWebhook:
    return alerts.set_url(shop.owner, url=receiver.url, acting_user=None)


def let_time_pass() -> None:
    for issue in Issue.objects.all():
        Issue.objects.filter(pk=issue.pk).update(opened_at=issue.opened_at - NOTIFY_AFTER)


def let_retries_be_due() -> None:
    Alert.objects.filter(state=AlertState.WAITING).update(next_attempt_at=timezone.now())


def old_issue(shop: Instance, **fields: Any) -> Issue:
    return create_issue(shop.endpoint, opened_at=timezone.now() - timedelta(hours=1), **fields)


def test_an_issue_is_notified_once_after_a_while_and_its_recovery_once(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    for age in (5, 4):
        attempt_hook(shop.endpoint, 500, at=timezone.now() - timedelta(minutes=age))
    issues.update()
    alert_webhook.send()
    assert receiver.requests == []
    let_time_pass()
    assert alert_webhook.send() == "1 alerts created, 1 attempts made, 0 dropped"
    alert_webhook.send()
    [sent] = receiver.requests
    body, issue = sent.json(), Issue.objects.get()
    assert (body["type"], body["text"], body["recovered"], body["more"]) == (
        "issues",
        "Hooks of Shop fail",
        [],
        0,
    )
    [told] = body["opened"]
    assert told | {"firstFailedAt": "", "lastFailedAt": ""} == {
        "id": f"issue_{issue.public_id.hex}", "state": "open", "instanceId": str(shop.number), "instanceName": "Shop",
        "endpointId": str(shop.endpoint.pk), "outcome": "not_200", "status": 500,
        "explanation": "shop.example.com responded with 500: your server failed while handling it.",
        "nextStep": "Check your server's error log for this time. Respond with 200 to acks and unknown families too.",
        "suggestedUrl": None, "suggestedSetting": "guaranteedHooks", "hooks": 2, "missed": 2, "firstFailedAt": "",
        "lastFailedAt": "", "resolvedAt": None,
        "page": f"{body['page']}{issue.public_id}/",
    }  # fmt: skip

    attempt_hook(shop.endpoint, 200)
    issues.update()
    alert_webhook.send()
    alert_webhook.send()
    [_, second] = receiver.requests
    body = second.json()
    assert (body["text"], body["opened"]) == ("Hooks of Shop are delivered again", [])
    [told] = body["recovered"]
    assert (told["state"], told["missed"]) == ("resolved", 2)
    assert second.headers["webhook-id"] != sent.headers["webhook-id"]


def test_an_alert_names_the_url_that_the_button_of_the_issue_would_set(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver, client: Client
) -> None:
    attempt_hook(shop.endpoint, 301, outcome=Outcome.REDIRECT, headers=[["Location", "/hook/"]])
    issues.update()
    let_time_pass()
    alert_webhook.send()
    [sent] = receiver.requests
    [told] = sent.json()["opened"]
    assert (told["suggestedUrl"], told["suggestedSetting"]) == (f"{shop.endpoint.url}/", None)
    client.force_login(shop.owner.owner)
    page = client.get(told["page"].removeprefix("http://localhost:8000")).text
    assert f'name="url" value="{told["suggestedUrl"]}"' in page


def test_alerts_are_signed_like_hooks_and_also_with_the_old_secret(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    old = webhook.secret
    new = alerts.rotate_secret(webhook, acting_user=None).secret
    old_issue(shop)
    alert_webhook.send()
    [sent] = receiver.requests
    for secret in (old, new):
        Webhook(secret).verify(sent.body, sent.headers)
    assert sent.headers["webhook-id"] == str(Alert.objects.get())
    assert sent.headers["webhook-attempt"] == f"1/{alerts.MAX_ATTEMPTS}"
    assert "webhook-simulated" not in sent.headers


def test_a_second_rotation_ends_the_oldest_secret_as_that_of_an_endpoint_does(
    shop: Instance, webhook: AlertWebhook
) -> None:
    endpoint, first, now = shop.endpoint, webhook.secret, timezone.now()
    of_webhook = [alerts.rotate_secret(webhook, acting_user=None).secret for _ in range(2)]
    of_endpoint = [rotate_secret(endpoint, acting_user=None) for _ in range(2)]
    webhook.refresh_from_db()
    endpoint.refresh_from_db()
    assert webhook.valid_secrets(now) == of_webhook[::-1]
    assert endpoint.valid_secrets(now) == of_endpoint[::-1]
    assert first not in webhook.valid_secrets(now)


def test_an_old_secret_ends_once(shop: Instance, webhook: AlertWebhook) -> None:
    endpoint = shop.endpoint
    alerts.rotate_secret(webhook, acting_user=None)
    rotate_secret(endpoint, acting_user=None)
    for _ in range(2):
        alerts.end_previous_secret(webhook, acting_user=None)
        end_previous_secret(endpoint, acting_user=None)
    ended = AuditEntry.objects.filter(action__contains="old_secret_ended").values_list("action", flat=True)
    assert sorted(ended) == ["alerts.old_secret_ended", "instance.old_secret_ended"]


def test_the_body_has_the_fields_of_its_schema(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    old_issue(shop)
    alert_webhook.send()
    alerts.send_test(webhook, acting_user=None)
    document = parse(DOCUMENT.read_bytes())
    content = ("webhooks", "alert", "post", "requestBody", "content", "application/json")
    checker = validator(document, pointer(*content, "schema"))
    for sent in receiver.requests:
        assert [error.message for error in checker.iter_errors(sent.json())] == []
    body, schemas = receiver.requests[0].json(), document["components"]["schemas"]
    assert list(body) == list(schemas["IssuesAlert"]["properties"])
    assert list(body["opened"][0]) == list(schemas["AlertedIssue"]["properties"])


def test_a_failed_alert_is_retried_with_its_id_and_makes_no_issue(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    receiver.answers = [(500, {}, b""), (302, {"Location": "/login"}, b""), (200, {}, b"")]
    old_issue(shop)
    for _ in range(3):
        alert_webhook.send()
        assert alert_webhook.send().endswith(" 0 attempts made, 0 dropped")  # it is not due yet
        let_retries_be_due()
    alert = Alert.objects.get()
    assert (alert.state, alert.next_attempt_at) == (AlertState.DELIVERED, None)
    assert [made["status"] for made in alert.attempts] == [500, 302, 200]
    assert "This is a login page" in alert.attempts[1]["nextStep"]
    assert len({sent.headers["webhook-id"] for sent in receiver.requests}) == 1
    assert len({sent.body for sent in receiver.requests}) == 1
    issues.update()
    assert (Issue.objects.count(), Hook.objects.count(), Attempt.objects.count()) == (1, 0, 0)


def test_retries_end(shop: Instance, webhook: AlertWebhook, receiver: Receiver) -> None:
    receiver.answers = [(500, {}, b"")]
    old_issue(shop)
    for _ in range(alerts.MAX_ATTEMPTS + 2):
        alert_webhook.send()
        let_retries_be_due()
    assert (Alert.objects.get().state, len(receiver.requests)) == (AlertState.FAILED, alerts.MAX_ATTEMPTS)


def test_a_gone_webhook_is_not_retried(shop: Instance, webhook: AlertWebhook, receiver: Receiver) -> None:
    receiver.answers = [(410, {}, b"")]
    old_issue(shop)
    alert_webhook.send()
    assert Alert.objects.get().state == AlertState.FAILED


def test_an_alert_whose_sender_died_is_sent_again_and_issues_are_notified_once(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_issue(shop)

    def die(*_: object, **__: object) -> Alert:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(alert_webhook, "record_response", die)
        with pytest.raises(SystemExit):
            alert_webhook.send()
    assert alert_webhook.send() == "0 alerts created, 0 attempts made, 0 dropped"  # it may still be at work
    let_retries_be_due()
    alert_webhook.send()
    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert second.headers["webhook-attempt"].startswith("2/")


def test_many_issues_are_few_alerts(shop: Instance, webhook: AlertWebhook, receiver: Receiver) -> None:
    for number in range(MAX_PER_HOUR + 3):
        old_issue(shop, status=500 + number)
        alert_webhook.send()
    assert len(receiver.requests) == MAX_PER_HOUR
    Alert.objects.update(created_at=timezone.now() - timedelta(hours=2))
    alert_webhook.send()
    assert len(receiver.requests[-1].json()["opened"]) == 3


def test_an_acknowledged_issue_and_a_blocked_account_get_no_alert(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    acknowledge(old_issue(shop), acting_user=None)
    alert_webhook.send()
    assert not Alert.objects.exists()
    old_issue(shop, status=404)
    Account.objects.update(blocked_at=timezone.now())
    alert_webhook.send()
    assert receiver.requests == []


def test_alerts_go_to_the_account_of_the_instance_alone(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    other = InstanceFactory(owner=AccountFactory(email="bob@example.org"), url="https://bob.example/")
    create_issue(other.endpoint, opened_at=timezone.now() - timedelta(hours=1))
    assert alert_webhook.send() == "0 alerts created, 0 attempts made, 0 dropped"


def test_a_new_webhook_gets_what_fails_now_but_not_of_former_recoveries(
    shop: Instance, receiver: Receiver
) -> None:
    old_issue(shop, state="resolved", resolved_at=timezone.now(), alerted_state="open")
    old_issue(shop, status=404)
    old_issue(shop, status=403, alerted_state="open")  # a webhook that was removed got it
    alerts.set_url(shop.owner, url=receiver.url, acting_user=None)
    alert_webhook.send()
    body = receiver.requests[0].json()
    assert ([one["status"] for one in body["opened"]], body["recovered"]) == ([404, 403], [])


def test_private_addresses_are_refused(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver, settings: Any
) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    for url in ("http://169.254.169.254/latest/meta-data/", receiver.url):
        alerts.set_url(shop.owner, url=url, acting_user=None)
        alert = alerts.send_test(AlertWebhook.objects.get(), acting_user=None)
        assert (alert.state, alert.attempts[0]["outcome"]) == (AlertState.FAILED, "blocked")
    assert receiver.requests == []
    with pytest.raises(InvalidUrl, match="must start with http"):
        alerts.set_url(shop.owner, url="file:///etc/passwd", acting_user=None)


def test_a_test_alert_is_sent_once_and_is_marked(webhook: AlertWebhook, receiver: Receiver) -> None:
    receiver.answers = [(503, {}, b"")]
    alert = alerts.send_test(webhook, acting_user=None)
    assert (alert.state, alert.is_test) == (AlertState.FAILED, True)
    alert_webhook.send()
    [sent] = receiver.requests
    assert (sent.json()["type"], sent.headers["webhook-simulated"]) == ("test", "1")
    # without what is true of hooks only
    assert alert.attempts[0]["nextStep"] == "Check that your server runs."
    assert sent.headers["webhook-attempt"] == "1/1"


@pytest.mark.parametrize("status", STATUSES)
def test_the_next_step_of_an_alert_says_nothing_of_hooks(status: int) -> None:
    response = http.Response(Outcome.NOT_200, status=status)
    step = alerts.without_hooks(explain_response(response, url="https://ops.example.com/").next_step)
    assert step
    assert not re.search(r"(?i)\b(hooks?|guaranteedHooks|acks?|instance)\b", step)


def test_an_attempt_has_the_time_at_which_it_started_not_at_which_it_waited_for_a_thread(
    webhook: AlertWebhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_webhook, "THREADS", 1)
    responded = []

    def respond(_: Received) -> Answer:
        responded.append(timezone.now())
        return 200, {}, b""

    receiver.answers = respond
    for _ in range(2):
        Alert.objects.create(webhook=webhook, body=b"{}", next_attempt_at=timezone.now())
    alert_webhook.send_waiting()
    times = [datetime.fromisoformat(alert.attempts[0]["at"]) for alert in Alert.objects.all()]
    assert max(times) >= min(responded)


@pytest.mark.django_db(transaction=True)
def test_a_url_that_is_set_while_the_webhook_is_removed_gets_a_new_secret(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    is_removed = Event()

    def set_url(_: int) -> AlertWebhook:
        is_removed.wait(30)
        return alerts.set_url(shop.owner, url=f"{receiver.url}new", acting_user=None)

    def remove(_: int) -> None:
        with transaction.atomic():
            alerts.remove(webhook, acting_user=None)
            is_removed.set()
            wait_until_a_session_waits(connection.connection)

    [found, _] = results_in_threads(lambda number: (set_url, remove)[number](number), 2)
    assert found and found.secret != webhook.secret
    assert [(one.url, one.secret) for one in AlertWebhook.objects.all()] == [(found.url, found.secret)]


def test_changes_of_a_webhook_that_is_removed_meanwhile_are_refused(webhook: AlertWebhook) -> None:
    AlertWebhook.objects.all().delete()
    for change in (alerts.rotate_secret, alerts.end_previous_secret):
        with pytest.raises(AlertWebhook.DoesNotExist):
            change(webhook, acting_user=None)
    assert not AlertWebhook.objects.exists()


def test_a_removed_webhook_and_a_deleted_account_leave_nothing(
    shop: Instance, webhook: AlertWebhook, receiver: Receiver
) -> None:
    alert = alerts.send_test(webhook, acting_user=None)
    AlertWebhook.objects.all().delete()  # during the request
    alerts.record_response(alert, at=timezone.now(), response=http.Response(Outcome.OK, status=200))
    webhook = alerts.set_url(shop.owner, url=receiver.url, acting_user=None)
    old_issue(shop)
    alert_webhook.send()
    alerts.remove(webhook, acting_user=None)
    assert not Alert.objects.exists()
    again = alerts.set_url(shop.owner, url=receiver.url, acting_user=None)
    assert again.secret != webhook.secret
    AlertWebhook.objects.create(account_id=2**40, url=receiver.url)  # as code without alerts leaves one
    alert_webhook.send()
    assert [found.account_id for found in AlertWebhook.objects.all()] == [shop.owner_id]


def test_changes_are_in_the_audit_log_without_secrets(shop: Instance, webhook: AlertWebhook) -> None:
    alerts.set_url(shop.owner, url="https://ops.example.com/alerts?key=hidden", acting_user=None)
    alerts.rotate_secret(webhook, acting_user=None)
    alerts.remove(webhook, acting_user=None)
    entries = AuditEntry.objects.filter(action__startswith="alerts.").order_by("pk")
    assert [entry.action for entry in entries] == [
        "alerts.webhook_set", "alerts.webhook_set", "alerts.secret_rotated", "alerts.webhook_removed",
    ]  # fmt: skip
    alerts.remove(webhook, acting_user=None)  # by a second click: nothing is left to remove
    assert entries.count() == 4
    kept = str([*entries.values_list()])
    assert "hidden" not in kept and "whsec_" not in kept and "ops.example.com" in kept
