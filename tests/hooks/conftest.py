"""An endpoint, and time limits so short that a test with a hanging server takes half a second."""

import pytest
from pytest_django.fixtures import Settings

from hooks.models import Endpoint
from tests.factories import InstanceFactory


@pytest.fixture
def quick(settings: Settings) -> None:
    """Sets the deadline of a request to 500 ms, and the limit for connecting to 300 ms."""
    settings.HOOKS_DEADLINE_MS = 500
    settings.HOOKS_CONNECT_MS = 300


@pytest.fixture
def endpoint(db: None) -> Endpoint:
    """An endpoint with a URL."""
    return InstanceFactory(url="http://127.0.0.1:9/hook").endpoint
