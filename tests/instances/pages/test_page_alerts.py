"""The page of the alert webhook: set, test, what failed and why, rotate, remove."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account
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
    assert "The old secret signs too until" in shown(client)
    client.post(reverse("account-alerts:remove"))
    assert not AlertWebhook.objects.exists()
    assert client.post(reverse("account-alerts:test")).status_code == 404


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
