"""The account in which the tests of the search search."""

from __future__ import annotations

import pytest
from django.test import Client

from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory


@pytest.fixture
def shop(client: Client) -> Instance:
    """alice's first instance; alice is signed in."""
    alice = AccountFactory(email="alice@example.org")
    client.force_login(alice.owner)
    return InstanceFactory(owner=alice, name="Shop", url="https://hooks.example.com/bot")
