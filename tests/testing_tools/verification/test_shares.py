"""A link lets anyone read a bin, or one of its captures, until it expires; it changes nothing and uses no session."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actions import share_links
from accounts.actions.share_links import VALID_FOR, TooManyShares
from instances.actions.stopping import block_account, unblock_account
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Capture, Share
from tests.factories import AccountFactory, InstanceFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def bin():
    bin = bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))
    for text in (b"first secret", b"<script>second</script>"):
        capture_actions.capture(bin.key, method="POST", body=text)
    bin.refresh_from_db()
    return bin


def shared(bin, valid_for="1h", capture=None):
    made, url = shares.share(bin, valid_for=VALID_FOR[valid_for], capture=capture, acting_user=None)
    return made, url.removeprefix("http://localhost:8000")


@pytest.mark.parametrize(
    ("valid_for", "time"), [("1h", timedelta(hours=1)), ("24h", timedelta(days=1)), ("7d", timedelta(days=7))]
)
def test_a_link_is_created_and_valid_for_the_chosen_time(client, bin, valid_for, time):
    client.force_login(bin.instance.owner.owner)
    answer = client.post(f"/testing/bins/{bin.key}/share/", {"valid_for": valid_for})
    made = Share.objects.get()
    assert made.expires_at - made.created_at == time
    assert made.made_by == bin.instance.owner.owner
    assert answer.context["url"] in answer.content.decode()


def test_only_a_digest_of_the_token_is_stored(bin):
    made, path = shared(bin)
    token = path.split("/")[2]
    assert len(token) == 43
    assert made.digest == share_links.digest(token)
    assert token not in str(Share.objects.values().get())


def test_anyone_can_read_without_signing_in_and_gets_no_cookie(client, bin):
    _, path = shared(bin)
    answer = client.get(path)
    page = answer.content.decode()
    assert "first secret" in page
    assert "&lt;script&gt;second" in page
    assert not answer.cookies
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert answer["X-Robots-Tag"] == "noindex, nofollow"


def test_the_page_is_the_same_with_a_session(client, bin):
    _, path = shared(bin)
    client.force_login(bin.instance.owner.owner)
    answer = client.get(path)
    page = answer.content.decode()
    assert "alice@example.org" not in page
    assert "Sign out" not in page
    assert not answer.cookies


def test_a_link_marks_nothing_as_read_and_offers_no_changes(client, bin):
    _, path = shared(bin)
    found = Capture.objects.kept(bin)[0]
    page = client.get(f"{path}{found.public_id}/").content.decode()
    assert "/testing/" not in page
    assert "<form" not in page
    assert "Copy as" in page
    found.refresh_from_db()
    assert found.read_at is None
    assert client.post(f"{path}{found.public_id}/").status_code == 405


def test_a_link_to_one_capture_shows_no_other(client, bin):
    second, first = Capture.objects.kept(bin)
    _, path = shared(bin, capture=first)
    page = client.get(path).content.decode()
    assert "first secret" in page
    assert "second&lt;" not in page
    assert client.get(f"{path}{second.public_id}/").status_code == 404
    assert client.get(f"{path}{second.public_id}/body/").status_code == 404
    assert client.get(f"{path}{first.public_id}/body/").content == b"first secret"


def test_bodies_are_attachments_here_too(client, bin):
    _, path = shared(bin)
    answer = client.get(f"{path}{Capture.objects.kept(bin)[0].public_id}/body/")
    assert answer["Content-Disposition"] == 'attachment; filename="capture-2.bin"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_an_expired_revoked_or_unknown_link_is_404(client, bin):
    made, path = shared(bin)
    bins_page = f"/testing/bins/{bin.key}/"
    client.force_login(bin.instance.owner.owner)
    client.post(f"{bins_page}share/{made.pk}/revoke/")
    client.logout()
    over, over_path = shared(bin)
    Share.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    for address in (path, over_path, f"/shared/{'a' * 43}/"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "Invalid link" in answer.content.decode()
        assert "first secret" not in answer.content.decode()


@pytest.mark.parametrize("is_own", [False, True])
def test_links_of_a_blocked_account_are_404_until_it_is_unblocked(client, bin, is_own):
    account = bin.instance.owner
    staff = UserFactory(is_staff=True)
    _, path = shared(bin_actions.open_own_bin(account) if is_own else bin)
    block_account(account, reason="spam", acting_user=staff)
    assert client.get(path).status_code == 404
    unblock_account(account, acting_user=staff)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("is_own", [False, True])
def test_links_of_an_owner_who_cannot_sign_in_are_404(client, bin, is_own):
    owner = bin.instance.owner.owner
    _, path = shared(bin_actions.open_own_bin(bin.instance.owner) if is_own else bin)
    owner.is_active = False
    owner.save()
    assert client.get(path).status_code == 404


def test_links_expired_for_a_week_are_deleted(bin):
    made, _ = shared(bin)
    Share.objects.filter(pk=made.pk).update(expires_at=timezone.now() - timedelta(days=8))
    capture_actions.delete_expired_captures()
    assert not Share.objects.exists()


def test_the_number_of_links_is_limited(bin, monkeypatch):
    monkeypatch.setattr(share_links, "MAX_SHARES", 1)
    shared(bin)
    with pytest.raises(TooManyShares, match=r"This bin has 1 valid links\. Revoke one first\."):
        shared(bin)
    assert Share.objects.count() == 1


def test_another_account_neither_creates_nor_revokes_a_link(client, bin):
    made, _ = shared(bin)
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert client.post(f"/testing/bins/{bin.key}/share/", {"valid_for": "7d"}).status_code == 404
    assert client.post(f"/testing/bins/{bin.key}/share/{made.pk}/revoke/").status_code == 404
    assert list(Share.objects.values_list("revoked_at", flat=True)) == [None]


def test_the_token_is_removed_from_the_logs():
    from chatapi.monitoring.logging_config import without_secrets

    assert without_secrets(f"GET /shared/{'aB-_' * 10}abc/") == "GET /shared/…/"


def test_notes_stay_private_on_a_shared_link(client, bin):
    """Of a bin and of one capture: in the list, in the pane, and as a link to the capture."""
    Capture.objects.filter(bin=bin).update(note="the customer of room 12")
    capture = Capture.objects.filter(bin=bin).earliest("number")
    _, of_bin = shared(bin)
    _, of_capture = shared(bin, capture=capture)
    for path in (of_bin, f"{of_bin}{capture.public_id}/", of_capture):
        page = client.get(path).text
        assert "first secret" in page
        assert "room 12" not in page
    client.force_login(bin.instance.owner.owner)
    assert "room 12" in client.get(f"/testing/bins/{bin.key}/{capture.public_id}/").text
