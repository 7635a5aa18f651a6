"""The sandbox messenger as a process, shared by the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.instances.channels.sandbox.messenger_process import MessengerProcess


@pytest.fixture(scope="session")
def messenger_process() -> Iterator[MessengerProcess]:
    with MessengerProcess() as running:
        yield running


@pytest.fixture
def messenger(messenger_process: MessengerProcess) -> MessengerProcess:
    """The process without orders, and with nothing received."""
    messenger_process.reset()
    return messenger_process
