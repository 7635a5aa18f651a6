"""Updates by polling and by the webhook, over the real web server and receiver: none is lost and none is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instances.models import AccountStatus, Instance, Message, StoredCallback
from instances.receiving.messenger_calls import call_messenger
from tests.doubles.telegram import Bot, Fault, Telegram, User
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.telegram.messenger import credentials_of, save_bot
from tests.instances.channels.telegram.test_linking import CHANNEL
from tests.instances.receiving.processes import Receive, Web

pytestmark = [pytest.mark.usefixtures("checked"), pytest.mark.timeout(300)]

PUBLIC = "https://bots.example.com"


@pytest.fixture
def double(settings: Any) -> Iterator[Telegram]:
    with Telegram() as running:
        settings.TELEGRAM_URL = running.url
        yield running


@pytest.fixture
def bot(double: Telegram) -> Bot:
    return double.add_bot()


@pytest.fixture
def alice(transactional_db: None, bot: Bot) -> Instance:
    instance: Instance = InstanceFactory(channel="telegram", url="https://example.com/hook")
    save_bot(instance, bot)
    return instance


def bodies(instance: Instance) -> list[str]:
    return list(Message.objects.filter(instance=instance).order_by("number").values_list("body", flat=True))


def connect(instance: Instance, site: str) -> None:
    """Set or delete the webhook, as the page does."""
    link = instance.channel_link
    url = f"{site}/channels/telegram/{link.callback_secret}"
    seen = CHANNEL.link(instance)
    call_messenger(lambda network: CHANNEL.connect(seen, url, network))


def wait_for(instance: Instance, number: int) -> None:
    wait_until(lambda: len(bodies(instance)) >= number, f"{number} messages are received", 120)


def test_polling_and_the_webhook_take_turns_without_losing_an_update(
    tmp_path: Path, double: Telegram, bot: Bot, alice: Instance, settings: Any
) -> None:
    ann = User(100, "Ann")
    alice.refresh_from_db()
    with Receive(tmp_path / "one", TELEGRAM_URL=double.url):
        double.write(bot, ann, "polled 1")
        double.write(bot, ann, "polled 2")
        wait_for(alice, 2)
    double.write(bot, ann, "while nothing runs 1")

    settings.SITE_URL = PUBLIC
    urls = {"TELEGRAM_URL": double.url, "SITE_URL": PUBLIC}
    with Web(tmp_path / "web", **urls) as web, Receive(tmp_path / "two", **urls):
        double.reach[PUBLIC] = web.url
        connect(alice, PUBLIC)
        double.write(bot, ann, "pushed 1")
        wait_for(alice, 4)
        update = double.pushed(bot)[-1]
        assert double.push_again(bot, update) == 200, "a repeated callback is taken"
        old = {**update, "update_id": update["update_id"] - 1}
        assert double.push_again(bot, old) == 200, "as another callback with the same message, and late"
        assert double.push_again(bot, update, secret="wrong") == 403
        assert double.push_again(bot, update, secret="") == 401
        double.write(bot, ann, "pushed 2")
        wait_for(alice, 5)
    double.write(bot, ann, "while nothing runs 2")

    # the site's URL has changed and nothing was connected: the receiver deletes the webhook itself
    with Receive(tmp_path / "three", TELEGRAM_URL=double.url):
        wait_for(alice, 6)
        assert bot.webhook is None
        double.write(bot, ann, "polled 3")
        wait_for(alice, 7)
    assert bodies(alice) == [
        "polled 1", "polled 2", "while nothing runs 1", "pushed 1", "pushed 2", "while nothing runs 2", "polled 3"
    ]  # fmt: skip
    assert not StoredCallback.objects.exclude(handled_at__isnull=False).exists()


def test_a_receiver_survives_what_telegram_does_and_says_when_the_token_is_revoked(
    tmp_path: Path, double: Telegram, bot: Bot, alice: Instance
) -> None:
    ann = User(100, "Ann")
    faults = [
        Fault("error", method="getUpdates", status=502, description="Bad Gateway"),
        Fault("page", method="getUpdates"),
        Fault("reset", method="getUpdates"),
        Fault("garbage", method="getUpdates"),
        Fault("error", method="getUpdates", status=429, description="x", parameters={"retry_after": 1}),
        Fault("reset", method="getUpdates", is_done=True),
    ]
    with Receive(tmp_path / "one", TELEGRAM_URL=double.url) as receive:
        for number, fault in enumerate(faults):
            double.order(fault)
            double.write(bot, ann, str(number))
        wait_for(alice, len(faults))
        receive.kill()
    double.write(bot, ann, "after the kill")
    with Receive(tmp_path / "two", TELEGRAM_URL=double.url):
        wait_for(alice, len(faults) + 1)
        double.revoke(bot)

        def is_lost() -> bool:
            alice.refresh_from_db()
            return alice.account_status == AccountStatus.INIT

        wait_until(is_lost, "the instance is not linked any more", 60)
        new = double.add_bot("new_bot")
        assert credentials_of(new) != credentials_of(bot)
        save_bot(alice, new)
        double.write(new, ann, "to the new bot")
        wait_for(alice, len(faults) + 2)
    assert bodies(alice) == [*map(str, range(len(faults))), "after the kill", "to the new bot"]
