"""Instances of the test channels, and processes of the product that know these channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from instances.actions.channel_links import save_link
from instances.channels import CHANNELS
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.instances.receiving.all_channels import TEST_CHANNELS

Link = Callable[..., Instance]


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    """`link(channel, credentials)`: returns a linked instance of a test channel, known to this process too."""
    for name, channel in TEST_CHANNELS.items():
        monkeypatch.setitem(CHANNELS, name, channel)

    def link(channel: str, credentials: Mapping[str, str]) -> Instance:
        instance: Instance = InstanceFactory(channel=channel, url="https://example.com/hook")
        save_link(instance, credentials=credentials, acting_user=None)
        return instance

    return link
