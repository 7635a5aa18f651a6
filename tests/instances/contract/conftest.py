"""An instance of alice's, and a client that calls it the way clients of the wire contract do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from instances.models import Instance
from tests.factories import InstanceFactory

Call = Callable[..., Any]


@pytest.fixture
def instance(db: None) -> Instance:
    """Paid and authenticated, number 12345, token "secret", own phone 15550001111."""
    return InstanceFactory(
        owner__email="alice@example.org", number=12345, token="secret", phone="15550001111"
    )


@pytest.fixture
def client() -> Client:
    """A client for which CSRF checks are enforced."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def get(client: Client, instance: Instance) -> Call:
    """`get("status", full=1)`: the JSON of a GET with the token."""

    def call(method: str, **arguments: Any) -> Any:
        return client.get(f"/instance12345/{method}", {"token": "secret", **arguments}).json()

    return call


@pytest.fixture
def post(client: Client, instance: Instance) -> Call:
    """`post("sendMessage", phone="…")`: the JSON of a POST with a JSON body and the token in the query."""

    def call(method: str, **arguments: Any) -> Any:
        address = f"/instance12345/{method}?token=secret"
        return client.post(address, arguments, content_type="application/json").json()

    return call
