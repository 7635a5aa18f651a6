"""Each messenger fails, over the whole product: storms of limits and failures, a revoked token, a file that is gone,
and a receipt that overtakes the response to its message.

Forged and repeated callbacks: receiving_conformance.py, and tests/acceptance/test_whatsapp.py over the whole product.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

import pytest

from tests.faults.faulty_proxy import FaultyProxy
from tests.faults.servers import Fault, answer, cut_off, garbage, hang, hang_up, reset
from tests.hooks.dispatch.dispatching import wait_until
from tests.messengers.linked_instance import LinkedInstance
from tests.messengers.service import HttpService, Service
from tests.messengers.services import HTTP_SERVICES, READING_SERVICES, running_with_services
from tests.product import Product

SECONDS = 180.0
PEOPLE = 6
TURNS = 3  # messages in each direction for each fault
PAGE = b"<html><title>502 Bad Gateway</title></html>"
LIMIT = answer(429, "Content-Type: application/json", "Retry-After: 1", body=b"{}")
FAULTS: list[tuple[Fault, bool]] = [
    (LIMIT, False), (answer(502, "Content-Type: text/html", body=PAGE), False), (garbage, False), (reset, False),
    (hang, False), (LIMIT, False), (hang_up, True), (cut_off, False), (LIMIT, False), (reset, True),
]  # fmt: skip
POLL_FAULTS = [LIMIT, answer(502, "Content-Type: text/html", body=PAGE), garbage, reset]


class World:
    """The product behind one proxy for each messenger."""

    def __init__(
        self, product: Product, services: Mapping[str, Service], proxies: Mapping[str, FaultyProxy]
    ) -> None:
        self.product, self.proxies = product, proxies
        self.services = {name: cast(HttpService, service) for name, service in services.items()}


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    proxies: dict[str, FaultyProxy] = {}
    with contextlib.ExitStack() as held:

        def put_proxy_before(name: str, service: Service) -> None:
            behind = cast(HttpService, service)
            proxies[name] = held.enter_context(FaultyProxy(lambda: behind.url))
            behind.seen_at = proxies[name].url

        folder = tmp_path_factory.mktemp("channel_faults")
        with running_with_services(request, folder, HTTP_SERVICES, put_proxy_before) as (product, services):
            yield World(product, services, proxies)


@pytest.fixture(params=HTTP_SERVICES)
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def messages(instance: LinkedInstance, *, from_me: bool) -> list[dict[str, Any]]:
    """Returns the newest hundred of the instance, in order."""
    found = instance.call("messages", last=1)["messages"]
    return [message for message in found if message["fromMe"] is from_me]


def has_received(instance: LinkedInstance, number: int) -> bool:
    return len(messages(instance, from_me=False)) >= number


def test_a_storm_of_limits_and_failures_loses_nothing(world: World, channel: str) -> None:
    service, proxy = world.services[channel], world.proxies[channel]
    account = service.add_account(PEOPLE)
    instance = LinkedInstance(world.product, channel, account)
    number = 0
    for fault, is_done in FAULTS:
        proxy.order(fault, service.send_path, is_done=is_done)
        if service.poll_path and POLL_FAULTS:
            proxy.order(POLL_FAULTS[number % len(POLL_FAULTS)], service.poll_path)
        for _ in range(TURNS):
            person = number % PEOPLE
            account.write(person, f"in {number}", key=f"storm-{number}")
            sent = instance.call("sendMessage", chatId=account.chat_ids[person], body=f"out {number}")
            assert sent["sent"], sent
            number += 1
        wait_until(lambda: not proxy.left(), "the fault has happened", SECONDS)
        # a poll has succeeded: failures in a row would be further and further apart
        wait_until(partial(has_received, instance, number), "all is received", SECONDS)

    expected_in, expected_out = ([f"{way} {one}" for one in range(number)] for way in ("in", "out"))
    received = [message["body"] for message in messages(instance, from_me=False)]
    assert Counter(received) == Counter(expected_in), "each once"

    def texts() -> list[list[str]]:
        return [account.texts(person) for person in range(PEOPLE)]

    wait_until(lambda: {text for one in texts() for text in one} >= {*expected_out}, "all is sent", SECONDS)
    wait_until(lambda: len(messages(instance, from_me=True)) >= number, "all is recorded as sent", SECONDS)
    for person, found in enumerate(texts()):
        assert list(dict.fromkeys(found)) == expected_out[person::PEOPLE], "in the order of each chat"
        assert [body for body in received if body in expected_in[person::PEOPLE]] == expected_in[
            person::PEOPLE
        ]
    again = sum(map(len, texts())) - number
    is_idempotent = channel == "matrix"
    assert again <= (0 if is_idempotent else sum(is_done for _, is_done in FAULTS)), "only lost responses"


def test_messages_wait_while_the_token_is_revoked(world: World, channel: str) -> None:
    account = world.services[channel].add_account(1)
    instance = LinkedInstance(world.product, channel, account)
    [chat_id] = account.chat_ids
    account.write(0, "hello", key=f"{channel}-before")
    instance.call("sendMessage", chatId=chat_id, body="before")
    wait_until(lambda: account.texts(0) == ["before"], "it is sent", SECONDS)

    account.revoke()
    for number in range(3):
        assert instance.call("sendMessage", chatId=chat_id, body=f"waits {number}")["sent"]
    wait_until(lambda: instance.call("status")["accountStatus"] != "authenticated", "it is lost", SECONDS)
    assert account.texts(0) == ["before"]

    account.restore()
    instance.link()
    assert instance.call("status")["accountStatus"] == "authenticated"
    wait_until(lambda: len(account.texts(0)) >= 4, "they are sent", SECONDS)
    assert account.texts(0) == ["before", *(f"waits {number}" for number in range(3))], "each once, in order"
    account.write(0, "hello again", key=f"{channel}-after")
    wait_until(lambda: len(messages(instance, from_me=False)) >= 2, "it is received", SECONDS)


def test_a_file_that_is_gone_is_said_and_holds_up_nothing(world: World, channel: str) -> None:
    account = world.services[channel].add_account(1)
    instance = LinkedInstance(world.product, channel, account)
    account.write_lost_file(0, key=f"{channel}-lost")
    account.write(0, "after it", key=f"{channel}-after-lost")
    wait_until(lambda: len(messages(instance, from_me=False)) >= 2, "both are received", SECONDS)
    [lost, after] = messages(instance, from_me=False)
    assert (lost["type"], lost["body"]) == ("image", "file not available")
    assert lost["caption"], "the caption says why"
    assert after["body"] == "after it"


@pytest.mark.parametrize("channel", READING_SERVICES)
def test_a_receipt_may_overtake_the_response_to_its_message(world: World, channel: str) -> None:
    """The messenger reports that the message was read before the sender has the response."""
    service, proxy = world.services[channel], world.proxies[channel]
    account = service.add_account(1)
    instance = LinkedInstance(world.product, channel, account)
    is_read = threading.Event()

    def late(_connection: socket.socket, _over: threading.Event) -> None:
        is_read.wait(8)  # below the sender's deadline

    proxy.order(late, service.send_path, is_done=True)
    instance.call("sendMessage", chatId=account.chat_ids[0], body="read it")
    wait_until(lambda: account.texts(0), "the person has it", SECONDS)
    account.read(0)
    is_read.set()
    wait_until(
        lambda: [one["ack"] for one in messages(instance, from_me=True)] == [3], "it is viewed", SECONDS
    )
    assert account.texts(0) == ["read it"]
