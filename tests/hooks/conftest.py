"""An endpoint, and time limits so short that a test with a hanging server takes two seconds."""

import pytest
from pytest_django.fixtures import Settings

from hooks.models import Endpoint
from tests.factories import InstanceFactory


@pytest.fixture
def quick(settings: Settings) -> None:
    """Sets the deadline of a request to 2 s, and the limit for connecting to 1 s.

    On a busy machine a server that sends its first bytes at once may need most of it.
    """
    settings.HOOKS_DEADLINE_MS = 2000
    settings.HOOKS_CONNECT_MS = 1000


@pytest.fixture
def endpoint(db: None) -> Endpoint:
    """An endpoint with a URL."""
    return InstanceFactory(url="http://127.0.0.1:9/hook").endpoint
