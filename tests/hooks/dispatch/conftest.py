"""Two dispatchers without the loop, and a lane."""

from collections.abc import Iterator

import pytest

from hooks.models import Endpoint
from tests.factories import InstanceFactory
from tests.hooks.dispatch.claiming import ME, OTHER, Dispatcher


@pytest.fixture
def me() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(ME)
    yield dispatcher
    dispatcher.session.close()


@pytest.fixture
def other() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(OTHER)
    yield dispatcher
    dispatcher.session.close()


@pytest.fixture
def lane() -> Endpoint:
    return InstanceFactory(url="http://a.example/").endpoint
