"""An endpoint of alice's, and limits short enough that a test of a hanging server takes half a second."""

import pytest
from pytest_django.fixtures import Settings

from hooks.models import Endpoint
from tests.factories import InstanceFactory


@pytest.fixture
def quick(settings: Settings) -> None:
    """500 ms for everything, 300 ms of them for the connect."""
    settings.HOOKS_DEADLINE_MS = 500
    settings.HOOKS_CONNECT_MS = 300


@pytest.fixture
def endpoint(db: None) -> Endpoint:
    """alice's, with an address."""
    return InstanceFactory(url="http://127.0.0.1:9/hook").endpoint
