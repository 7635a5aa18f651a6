"""An instance that moves to another channel keeps everything but its link."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.audit import AuditEntry
from instances.actions.channel_links import save_link
from instances.actions.lifecycle import change_channel
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.channels import CHANNELS
from instances.models import ChannelLink, Chat, Instance, Message, OutgoingMessage
from tests.factories import InstanceFactory
from tests.instances.receiving.all_channels import TEST_CHANNELS

pytestmark = pytest.mark.django_db
NAME = "telegram"  # a name that instances may have


@pytest.fixture(autouse=True)
def telegram(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANNELS, NAME, TEST_CHANNELS["desk"])


def test_everything_stays_but_the_link(client: Client) -> None:
    shop: Instance = InstanceFactory(url="https://example.com/hook", name="Shop")
    receive_message(shop, sender="17680561234", body="hello")
    send_message(shop, chat_id="17680561234", body="waiting")
    save_link(shop, credentials={"token": "secret-token"}, acting_user=None)
    Chat.objects.update(messenger_chat_id="at the old messenger")
    kept = (shop.number, shop.token, shop.endpoint.url, shop.endpoint.secret, shop.name)
    client.force_login(shop.owner.owner)
    answer = client.post(f"/instances/{shop.number}/channel/", {"channel": NAME})
    assert (
        answer.status_code == 302
        and answer.headers["Location"] == f"/instances/{shop.number}/setup/?step=link"
    )
    shop = Instance.objects.select_related("endpoint").get(pk=shop.pk)
    assert (shop.number, shop.token, shop.endpoint.url, shop.endpoint.secret, shop.name) == kept
    assert (shop.channel, shop.account_status, shop.phone) == (NAME, "init", "")
    assert Message.objects.filter(instance=shop).count() == 1
    assert OutgoingMessage.objects.filter(instance=shop).count() == 1
    assert not ChannelLink.objects.exists() and Chat.objects.get().messenger_chat_id == ""
    entry = AuditEntry.objects.get(action="instance.channel_changed")
    assert entry.detail == {"old": "sandbox", "new": NAME} and entry.actor == shop.owner.owner
    change_channel(shop, channel="sandbox", acting_user=None)
    assert shop.account_status == "got qr code" and shop.phone.startswith("1555")


def test_the_same_channel_changes_nothing_and_an_unknown_one_is_refused(client: Client) -> None:
    shop: Instance = InstanceFactory()
    change_channel(shop, channel="sandbox", acting_user=None)
    shop.refresh_from_db()
    assert shop.is_authenticated and not AuditEntry.objects.filter(action="instance.channel_changed").exists()
    with pytest.raises(ValueError, match="channel takes one of"):
        change_channel(shop, channel="pigeon", acting_user=None)
    client.force_login(shop.owner.owner)
    client.post(f"/instances/{shop.number}/channel/", {"channel": "pigeon"})
    shop.refresh_from_db()
    assert shop.channel == "sandbox"
