"""Instances of the test channels, and processes of the product that know these channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from instances.actions.channel_links import save_link
from instances.channels import CHANNELS
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.instances.receiving.all_channels import TEST_CHANNELS
from tests.instances.receiving.desk import NAME, Desk

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


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A messenger whose accounts are linked by a token."""
    monkeypatch.setitem(CHANNELS, NAME, TEST_CHANNELS[NAME])
    with Desk() as desk:
        yield desk
