"""The chosen request: `?open=` in the URL of the bin and of the verification, and the tab that says most."""

import re

import pytest
from django.test import Client

from accounts.actions.share_links import VALID_FOR
from accounts.models import Role
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Bin, Capture
from tests.factories import AccountFactory, member_of

pytestmark = pytest.mark.django_db
HOOK = (
    b'{"ack":[{"id":"true_1@c.us_A","status":"sent","chatId":"1@c.us","queueNumber":1}],"instanceId":"12345"}'
)
CHOSEN_TAB = re.compile(r'aria-selected="true"\s*>\s*([A-Z][a-z ]+?)\s*<', re.DOTALL)


@pytest.fixture
def bin(instance: Instance) -> Bin:
    return bin_actions.open_bin(instance)


def capture(bin: Bin, body: bytes = b"", **request: object) -> Capture:
    stored = capture_actions.capture(bin.key, **{"method": "POST", "body": body} | request)  # type: ignore[arg-type]
    assert stored is not None
    return Capture.objects.get(bin=bin, number=stored.number)


def test_the_url_of_both_pages_opens_a_request(alice: Client, bin: Bin) -> None:
    first = capture(bin, b"first of two")
    capture(bin, b"second")
    pages = (f"/testing/bins/{bin.key}/?", "/testing/verification/?instance=12345&")
    for page in pages:
        shown = alice.get(f"{page}open={first.public_id}").content.decode()
        assert "data-open" in shown
        assert "<code>first of two</code>" in shown
        assert "data-open" not in alice.get(page).content.decode()
    first.refresh_from_db()
    assert first.read_at is not None


@pytest.mark.parametrize("given", ["0", "%00", "x" * 22, "-1", "9" * 400, "../../admin", "<script>"])
def test_an_unknown_request_is_said_to_be_missing(alice: Client, bin: Bin, given: str) -> None:
    capture(bin)
    response = alice.get(f"/testing/bins/{bin.key}/?open={given}")
    assert response.status_code == 200
    assert "Request not found." in response.content.decode()


def test_a_request_of_another_bin_is_missing_and_stays_unread(alice: Client, bin: Bin) -> None:
    other = capture(bin_actions.open_own_bin(AccountFactory()), b"of another account")
    page = alice.get(f"/testing/bins/{bin.key}/?open={other.public_id}").content.decode()
    assert "Request not found." in page
    assert "of another account" not in page
    other.refresh_from_db()
    assert other.read_at is None


def test_a_viewer_opens_a_request_without_marking_it(client: Client, instance: Instance, bin: Bin) -> None:
    found = capture(bin, b"for all")
    client.force_login(member_of(instance.owner, Role.VIEWER))
    assert "for all" in client.get(f"/testing/bins/{bin.key}/?open={found.public_id}").content.decode()
    found.refresh_from_db()
    assert found.read_at is None


@pytest.mark.parametrize(
    ("body", "request_", "tab"),
    [
        (HOOK, {}, "Explained"),
        (b"x" * (1024 * 1024 + 1), {}, "Explained"),
        (b'{"a": 1}', {}, "Body"),
        (b"a=1", {"headers": [("Content-Type", "application/x-www-form-urlencoded")]}, "Form and files"),
        (b"", {"method": "GET", "query": "hub.challenge=1"}, "Query"),
        (b"", {"method": "GET"}, "Headers"),
    ],
)
def test_the_first_tab_is_the_one_that_says_most(
    alice: Client, bin: Bin, body: bytes, request_: dict[str, object], tab: str
) -> None:
    found = capture(bin, body, **request_)
    url = f"/testing/bins/{bin.key}/{found.public_id}/"
    for chosen, expected in (("", tab), ("nonsense", tab), ("hex", "Hex")):
        page = alice.get(url, {"tab": chosen}, headers={"HX-Request": "true"}).content.decode()
        assert CHOSEN_TAB.findall(page) == [expected]


def test_a_shared_bin_shows_its_newest_request(client: Client, bin: Bin) -> None:
    capture(bin, b"older")
    capture(bin, b"newest of all")
    _, url = shares.share(bin, valid_for=VALID_FOR["1h"], acting_user=None)
    page = client.get(url).content.decode()
    assert "<code>newest of all</code>" in page
    assert "data-open" not in page  # on a phone the list comes first
    assert "<code>" not in client.get(f"{url}?before=2").content.decode()
