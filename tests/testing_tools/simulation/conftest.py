"""An instance whose hooks go to a receiver in this process."""

from collections.abc import Iterator

import pytest

from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory
from tests.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def instance(db: None, receiver: Receiver) -> Instance:
    return InstanceFactory(
        owner=AccountFactory(email="alice@example.org"), number=12345, name="Shop", url=receiver.url
    )
