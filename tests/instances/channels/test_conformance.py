"""Every channel meets the requirements of instances/channels/base.py."""

from collections.abc import Callable
from typing import Any

import pytest

from instances.channels import CHANNELS
from instances.models import Channel, Instance
from tests.factories import InstanceFactory
from tests.instances.channels.conformance import CHECKS
from tests.instances.channels.messengers import MESSENGERS, SandboxMessengerOverHttp
from tests.instances.channels.sandbox.messenger_process import MessengerProcess


def test_every_channel_has_a_name_and_a_messenger_to_test_it_with() -> None:
    assert set(CHANNELS) == set(MESSENGERS) <= set(Channel.values)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sandbox_over_http(
    db: None, settings: Any, messenger: MessengerProcess, check: Callable[..., None]
) -> None:
    settings.SANDBOX_OVER_HTTP, settings.SANDBOX_MESSENGER_URL = True, messenger.url
    instance: Instance = InstanceFactory(url="https://example.com/hook")
    check(CHANNELS[Channel.SANDBOX], SandboxMessengerOverHttp(messenger), instance)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_the_channel(db: None, settings: Any, name: str, check: Callable[..., None]) -> None:
    instance: Instance = InstanceFactory(channel=name, url="https://example.com/hook")
    for setting, value in getattr(MESSENGERS[name], "settings", {}).items():
        setattr(settings, setting, value)
    MESSENGERS[name].link(instance)
    check(CHANNELS[name], MESSENGERS[name], instance)
