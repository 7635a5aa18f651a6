"""Forwarding the captures of a bin over REST, a few seconds with each call."""

import pytest

from instances.limits import manual_request_limit
from testing_tools.verification import forwarding
from testing_tools.verification.models import Bin
from tests.instances.api.conftest import ApiClient
from tests.receiver import Receiver
from tests.testing_tools.api.conftest import capture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def long_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, too, a step sends as many captures as it may."""
    monkeypatch.setattr(forwarding, "STEP_SECONDS", 60.0)


def path(bin: Bin) -> str:
    return f"bins/{bin.key}/captures/forward/"


def test_all_captures_are_forwarded_oldest_first(
    alice: ApiClient, bin: Bin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "BATCH", 2)
    for number in range(3):
        capture(bin, f"body {number}".encode())
    with Receiver([(200, {}, b""), (500, {}, b"busy"), (204, {}, b"")]) as receiver:
        status, first = alice.post(path(bin), {"url": receiver.url})
        assert status == 200
        assert "responded with 500" in first.pop("error")
        assert first == {
            "lastNumber": 2, "accepted": 1, "refused": 1, "unreached": 0, "unreachable": False, "remaining": 1,
        }  # fmt: skip
        _, rest = alice.post(path(bin), {"url": receiver.url, "after": first["lastNumber"]})
        assert (rest["lastNumber"], rest["accepted"], rest["remaining"], rest["error"]) == (3, 1, 0, "")
        assert [one.body for one in receiver.requests] == [b"body 0", b"body 1", b"body 2"]


def test_only_what_matches_is_forwarded(alice: ApiClient, bin: Bin) -> None:
    capture(bin, b"one", method="PUT")
    capture(bin, b"two")
    with Receiver() as receiver:
        status, found = alice.post(path(bin), {"url": receiver.url, "q": "method:put"})
        assert (status, found["accepted"], found["remaining"]) == (200, 1, 0)
        [received] = receiver.requests
    assert received.body == b"one"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://example.com", "after": -1}, "after"),
    ],
)
def test_an_invalid_request_sends_nothing(alice: ApiClient, bin: Bin, given: dict, field: str) -> None:
    status, found = alice.post(path(bin), given)
    assert status == 400
    assert field in found["fields"]


def test_a_bin_is_not_forwarded_to_itself(alice: ApiClient, bin: Bin) -> None:
    status, found = alice.post(path(bin), {"url": bin.url})
    assert (status, found["fields"]["url"]) == (400, forwarding.SAME_BIN)


def test_too_many_requests_are_a_conflict(
    alice: ApiClient, bin: Bin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    assert alice.post(path(bin), {"url": "https://example.com"})[0] == 409
