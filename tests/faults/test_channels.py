"""Each messenger in and out while web server, receiver and sender are killed: nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.faults import messages_under_kills
from tests.messengers.service import Service
from tests.messengers.services import SERVICES, running_with_services
from tests.product import Product

pytestmark = pytest.mark.timeout(3600)  # for CHANNEL_MESSAGES=10000


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Product, Mapping[str, Service]]]:
    with running_with_services(request, tmp_path_factory.mktemp("channels")) as found:
        yield found


@pytest.mark.parametrize("channel", SERVICES)
def test_nothing_is_lost_while_web_receiver_and_sender_are_killed(
    running: tuple[Product, Mapping[str, Service]], channel: str
) -> None:
    product, services = running
    messages_under_kills.run(product, channel, services[channel])
