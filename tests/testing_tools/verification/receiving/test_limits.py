"""A bin's traffic has bounds: bytes per minute, bytes and rows that are kept, the account's quota, and the disk."""

import os
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client, override_settings

from accounts.actions.accounts import set_quota
from accounts.models import Account
from hooks.models import Hook, Kind
from instances.limits import rate_counters
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Bin, Capture
from tests.factories import AccountFactory, InstanceFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("same_minute")]
KILOBYTE, MEGABYTE = 1024, 1024 * 1024
BODY = b"x" * (100 * KILOBYTE)


@pytest.fixture
def alice(db: None) -> Account:
    return AccountFactory(email="alice@example.org")


@pytest.fixture
def own_bin(alice: Account) -> Bin:
    return bin_actions.open_own_bin(alice)


def send(bin: Bin, body: bytes = BODY, *, address: str = "192.0.2.7", **headers: str) -> Any:
    return Client(REMOTE_ADDR=address, headers=headers).generic("POST", f"/bin/{bin.key}", body, "text/plain")


def stored_bytes(bin: Bin) -> int:
    """Returns the counted bytes, which must be those of the rows."""
    bin.refresh_from_db()
    rows = bin.captures.aggregate(bytes=Sum(capture_actions.BYTES))["bytes"] or 0
    assert bin.stored_bytes == rows
    return rows


@override_settings(BIN_BYTES_PER_MINUTE=MEGABYTE)
def test_a_bin_takes_so_many_bytes_a_minute(own_bin: Bin, alice: Account) -> None:
    for _ in range(11):
        assert send(own_bin).status_code == 200
    refused = send(own_bin, b"{}", address="192.0.2.8")
    seconds = int(refused["Retry-After"])
    assert refused.status_code == 429
    assert 1 <= seconds <= 60
    assert refused.json()["error"].startswith(
        "This bin has received 1 MB in this minute, which is the limit. The request was not recorded. Try again in "
    )
    assert refused["Cache-Control"] == "no-store"
    assert Capture.objects.count() == 11
    other = bin_actions.open_bin(InstanceFactory(owner=alice))
    assert send(other).status_code == 200
    rate_counters.reset()  # the next minute
    assert send(own_bin).status_code == 200


@override_settings(BIN_ADDRESS_BYTES_PER_MINUTE=MEGABYTE)
def test_a_client_sends_so_many_bytes_a_minute_to_all_bins(own_bin: Bin, alice: Account) -> None:
    other = bin_actions.open_bin(InstanceFactory(owner=alice))
    for number in range(11):
        assert send(own_bin if number % 2 else other).status_code == 200
    refused = send(other)
    assert refused.status_code == 429
    assert refused.json()["error"].startswith("Your IP address has sent bins 1 MB in this minute")
    assert send(other, address="192.0.2.8").status_code == 200
    assert send(other, address="2001:db8::1").status_code == 200


@override_settings(BIN_ADDRESS_BYTES_PER_MINUTE=MEGABYTE)
def test_the_sites_own_hooks_do_not_count_together(own_bin: Bin) -> None:
    """All of them come from this machine's address, whatever account they are of."""
    instance = InstanceFactory(url="https://example.com/hook")
    hook = Hook.objects.create(endpoint=instance.endpoint, kind=Kind.MESSAGE, body=b"{}")
    for _ in range(11):
        send(own_bin)
    assert send(own_bin, webhook_id="msg_of_another_sender").status_code == 429
    assert send(own_bin, webhook_id=f"hook_{hook.public_id.hex}").status_code == 200


@override_settings(BIN_BYTES_PER_MINUTE=16 * KILOBYTE)
def test_empty_requests_count_too(own_bin: Bin) -> None:
    statuses = {send(own_bin, b"").status_code for _ in range(16)}
    assert (statuses, send(own_bin, b"").status_code) == ({200}, 429)


@override_settings(BIN_BYTES_PER_MINUTE=1)
def test_it_is_refused_before_the_body_is_read(own_bin: Bin, rf: Any) -> None:
    from chatapi import early_refusals  # loads URLs, as the web server does

    request = rf.generic("POST", f"/bin/{own_bin.key}", b"", "text/plain")
    assert early_refusals.for_bin(request) is None
    send(own_bin)
    refused = early_refusals.for_bin(request)
    assert refused is not None and refused.status_code == 429


def test_the_oldest_make_room_for_new_bytes(own_bin: Bin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_actions, "KEEP_BYTES", MEGABYTE)
    for _ in range(40):
        assert send(own_bin).status_code == 200
        assert stored_bytes(own_bin) <= MEGABYTE
    kept = list(own_bin.captures.order_by("number").values_list("number", flat=True))
    assert kept == list(range(41 - len(kept), 41))
    assert len(kept) >= 8
    assert own_bin.counts() == (len(kept), 40 - len(kept))


def test_headers_and_queries_count(own_bin: Bin) -> None:
    capture_actions.capture(own_bin.key, method="GET", query="q" * 5000, headers=[("x-long", "h" * 7000)])
    assert 12_000 < stored_bytes(own_bin) < 12_100


