"""The messenger of each channel that people write over. A new channel adds its own to SERVICES."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import pytest

from tests.messengers.matrix import MatrixService
from tests.messengers.service import Service
from tests.messengers.telegram import TelegramService
from tests.messengers.waha import WahaService
from tests.messengers.whatsapp_cloud import WhatsAppService
from tests.messengers.xmpp import XmppService
from tests.product import Product

# By the channel's name. A real server is a fixture of tests/conftest.py, and starts when it is first used.
SERVICES: dict[str, Callable[[pytest.FixtureRequest], Service]] = {
    "telegram": lambda request: TelegramService(),
    "whatsapp_cloud": lambda request: WhatsAppService(),
    "waha": lambda request: WahaService(),
    "matrix": lambda request: MatrixService(lambda: request.getfixturevalue("synapse")),
    "xmpp": lambda request: XmppService(lambda: request.getfixturevalue("prosody")),
}
# Those that are reached by HTTP: they implement HttpService.
HTTP_SERVICES = ("telegram", "whatsapp_cloud", "waha", "matrix")
# Of these, those that report what people have read. Telegram tells bots nothing of it.
READING_SERVICES = ("whatsapp_cloud", "waha", "matrix")


@contextlib.contextmanager
def running_with_services(
    request: pytest.FixtureRequest,
    folder: Path,
    names: Collection[str] = tuple(SERVICES),
    prepare: Callable[[str, Service], None] = lambda name, service: None,
) -> Iterator[tuple[Product, Mapping[str, Service]]]:
    """A product that reaches these messengers, and them by channel. The doubles run longer than the product.

    `prepare` may change a messenger before the product gets its settings.
    """
    with contextlib.ExitStack() as held:
        services = {name: held.enter_context(SERVICES[name](request)) for name in names}
        for name, service in services.items():
            prepare(name, service)
        settings = {name: value for service in services.values() for name, value in service.settings.items()}
        settings |= {"HOOKS_ALLOW_NETWORKS": "127.0.0.0/8", "CONTRACT_WRONG_TOKENS_PER_MINUTE": "1000000"}
        yield held.enter_context(Product(folder, **settings)), services
