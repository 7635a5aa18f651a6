"""What people enter to link a WhatsApp number, checked at the double over real sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from instances.channels.linking import Found, NotLinkable
from instances.channels.receiving import LinkLost, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.models import AccountStatus
from instances.received_events import StatusReported
from instances.receiving.messenger_calls import call_messenger
from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud

CHANNEL = WhatsAppCloudChannel()


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch) -> Iterator[Number]:
    from django.conf import settings

    with WhatsAppCloud() as whatsapp:
        monkeypatch.setattr(settings, "WHATSAPP_URL", whatsapp.url)
        yield whatsapp.add_number(phone="15550001111", name="Tea Shop")


def values(number: Number, **changed: str) -> dict[str, str]:
    entered = {
        "phone_number_id": number.phone_number_id,
        "access_token": number.token,
        "app_secret": number.app_secret,
        "verify_token": number.verify_token,
        "business_account_id": number.business_account_id,
    }
    return CHANNEL.setup.complete(entered | changed)


def check(entered: Mapping[str, str]) -> Found:
    return call_messenger(lambda network: CHANNEL.check(entered, network))


def link(number: Number) -> Link:
    found = check(values(number))
    return Link(1, found.own_chat_id, found.credentials, found.external_id, found.options)


def test_the_values_of_a_number(number: Number) -> None:
    entered = values(number)
    assert CHANNEL.setup.mistakes(entered) == {}
    found = check(entered)
    assert (found.external_id, found.own_chat_id, found.name) == (
        number.phone_number_id, "15550001111@c.us", "Tea Shop (+15550001111)",
    )  # fmt: skip
    assert set(found.credentials) == {"access_token", "app_secret", "verify_token"}
    assert found.options == {
        "phone_number_id": number.phone_number_id,
        "business_account_id": number.business_account_id,
        "api_version": "v23.0",
    }
    assert not number.is_subscribed, "checking changes nothing at Meta"


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"access_token": "EAAG-some-token-that-is-not-valid"}, "access_token", "invalid or has expired"),
        ({"phone_number_id": "999999999999999"}, "phone_number_id", "No phone number has this id"),
        ({"app_secret": "the-secret-of-another-app"}, "app_secret", "not the secret of the app"),
        ({"business_account_id": "999999999999999"}, "business_account_id", "No WhatsApp Business account"),
    ],
)
def test_a_wrong_value_is_named(number: Number, changed: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(NotLinkable) as refused:
        check(values(number, **changed))
    assert refused.value.field == field
    assert words in refused.value.sentence
    assert not [secret for secret in changed.values() if secret in refused.value.sentence]


def test_a_missing_permission_is_named(number: Number) -> None:
    number.permissions = ("whatsapp_business_messaging",)
    with pytest.raises(NotLinkable) as refused:
        check(values(number))
    assert refused.value.field == "access_token"
    assert "whatsapp_business_management" in refused.value.sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phone_number_id", "+15550001111"),
        ("access_token", "EAAG with spaces in the token"),
        ("app_secret", "short"),
        ("verify_token", "a b"),
        ("api_version", "23"),
        ("phone_number_id", ""),
    ],
)
def test_the_form_of_each_value_is_checked_before_meta_is_asked(
    number: Number, name: str, value: str
) -> None:
    mistakes = CHANNEL.setup.mistakes(values(number) | {name: value})
    assert list(mistakes) == [name] and mistakes[name].endswith(".")


def test_all_texts_are_sentences() -> None:
    setup = CHANNEL.setup
    for text in (setup.summary, *setup.needs, *setup.steps, *setup.callback_steps, *setup.facts):
        assert text.endswith(".") and text[0].isupper()
    for field in setup.fields:
        assert field.help.endswith(".") and (not field.pattern or field.mistake.endswith("."))


def test_connecting_subscribes_the_app(number: Number) -> None:
    saved = link(number)
    for _ in range(2):
        call_messenger(lambda network: CHANNEL.connect(saved, "https://example.com/channels/x/y", network))
        assert number.is_subscribed
    without = Link(1, saved.own_chat_id, saved.credentials, saved.external_id, {"business_account_id": ""})
    number.is_subscribed = False
    call_messenger(lambda network: CHANNEL.connect(without, "https://example.com/channels/x/y", network))
    assert not number.is_subscribed


def health(number: Number, saved: Link) -> Any:
    return call_messenger(lambda network: CHANNEL.health(saved, network))


def test_the_health_of_a_link(number: Number) -> None:
    saved = link(number)
    assert health(number, saved) == StatusReported(AccountStatus.AUTHENTICATED)
    number.is_revoked = True
    with pytest.raises(LinkLost, match="invalid or has expired"):
        health(number, saved)


def test_a_messenger_that_is_away_is_no_lost_link(number: Number) -> None:
    saved = link(number)
    number.server.server.shutdown()
    number.server.server.server_close()
    with pytest.raises(ReceiveFailed) as failed:
        health(number, saved)
    assert not isinstance(failed.value, LinkLost)


def test_disconnecting_ends_the_subscription_that_no_other_number_needs(number: Number) -> None:
    saved = link(number)
    call_messenger(lambda network: CHANNEL.connect(saved, "https://example.com/channels/x/y", network))
    other = number.server.add_number(business_account_id=number.business_account_id)
    assert "callback URL" in call_messenger(lambda network: CHANNEL.disconnect(saved, network))
    assert number.is_subscribed, "the other number of the account needs it"
    del number.server.numbers[other.phone_number_id]
    assert "callback URL" in call_messenger(lambda network: CHANNEL.disconnect(saved, network))
    assert not number.is_subscribed


def test_disconnecting_fails_without_the_permission_and_needs_nothing_without_a_token(number: Number) -> None:
    saved = link(number)
    number.permissions = ()
    with pytest.raises(ReceiveFailed, match="whatsapp_business_management"):
        call_messenger(lambda network: CHANNEL.disconnect(saved, network))
    number.is_revoked = True
    assert "callback URL" in call_messenger(lambda network: CHANNEL.disconnect(saved, network))
    number.server.server.shutdown()
    number.server.server.server_close()
    with pytest.raises(ReceiveFailed):
        call_messenger(lambda network: CHANNEL.disconnect(saved, network))
