"""Deleted captures disappear everywhere and can be restored for ten minutes; notes are stored."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Bin, Capture
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def bin():
    bin = bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))
    for method in ("POST", "GET", "POST"):
        capture_actions.capture(bin.key, method=method)
    bin.refresh_from_db()
    return bin


@pytest.fixture
def alice(client, bin):
    client.force_login(bin.instance.owner.owner)
    return client


def numbers(bin):
    return list(Capture.objects.kept(bin).values_list("number", flat=True))


def test_one_capture_is_deleted_and_restored(alice, bin):
    found = Capture.objects.get(number=2)
    page = f"/testing/bins/{bin.key}/"
    answer = alice.post(f"{page}{found.public_id}/delete/", headers=HTMX)
    assert '<li id="capture-2" hx-swap-oob="delete"></li>' in answer.content.decode()
    assert "1 request deleted. You can undo this for 10 minutes." in answer.content.decode()
    assert numbers(bin) == [3, 1]
    assert alice.get(f"{page}{found.public_id}/").status_code == 404
    alice.post(f"{page}undo/", {"at": answer.context["undo"]["stamp"]})
    assert numbers(bin) == [3, 2, 1]


def test_all_matching_captures_are_deleted_and_restored_together(alice, bin):
    page = f"/testing/bins/{bin.key}/"
    answer = alice.post(f"{page}delete/", {"q": "method:POST"}, follow=True)
    assert "2 requests deleted. You can undo this for 10 minutes." in answer.content.decode()
    assert numbers(bin) == [2]
    assert bin.counts() == (1, 0)  # deleted is not dropped
    again = alice.post(f"{page}undo/", {"at": answer.context["undo"]["stamp"]}, follow=True)
    assert "2 requests restored." in again.content.decode()
    assert numbers(bin) == [3, 2, 1]


def test_after_ten_minutes_nothing_can_be_restored(alice, bin):
    at, count = capture_actions.delete(bin, captures=bin.captures.all(), acting_user=None)
    assert count == 3
    late = at - timedelta(minutes=10, seconds=1)
    Capture.objects.update(deleted_at=late)
    assert capture_actions.restore(bin, at=late, acting_user=None) == 0
    capture_actions.delete_expired_captures()
    assert not Capture.objects.exists()
    assert Bin.objects.get().dropped == 0


def test_deleted_captures_do_not_count_as_dropped(bin):
    capture_actions.delete(bin, captures=bin.captures.filter(number=1), acting_user=None)
    Capture.objects.update(at=timezone.now() - timedelta(days=8))
    assert capture_actions.delete_expired_captures() == 2
    assert Bin.objects.get().dropped == 2
    assert not Capture.objects.exists()


@pytest.mark.parametrize("at", ["", "x", "0", "9" * 16, "9" * 40])
def test_an_invalid_undo_changes_nothing(alice, bin, at):
    answer = alice.post(f"/testing/bins/{bin.key}/undo/", {"at": at}, follow=True)
    assert "Too late to undo" in answer.content.decode()
    assert numbers(bin) == [3, 2, 1]


def test_a_note_is_shown_in_the_list_and_can_be_removed(alice, bin):
    found = Capture.objects.get(number=2)
    page = f"/testing/bins/{bin.key}/"
    said = alice.post(f"{page}{found.public_id}/note/", {"note": "<b>look</b> here"}, headers=HTMX)
    assert "&lt;b&gt;look&lt;/b&gt; here" in said.content.decode()
    assert re.search(r'id="row-note-2"\s+class="capture-note"\s+hx-swap-oob="true"', said.content.decode())
    assert "&lt;b&gt;look&lt;/b&gt; here" in alice.get(page).content.decode()
    alice.post(f"{page}{found.public_id}/note/", {"note": " "})
    found.refresh_from_db()
    assert found.note == ""


def test_another_account_gets_404(client, bin):
    client.force_login(AccountFactory(email="bob@example.org").owner)
    page = f"/testing/bins/{bin.key}/"
    capture = f"{page}{Capture.objects.get(number=2).public_id}/"
    posts = (f"{page}delete/", f"{page}undo/", f"{capture}delete/", f"{capture}note/")
    assert [client.post(address, {"note": "x"}).status_code for address in posts] == [404] * 4
    assert numbers(bin) == [3, 2, 1]
    assert not Capture.objects.exclude(note="").exists()
