"""Alice's account with its key, and her instance's bin; as in the tests of instances/api."""

import pytest

from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions.bins import open_bin
from testing_tools.verification.models import Bin, Capture
from tests.instances.api.conftest import ApiClient, alice, bob  # noqa: F401


@pytest.fixture
def bin(alice: ApiClient) -> Bin:  # noqa: F811
    return open_bin(alice.instance)


def capture(bin: Bin, body: bytes = b"{}", **request: object) -> Capture:
    """Stores one request in the bin."""
    stored = capture_actions.capture(bin.key, **{"method": "POST", "body": body} | request)  # type: ignore[arg-type]
    assert stored is not None
    return Capture.objects.get(bin=bin, number=stored.number)