def test_removed_captures_are_no_longer_counted(own_bin: Bin) -> None:
    for _ in range(3):
        send(own_bin)
    at, _ = capture_actions.delete(own_bin, captures=Capture.objects.filter(number=1), acting_user=None)
    assert stored_bytes(own_bin) > 300_000  # it can still be restored
    Capture.objects.filter(number=1).update(deleted_at=at - 2 * capture_actions.UNDO_FOR)
    Capture.objects.filter(number=2).update(at=at - 2 * capture_actions.KEEP_FOR)
    assert capture_actions.delete_expired_captures() == 1
    assert 100_000 < stored_bytes(own_bin) < 110_000
    assert own_bin.dropped == 1


def test_captures_of_version_0_1_0_count_with_their_size(own_bin: Bin) -> None:
    send(own_bin)
    Capture.objects.update(stored_bytes=None)
    Bin.objects.update(stored_bytes=len(BODY))  # as the migration does
    assert stored_bytes(own_bin) == len(BODY)
    capture_actions.drop(own_bin.pk, which=capture_actions.Q())
    assert stored_bytes(own_bin) == 0


def test_the_quota_removes_the_bins_oldest(own_bin: Bin, alice: Account) -> None:
    set_quota(alice, name="captureBytes", limit=MEGABYTE, acting_user=None)
    for _ in range(30):
        assert send(own_bin).status_code == 200
        assert capture_actions.count_capture_bytes(alice) <= MEGABYTE
    assert own_bin.captures.count() == 10


def test_a_large_request_is_refused_if_other_bins_use_up_the_quota(own_bin: Bin, alice: Account) -> None:
    set_quota(alice, name="captureBytes", limit=MEGABYTE, acting_user=None)
    other = bin_actions.open_bin(InstanceFactory(owner=alice))
    for _ in range(10):
        send(own_bin)
    refused = send(other)
    assert refused.status_code == 507
    assert refused.json()["error"].startswith(
        "The bins of this account store 1 MB together, which is its quota, so the request was recorded without its "
        "body. Delete requests from bins"
    )
    [stub] = other.captures.all()
    assert (stub.status, bytes(stub.body), stub.size, stub.label) == (507, b"", len(BODY), "Not stored")
    assert stub.answer_note == "the account's quota is used up"
    assert send(other, b"{}").status_code == 200
    assert capture_actions.count_capture_bytes(alice) <= MEGABYTE + 1000


def test_small_requests_cannot_exceed_the_quota_for_long(own_bin: Bin, alice: Account) -> None:
    set_quota(alice, name="captureBytes", limit=MEGABYTE, acting_user=None)
    for _ in range(140):
        capture_actions.capture(own_bin.key, method="POST", body=b"x" * 15_000)
    assert capture_actions.count_capture_bytes(alice) <= MEGABYTE + capture_actions.QUOTA_STEP


@override_settings(DISK_MIN_FREE_BYTES=10**18, SUPPORT_EMAIL="help@example.org")
def test_on_a_full_disk_large_requests_are_refused_and_hooks_recorded(client: Client, own_bin: Bin) -> None:
    refused = send(own_bin)
    assert (refused.status_code, refused.json()) == (507, {
        "ok": False,
        "error": "The disk of this site is almost full, and the request was recorded without its body at the moment. "
        "Text messages and hooks are not affected. Try again later, or tell help@example.org.",
    })  # fmt: skip
    assert send(own_bin, b'{"ack": []}').status_code == 200
    small, stub = Capture.objects.order_by("-number")
    assert (bytes(small.body), bytes(stub.body), stub.answer_note) == (
        b'{"ack": []}',
        b"",
        "the disk is almost full",
    )

    assert own_bin.account is not None
    client.force_login(own_bin.account.owner)
    page = client.get(f"/testing/bins/{own_bin.key}/{stub.public_id}/").content.decode()
    assert "the disk is almost full, so the body was not stored and the response was 507" in page


def test_the_account_page_shows_the_captures(client: Client, own_bin: Bin, alice: Account) -> None:
    send(own_bin)
    client.force_login(alice.owner)
    assert "<b>100.1 KB</b> of 512 MB" in client.get("/account/").content.decode()


def table_bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('testing_tools_capture')")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@override_settings(BIN_BYTES_PER_MINUTE=2**31, BIN_ADDRESS_BYTES_PER_MINUTE=2**31)
def test_the_table_does_not_grow_with_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random bodies, which PostgreSQL cannot compress, in one hundredth of the real limits."""
    monkeypatch.setattr(capture_actions, "KEEP_BYTES", MEGABYTE)
    monkeypatch.setattr(capture_actions, "VACUUM_AFTER", MEGABYTE)
    bin = bin_actions.open_own_bin(AccountFactory())
    sizes = []
    for number in range(1, 401):
        send(bin, os.urandom(100 * KILOBYTE))
        if number in (50, 400):
            sizes.append(table_bytes())
    assert sizes[1] <= max(sizes[0] * 1.5, 8 * MEGABYTE)  # 40 MB were sent
