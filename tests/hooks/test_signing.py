"""A hook's headers verify with the Standard Webhooks package, as a receiver would use it."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from hooks import signing
from hooks.models import new_secret

BODY = '{"messages":[{"body":"ünï 🎉"}],"instanceId":"1"}'.encode()


def headers(secret: str, *, simulated: bool = False, at: datetime | None = None) -> dict[str, str]:
    return signing.headers(
        webhook_id="hook_1",
        body=BODY,
        secret=secret,
        at=at or datetime.now(UTC),
        number=3,
        allowed=20,
        simulated=simulated,
    )


def test_the_signature_verifies() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY.decode(), headers(secret)) == {
        "messages": [{"body": "ünï 🎉"}],
        "instanceId": "1",
    }


def test_the_signature_does_not_verify_with_another_secret_body_or_id() -> None:
    secret = new_secret()
    made = headers(secret)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY.decode(), made)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.decode() + " ", made)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.decode(), made | {"webhook-id": "hook_2"})


def test_an_old_signature_does_not_verify() -> None:
    secret = new_secret()
    old = headers(secret, at=datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.decode(), old)


def test_the_headers_of_a_hook(settings: Settings) -> None:
    settings.VERSION = "9.9"
    at = datetime(2030, 1, 1, microsecond=999_999, tzinfo=UTC)
    made = headers("whsec_" + base64.b64encode(b"k" * 24).decode(), at=at)
    assert made.pop("webhook-signature").startswith("v1,")
    assert made == {
        "Content-Type": "application/json",
        "User-Agent": "ChatAPI/9.9",
        "webhook-id": "hook_1",
        "webhook-timestamp": "1893456000",
        "webhook-attempt": "3/20",
    }


def test_a_simulated_hook_has_its_own_header() -> None:
    assert headers(new_secret(), simulated=True)["webhook-simulated"] == "1"
    assert "webhook-simulated" not in headers(new_secret())


def test_a_secret_is_24_random_bytes() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets} == {24}
