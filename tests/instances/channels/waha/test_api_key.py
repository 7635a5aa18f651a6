"""The API key of a WAHA server goes to that server alone: a redirect to another one is not followed, by any request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from instances.actions.channel_links import save_link
from instances.actions.sending.accept import send_message
from instances.channels.base import CannotDo
from instances.channels.linking import NotLinkable
from instances.channels.receiving import Network, ReceiveFailed
from instances.channels.requests import Link, Sent
from instances.channels.waha.channel import WahaChannel
from instances.models import Instance, OutgoingMessage
from instances.received_events import Media
from instances.receiving.network import LoopNetwork
from tests.doubles.waha import Waha
from tests.factories import InstanceFactory
from tests.instances.channels.sending import send

CHANNEL = WahaChannel()
CALLBACK = "http://127.0.0.1:1/channels/waha/a-secret"
KEY = "an-api-key-of-waha"
FILE = Media("http://localhost:3000/api/files/shop/00000001.bin")


@pytest.fixture
def other() -> Iterator[Waha]:
    """A server that accepts the key too, so that it would respond."""
    with Waha(KEY) as server:
        server.add_session("shop")
        yield server


@pytest.fixture
def waha(other: Waha) -> Iterator[Waha]:
    with Waha(KEY) as server:
        server.redirects_to = other.url
        yield server


def link_to(server: Waha, session: str = "shop") -> Link:
    return Link(
        1,
        "15550001111@c.us",
        {"api_key": KEY, "hmac_key": "an-hmac-key"},
        options={"url": server.url, "session": session},
    )


async def receive(link: Link, network: Network) -> None:
    async for _ in CHANNEL.receive(link, "", network):
        raise AssertionError("nothing is received")


Call = Callable[[Waha, Network], Coroutine[Any, Any, Any]]
CALLS: dict[str, Call] = {
    "check": lambda waha, network: CHANNEL.check(
        CHANNEL.setup.complete({"url": waha.url, "api_key": KEY}), network
    ),
    "connect": lambda waha, network: CHANNEL.connect(link_to(waha), CALLBACK, network),
    "health": lambda waha, network: CHANNEL.health(link_to(waha), network),
    "receive": lambda waha, network: receive(link_to(waha), network),
    "fetch": lambda waha, network: CHANNEL.fetch(link_to(waha), FILE, network),
    "disconnect": lambda waha, network: CHANNEL.disconnect(link_to(waha, "chatapi-1"), network),
    "disconnect a session of one's own": lambda waha, network: CHANNEL.disconnect(link_to(waha), network),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_receivers_and_of_linking_follow_no_redirect(waha: Waha, other: Waha, name: str) -> None:
    async def main() -> None:
        network = LoopNetwork()
        try:
            await CALLS[name](waha, network)
        finally:
            network.close()

    with pytest.raises((NotLinkable, ReceiveFailed)):
        asyncio.run(main())
    assert waha.requests and not other.requests


@pytest.fixture
def instance(waha: Waha, db: None) -> Instance:
    found: Instance = InstanceFactory(channel="waha", phone="15550001111")
    link = link_to(waha)
    save_link(
        found,
        credentials=link.credentials,
        external_id="shop@waha",
        options=dict(link.options),
        acting_user=None,
    )
    return found


@pytest.mark.parametrize(
    "call",
    [
        CHANNEL.qr_text,
        lambda instance: CHANNEL.pairing_code(instance, "15550001111"),
        lambda instance: CHANNEL.has_account(instance, "17680561234"),
    ],
)
def test_calls_of_pages_and_of_the_contract_follow_no_redirect(
    waha: Waha, other: Waha, instance: Instance, call: Callable[[Instance], object]
) -> None:
    with pytest.raises(CannotDo):
        call(instance)
    assert waha.requests and not other.requests


def test_a_message_follows_no_redirect(waha: Waha, other: Waha, instance: Instance) -> None:
    send_message(instance, chat_id="17680561234@c.us", body="hello")
    result = send(CHANNEL, instance, OutgoingMessage.objects.get())
    assert not isinstance(result, Sent)
    assert waha.requests == [("POST", "/api/sendText")] and not other.requests
