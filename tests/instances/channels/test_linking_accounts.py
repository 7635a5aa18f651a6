"""A person links a Telegram bot and a WhatsApp number at their doubles, loses the link, and moves between the two."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hooks.models import Hook
from instances.actions.lifecycle import change_channel, create_instance
from instances.actions.received import record_events
from instances.actions.sending.accept import send_message
from instances.channels.own_ids import LEFT_OUT
from instances.models import ChannelLink, Instance, Message, ReceiverState
from instances.received_events import MessageReceived
from instances.receiving.link_checks import LinkChecks
from instances.receiving.linking import link_account
from instances.receiving.network import LoopNetwork
from instances.sending.outgoing import send_due
from tests.doubles.telegram import Bot, Telegram
from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def telegram(settings: Any) -> Iterator[Telegram]:
    with Telegram() as running:
        settings.TELEGRAM_URL = running.url
        yield running


@pytest.fixture
def bot(telegram: Telegram) -> Bot:
    return telegram.add_bot("shop_bot")


@pytest.fixture
def number(settings: Any) -> Iterator[Number]:
    with WhatsAppCloud() as running:
        settings.WHATSAPP_URL = running.url
        yield running.add_number(phone="15550001111", name="Tea Shop")


@pytest.fixture
def shop() -> Instance:
    return create_instance(UserFactory().account, channel="telegram", acting_user=None)


def check_links() -> None:
    ReceiverState.objects.update(next_check_at=timezone.now())

    async def once() -> None:
        network = LoopNetwork()
        checks = LinkChecks(network)
        await checks.start_due()
        await asyncio.gather(*checks.tasks)
        await checks.end()
        network.close()

    asyncio.run(once())


def status(instance: Instance) -> str:
    instance.refresh_from_db()
    return instance.account_status


def values(number: Number) -> dict[str, str]:
    return {
        "phone_number_id": number.phone_number_id,
        "access_token": number.token,
        "app_secret": number.app_secret,
        "verify_token": number.verify_token,
        "business_account_id": number.business_account_id,
    }


def test_a_bot_is_linked_and_its_revoked_token_noticed(shop: Instance, telegram: Telegram, bot: Bot) -> None:
    assert shop.account_status == "init"
    link_account(shop, {"token": bot.token}, acting_user=None)
    assert status(shop) == "authenticated"
    assert shop.own_chat_id == f"telegram:{bot.user.id}@c.us"
    assert ChannelLink.objects.get().name == "@shop_bot"
    check_links()
    assert status(shop) == "authenticated"
    telegram.revoke(bot)
    check_links()
    assert status(shop) == "init"
    assert bot.token not in ReceiverState.objects.get().lost_reason != ""


def test_a_number_is_linked_and_its_revoked_token_noticed(shop: Instance, number: Number) -> None:
    change_channel(shop, channel="whatsapp_cloud", acting_user=None)
    link_account(shop, values(number), acting_user=None)
    assert (status(shop), shop.own_chat_id) == ("authenticated", "15550001111@c.us")
    number.is_revoked = True
    check_links()
    assert status(shop) == "init" and ReceiverState.objects.get().lost_reason
    number.is_revoked = False
    check_links()
    assert status(shop) == "authenticated"


def test_an_instance_moves_from_telegram_to_whatsapp(shop: Instance, bot: Bot, number: Number) -> None:
    kept = (shop.number, shop.token)
    link_account(shop, {"token": bot.token}, acting_user=None)
    change_channel(shop, channel="whatsapp_cloud", acting_user=None)
    assert status(shop) == "init"
    link_account(shop, values(number), acting_user=None)
    assert (status(shop), shop.own_chat_id) == ("authenticated", "15550001111@c.us")
    assert (shop.number, shop.token) == kept
    assert Hook.objects.filter(endpoint=shop.pk, kind="status").count() == 5


def test_a_quote_from_before_the_move_is_left_out_and_the_page_says_so(
    shop: Instance, bot: Bot, number: Number, client: Client
) -> None:
    link_account(shop, {"token": bot.token}, acting_user=None)
    shop.refresh_from_db()
    asked = MessageReceived(key=f"{bot.user.id}:100:5", sender="telegram:100@c.us", body="Do you have tea?")
    with transaction.atomic():
        record_events(shop, [asked], is_patient=False)
    question = Message.objects.get()
    change_channel(shop, channel="whatsapp_cloud", acting_user=None)
    link_account(shop, values(number), acting_user=None)
    shop.refresh_from_db()
    answers = [
        send_message(shop, chat_id="17680561234@c.us", body=body, quoted_id=quoted)
        for body, quoted in (("Yes", question.message_id), ("Green tea", None))
    ]
    while send_due():
        pass
    assert [one["text"]["body"] for one in number.accepted] == ["Yes", "Green tea"]
    assert not any("context" in one for one in number.accepted)
    client.force_login(shop.owner.owner)
    said = [
        LEFT_OUT
        in client.get(reverse("instances:message", args=[shop.number, one.message_id])).content.decode()
        for one in answers
    ]
    assert said == [True, False]
    again = send_message(shop, chat_id="17680561234@c.us", body="Sugar?", quoted_id=answers[0].message_id)
    send_due()
    assert number.accepted[-1]["context"] == {"message_id": number.accepted[0]["id"]}
    page = client.get(reverse("instances:message", args=[shop.number, again.message_id])).content.decode()
    assert LEFT_OUT not in page
