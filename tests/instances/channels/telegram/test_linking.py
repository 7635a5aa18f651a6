"""Linking a bot: its token is checked by getMe, and its updates come by the webhook or by polling."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from instances.channels.linking import NotLinkable
from instances.channels.receiving import LinkLost, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.telegram.channel import TelegramChannel
from instances.channels.telegram.linking import is_public
from instances.models import AccountStatus, Instance
from instances.receiving import links
from instances.receiving.linking import link_account
from instances.receiving.messenger_calls import call_messenger
from tests.doubles.telegram import Bot, Fault, Telegram, flood
from tests.factories import InstanceFactory
from tests.instances.channels.telegram.messenger import credentials_of

CHANNEL = TelegramChannel()
CALLBACK = "/channels/telegram/the-secret-of-the-url"


@pytest.fixture
def double(settings: Any) -> Iterator[Telegram]:
    with Telegram() as running:
        settings.TELEGRAM_URL = running.url
        yield running


def check(token: str) -> Any:
    return call_messenger(lambda network: CHANNEL.check({"token": token}, network))


def link_of(bot: Bot) -> Link:
    return Link(1234567890, "telegram:1@c.us", credentials_of(bot), str(bot.user.id))


def test_a_token_is_checked_and_names_the_bot(double: Telegram) -> None:
    bot = double.add_bot("shop_bot")
    found = check(bot.token)
    assert (found.external_id, found.name) == (str(bot.user.id), "@shop_bot")
    assert found.own_chat_id == f"telegram:{bot.user.id}@c.us"
    assert found.credentials["token"] == bot.token
    assert found.credentials["webhook_secret"] != check(bot.token).credentials["webhook_secret"]


def test_a_wrong_token_is_refused_at_its_field_and_a_failure_may_pass(double: Telegram) -> None:
    bot = double.add_bot()
    double.revoke(bot)
    for token in (bot.token, "700000099:AAF-double_of_telegram_000700000099", "1:short"):
        with pytest.raises(NotLinkable) as refused:
            check(token)
        assert refused.value.field == "token" and "BotFather" in refused.value.sentence
    for fault in (flood(3), Fault("error", status=502), Fault("page"), Fault("reset"), Fault("garbage")):
        double.order(fault)
        with pytest.raises(ReceiveFailed):
            check(bot.token)


@pytest.mark.parametrize(
    ("token", "is_right"),
    [
        ("123456789:AAExampleTokenOfABotFromBotFather00", True),
        ("123456789:AAExampleTokenOfABot FromBotFather00", False),
        ("@shop_bot", False),
        ("123456789", False),
    ],
)
def test_the_form_of_a_token(token: str, is_right: bool) -> None:
    assert (CHANNEL.setup.mistakes({"token": token}) == {}) is is_right


@pytest.mark.parametrize(
    ("url", "is_reachable"),
    [
        ("https://bots.example.com", True),
        ("https://bots.example.com:8443", True),
        ("https://bots.example.com:9000", False),
        ("http://bots.example.com", False),
        ("https://localhost", False),
        ("https://chat.home.arpa", False),
        ("https://192.168.1.5", False),
        ("https://8.8.8.8", True),
        ("https://[::1]", False),
        ("https://bots.example.com:port", False),
    ],
)
def test_which_sites_telegram_can_reach(url: str, is_reachable: bool) -> None:
    assert is_public(url) is is_reachable


def test_connecting_sets_or_deletes_the_webhook_and_one_rule_decides(double: Telegram, settings: Any) -> None:
    bot, ann = double.add_bot(), double.add_person()
    link = link_of(bot)
    double.write(bot, ann, "kept")
    settings.SITE_URL = "https://bots.example.com"
    call_messenger(lambda network: CHANNEL.connect(link, settings.SITE_URL + CALLBACK, network))
    assert bot.webhook is not None and bot.webhook.url == settings.SITE_URL + CALLBACK
    assert bot.webhook.secret == link.credentials["webhook_secret"]
    assert "message_reaction" in (bot.allowed_updates or [])
    assert links.receiving_channel("telegram") is None and "telegram" not in links.receiving_names()
    settings.SITE_URL = "http://localhost:8000"
    call_messenger(lambda network: CHANNEL.connect(link, settings.SITE_URL + CALLBACK, network))
    assert bot.webhook is None and len(bot.updates) == 1
    assert links.receiving_channel("telegram") is not None and "telegram" in links.receiving_names()
    assert links.pushing_channel("telegram") is not None, "what was on its way is taken"


def test_the_webhook_is_set_again_when_its_url_has_changed(double: Telegram) -> None:
    bot = double.add_bot()
    for site in ("https://bots.example.com", "https://other.example.com"):
        link = dataclasses.replace(link_of(bot), callback_url=site + CALLBACK)
        for _ in range(2):
            call_messenger(lambda network, link=link: CHANNEL.health(link, network))  # type: ignore[misc]
        assert bot.webhook is not None and bot.webhook.url == site + CALLBACK
    assert double.calls(bot).count("setWebhook") == 2
    bot.allowed_updates = ["message", "my_chat_member"]  # which an older version has asked for
    call_messenger(lambda network: CHANNEL.health(link, network))
    assert "chat_member" in bot.allowed_updates and double.calls(bot).count("setWebhook") == 3
    double.order(Fault("error", method="setWebhook", status=400, description="Bad Request: bad webhook: x"))
    with pytest.raises(ReceiveFailed, match="bad webhook"):
        moved = dataclasses.replace(link_of(bot), callback_url="https://third.example.com" + CALLBACK)
        call_messenger(lambda network: CHANNEL.health(moved, network))


def test_the_health_of_a_link(double: Telegram) -> None:
    bot = double.add_bot()
    link = link_of(bot)
    status = call_messenger(lambda network: CHANNEL.health(link, network))
    assert status is not None and status.account_status == AccountStatus.AUTHENTICATED
    double.revoke(bot)
    with pytest.raises(LinkLost):
        call_messenger(lambda network: CHANNEL.health(link, network))


def test_an_instance_is_linked_by_the_token_alone(
    transactional_db: None, double: Telegram, settings: Any
) -> None:
    settings.SITE_URL = "https://bots.example.com"
    bot, other = double.add_bot("shop_bot"), double.add_bot("other_bot")
    instance: Instance = InstanceFactory(channel="telegram", account_status=AccountStatus.INIT)
    with pytest.raises(NotLinkable, match="BotFather"):
        link_account(instance, {"token": "123456789:AAExampleTokenOfABotFromBotFather00"}, acting_user=None)
    for current in (bot, other):
        stored = link_account(instance, {"token": current.token}, acting_user=None)
        instance.refresh_from_db()
        assert instance.is_authenticated and instance.own_chat_id == f"telegram:{current.user.id}@c.us"
        assert (stored.external_id, stored.name) == (str(current.user.id), f"@{current.user.username}")
        assert current.webhook is not None and current.webhook.url == stored.callback_url
        assert current.webhook.secret == stored.credentials["webhook_secret"]


def test_disconnecting_deletes_the_webhook_unless_it_is_that_of_another_program(double: Telegram) -> None:
    bot, ann = double.add_bot(), double.add_person()
    link = dataclasses.replace(link_of(bot), callback_url="https://bots.example.com" + CALLBACK)
    call_messenger(lambda network: CHANNEL.connect(link, link.callback_url, network))
    double.write(bot, ann, "kept")
    assert call_messenger(lambda network: CHANNEL.disconnect(link, network)) == ""
    assert bot.webhook is None and len(bot.updates) == 1
    other = dataclasses.replace(link, callback_url="https://other.example.com" + CALLBACK)
    call_messenger(lambda network: CHANNEL.connect(other, other.callback_url, network))
    call_messenger(lambda network: CHANNEL.disconnect(link, network))
    assert bot.webhook is not None and bot.webhook.url == other.callback_url
    for fault in (flood(3), Fault("error", status=502), Fault("error", method="deleteWebhook", status=400)):
        double.order(fault)
        with pytest.raises(ReceiveFailed):
            call_messenger(lambda network: CHANNEL.disconnect(other, network))
    double.revoke(bot)
    assert call_messenger(lambda network: CHANNEL.disconnect(other, network)) == "", (
        "the token is not valid any more"
    )
