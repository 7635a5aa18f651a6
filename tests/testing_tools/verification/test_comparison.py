"""Two requests of a bin side by side: which one is chosen, and what differs."""

import html
import re

import pytest
from django.test import Client

from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import BODY_LIMIT, Bin, Capture
from tests.factories import AccountFactory

pytestmark = pytest.mark.django_db
LINE = re.compile(
    r'<div class="diff-line diff-(removed|added)">.*?<span class="diff-text">(.*?)</span>', re.DOTALL
)


@pytest.fixture
def bin(instance: Instance) -> Bin:
    return bin_actions.open_bin(instance)


def capture(bin: Bin, body: bytes = b"", **request: object) -> Capture:
    stored = capture_actions.capture(bin.key, **{"method": "POST", "body": body} | request)  # type: ignore[arg-type]
    assert stored is not None
    return Capture.objects.get(bin=bin, number=stored.number)


def page_of(browser: Client, capture: Capture, **query: str) -> str:
    url = f"/testing/bins/{capture.bin.key}/{capture.public_id}/compare/"
    return browser.get(url, query).content.decode()


def differences(page: str) -> list[tuple[str, str]]:
    return [(kind, html.unescape(text)) for kind, text in LINE.findall(page)]


def test_the_older_one_is_the_first_whichever_is_opened(alice: Client, bin: Bin) -> None:
    old = capture(bin, b'{"a":1,"b":"<x>"}', headers=[("X-One", "1"), ("Host", "h")], query="a=1")
    new = capture(bin, b'{"a":2,"b":"<x>"}', headers=[("X-One", "2"), ("Host", "h")], method="PUT")
    expected = [
        ("removed", f"POST /bin/{bin.key}?a=1 HTTP/1.1"),
        ("added", f"PUT /bin/{bin.key} HTTP/1.1"),
        ("removed", "X-One: 1"),
        ("added", "X-One: 2"),
        ("removed", '  "a": 1,'),
        ("added", '  "a": 2,'),
    ]
    assert differences(page_of(alice, new)) == expected
    assert differences(page_of(alice, old, **{"with": new.public_id})) == expected


def test_the_newest_older_one_of_the_same_kind_is_the_default(alice: Client, bin: Bin) -> None:
    json = capture(bin, b'{"a":1}')
    capture(bin, b"text")
    new = capture(bin, b'{"a":2}')
    assert f'<option value="{json.public_id}" selected>' in page_of(alice, new)


def test_equal_requests_and_a_single_one_are_named(alice: Client, bin: Bin) -> None:
    first = capture(bin, b"\xff\x00")
    assert "no other request to compare with" in page_of(alice, first)
    assert page_of(alice, capture(bin, b"\xff\x00")).count("No differences") == 3
    assert differences(page_of(alice, capture(bin, b"\xff\x01")))[0][1].startswith("00000000  ff 00")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"a":1}', b'{"a": 1}'),  # indented, they are equal; a signature tells them apart
        (b"text", b"text\n"),
        (b"\xff" * 20_000 + b"\x00", b"\xff" * 20_000 + b"\x01"),  # after the shown part of the hex dump
    ],
)
def test_bodies_that_look_equal_are_not_called_equal(alice: Client, bin: Bin, old: bytes, new: bytes) -> None:
    capture(bin, old)
    page = page_of(alice, capture(bin, new))
    assert page.count("No differences") == 2 and "The bytes may differ" in page


def test_bodies_that_were_not_stored_are_not_compared(alice: Client, bin: Bin) -> None:
    capture(bin, size=BODY_LIMIT + 1)
    page = page_of(alice, capture(bin, size=BODY_LIMIT + 2))
    assert page.count("No differences") == 2 and "A body that was not stored cannot be compared." in page


@pytest.mark.parametrize("given", ["x", "\x00", "9" * 300])
def test_a_request_that_is_not_kept_is_404(alice: Client, bin: Bin, given: str) -> None:
    capture(bin)
    found = capture(bin)
    url = f"/testing/bins/{bin.key}/{found.public_id}/compare/"
    assert alice.get(url, {"with": given}).status_code == 404


def test_a_request_of_another_bin_is_404(alice: Client, bin: Bin) -> None:
    found, other = capture(bin), capture(bin_actions.open_own_bin(AccountFactory()), b"secret")
    url = f"/testing/bins/{bin.key}/{found.public_id}/compare/"
    assert alice.get(url, {"with": other.public_id}).status_code == 404
    assert alice.get(f"/testing/bins/{other.bin.key}/{other.public_id}/compare/").status_code == 404
