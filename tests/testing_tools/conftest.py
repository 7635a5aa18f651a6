"""An instance and its owner's browser, for the tests of the testing tools."""

import pytest
from django.test import Client

from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory


@pytest.fixture
def instance(db: None) -> Instance:
    return InstanceFactory(owner=AccountFactory(email="alice@example.org"), number=12345)


@pytest.fixture
def alice(instance: Instance) -> Client:
    """A browser in which alice is signed in, who owns `instance`."""
    client = Client()
    client.force_login(instance.owner.owner)
    return client
