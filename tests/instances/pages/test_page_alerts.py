"""The page of the alert webhook: set, test, what failed and why, rotate, remove."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, AuditEntry
from instances.actions import alerts
from instances.models import Alert, AlertWebhook
from tests.factories import AccountFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
PAGE = "account-alerts:alerts"


@pytest.fixture
def alice() -> Account:
    return AccountFactory(email="alice@example.org")


def shown(client: Client, response: Any = None) -> str:
    """The text of the page, with the message that the last response left, without repeated spaces."""
    text = (response or client.get(reverse(PAGE))).content.decode()
    return " ".join(text.split())


def test_the_webhook_is_set_tested_and_removed(client: Client, alice: Account) -> None:
    client.force_login(alice.owner)
    assert "Send test alert" not in shown(client)
    with Receiver([(503, {}, b""), (200, {}, b"")]) as receiver:
        response = client.post(reverse(PAGE), {"url": receiver.url}, follow=True)
        assert "Saved." in shown(client, response)
        webhook = AlertWebhook.objects.get()
        assert (webhook.account, webhook.url) == (alice, receiver.url)
        for sentence in ("responded with 503", "Delivered: 127.0.0.1 responded with 200."):
            response = client.post(reverse("account-alerts:test"), follow=True)
            assert f"Test alert: {Alert.objects.latest('pk').attempts[0]['explanation']}" in shown(
                client, response
            )
            assert sentence in shown(client)
        assert len(receiver.requests) == 2
    assert webhook.secret in shown(client)
    client.post(reverse("account-alerts:rotate-secret"))
    assert webhook.secret not in shown(client)
    assert "The old secret is valid until" in shown(client)
    client.post(reverse("account-alerts:remove"))
    assert not AlertWebhook.objects.exists()
    assert client.post(reverse("account-alerts:test")).status_code == 404


def test_the_old_secret_ends_after_a_day_or_at_once(client: Client, alice: Account) -> None:
    alerts.set_url(alice, url="http://127.0.0.1:9/", acting_user=None)
    client.force_login(alice.owner)
    end = reverse("account-alerts:end-secret")
    client.post(reverse("account-alerts:rotate-secret"))
    assert f'action="{end}"' in shown(client)
    assert "Rotate the secret again? The old one ends immediately" in shown(client)
    assert "The old secret is no longer valid." in shown(client, client.post(end, follow=True))
    webhook = AlertWebhook.objects.get()
    assert webhook.valid_secrets(timezone.now()) == [webhook.secret]
    assert AuditEntry.objects.filter(action="alerts.old_secret_ended").count() == 1
    assert end not in shown(client)

    client.post(reverse("account-alerts:rotate-secret"))
    AlertWebhook.objects.update(previous_secret_until=timezone.now())
    assert end not in shown(client) and "The old secret is valid until" not in shown(client)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("page", "action"),
    [
        ("rotate-secret", "rotate_secret"),
        ("end-secret", "end_previous_secret"),
        ("test", "send_test"),
        ("remove", "remove"),
    ],
)
def test_a_webhook_that_another_tab_removes_is_gone_without_an_error(
    client: Client, alice: Account, monkeypatch: pytest.MonkeyPatch, page: str, action: str
) -> None:
    alerts.set_url(alice, url="http://127.0.0.1:9/", acting_user=None)
    client.force_login(alice.owner)
    original = getattr(alerts, action)

    def removed_before(*args: Any, **kwargs: Any) -> Any:
        AlertWebhook.objects.all().delete()
        return original(*args, **kwargs)

    monkeypatch.setattr(alerts, action, removed_before)
    assert client.post(reverse(f"account-alerts:{page}")).status_code == (302 if page == "remove" else 404)
    assert (AlertWebhook.objects.count(), Alert.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "Enter the URL that is to get the alerts."),
        ("ftp://a.example", "must start with http:// or https://"),
    ],
)
def test_a_wrong_url_is_not_saved(client: Client, alice: Account, url: str, sentence: str) -> None:
    client.force_login(alice.owner)
    response = client.post(reverse(PAGE), {"url": url})
    assert (response.status_code, sentence in shown(client, response)) == (422, True)
    assert not AlertWebhook.objects.exists()


def test_the_page_is_that_of_the_own_account(client: Client, alice: Account) -> None:
    alerts.set_url(alice, url="http://127.0.0.1:9/alices", acting_user=None)
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert "alices" not in shown(client)
    assert client.post(reverse("account-alerts:remove")).status_code == 404
    assert AlertWebhook.objects.exists()
