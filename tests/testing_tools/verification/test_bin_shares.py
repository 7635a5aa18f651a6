"""A link lets anybody read a bin, or one capture of it, until it ends; it changes nothing and knows no session."""

from datetime import timedelta

import pytest
from django.utils import timezone

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.actions.shares import VALID_FOR, TooManyShares
from testing_tools.verification.models import Capture, Share
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def bin():
    bin = bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))
    for text in (b"first secret", b"<script>second</script>"):
        capture_actions.capture(bin.key, method="POST", body=text)
    bin.refresh_from_db()
    return bin


def shared(bin, lasts="1h", capture=None):
    made, url = shares.share(bin, valid_for=VALID_FOR[lasts], capture=capture, acting_user=None)
    return made, url.removeprefix("http://localhost:8000")


@pytest.mark.parametrize(
    ("lasts", "time"), [("1h", timedelta(hours=1)), ("24h", timedelta(days=1)), ("7d", timedelta(days=7))]
)
def test_a_link_is_made_on_the_page_and_lasts_as_long_as_was_chosen(client, bin, lasts, time):
    client.force_login(bin.instance.owner.owner)
    answer = client.post(f"/testing/bins/{bin.key}/share/", {"lasts": lasts})
    made = Share.objects.get()
    assert made.expires_at - made.created_at == time
    assert made.made_by == bin.instance.owner.owner
    assert answer.context["url"] in answer.content.decode()


def test_only_a_digest_of_the_token_is_kept(bin):
    made, path = shared(bin)
    token = path.split("/")[2]
    assert len(token) == 43
    assert made.digest == shares.digest(token)
    assert token not in str(Share.objects.values().get())


def test_anybody_reads_without_signing_in_and_gets_no_cookie(client, bin):
    _, path = shared(bin)
    answer = client.get(path)
    page = answer.content.decode()
    assert "first secret" in page
    assert "&lt;script&gt;second" in page
    assert not answer.cookies
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert answer["X-Robots-Tag"] == "noindex, nofollow"


def test_it_is_the_same_page_for_who_is_signed_in(client, bin):
    _, path = shared(bin)
    client.force_login(bin.instance.owner.owner)
    answer = client.get(path)
    page = answer.content.decode()
    assert "alice@example.org" not in page
    assert "Sign out" not in page
    assert not answer.cookies


def test_reading_by_a_link_leaves_everything_unread_and_offers_nothing_to_change(client, bin):
    _, path = shared(bin)
    found = Capture.objects.kept(bin).first()
    page = client.get(f"{path}{found.public_id}/").content.decode()
    assert "/testing/" not in page
    assert "<form" not in page
    assert "Copy as" in page
    found.refresh_from_db()
    assert found.read_at is None
    assert client.post(f"{path}{found.public_id}/").status_code == 405


def test_a_link_to_one_capture_opens_no_other(client, bin):
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
    answer = client.get(f"{path}{Capture.objects.kept(bin).first().public_id}/body/")
    assert answer["Content-Disposition"] == 'attachment; filename="capture-2.bin"'
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_what_is_expired_revoked_or_never_was_opens_nothing(client, bin):
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
        assert "This link opens nothing" in answer.content.decode()
        assert "first secret" not in answer.content.decode()


def test_links_that_have_been_over_for_a_week_are_forgotten(bin):
    made, _ = shared(bin)
    Share.objects.filter(pk=made.pk).update(expires_at=timezone.now() - timedelta(days=8))
    capture_actions.delete_expired_captures()
    assert not Share.objects.exists()


def test_a_bin_has_so_many_links_and_no_more(bin, monkeypatch):
    monkeypatch.setattr(shares, "MAX_SHARES", 1)
    shared(bin)
    with pytest.raises(TooManyShares, match=r"This bin has 1 valid links\. Revoke one first\."):
        shared(bin)
    assert Share.objects.count() == 1


def test_a_stranger_neither_makes_nor_revokes_a_link(client, bin):
    made, _ = shared(bin)
    client.force_login(AccountFactory(email="bob@example.org").owner)
    assert client.post(f"/testing/bins/{bin.key}/share/", {"lasts": "7d"}).status_code == 404
    assert client.post(f"/testing/bins/{bin.key}/share/{made.pk}/revoke/").status_code == 404
    assert list(Share.objects.values_list("revoked_at", flat=True)) == [None]


def test_the_token_is_cut_out_of_the_logs():
    from chatapi.monitoring.logging_config import without_secrets

    assert without_secrets(f"GET /shared/{'aB-_' * 10}abc/") == "GET /shared/…/"
